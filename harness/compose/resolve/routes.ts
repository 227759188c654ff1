/** HTTPRoutes: their rules, and the listeners they attach to through parentRefs. */
import { covers, intersect, mostSpecific } from "../hostnames.ts";
import type { Resource } from "../load.ts";
import { nearest } from "../nearest.ts";
import type { Report } from "../report.ts";
import type { GatewayListener, LabelSelector } from "../schema/gateway.ts";
import type { RouteParentRef } from "../schema/httproute.ts";
import { GATEWAY_GROUP } from "../schema/kinds.ts";
import type { Path } from "../source.ts";
import type { Backends } from "./backends.ts";
import { speaksHttp, type GatewayModel, type ListenerModel, type RouteModel } from "./model.ts";
import { resolveRule } from "./rules.ts";

export function resolveRoute(route: Resource<"HTTPRoute">, backends: Backends, report: Report): RouteModel {
  const names = new Map<string, number>();
  const rules = (route.spec.rules ?? [{}]).map((rule, index) => {
    const name = rule.name ?? String(index);
    const other = names.get(name);
    if (other !== undefined) {
      report.error("duplicate-rule", route, ["spec", "rules", index, "name"], `rule ${index} has the name of rule ${other}: ${name}`, {
        fix: "give each rule its own name; a rule without one is named by its index",
      });
    }
    names.set(name, index);
    return resolveRule(rule, index, `${route.id}/${name}`, { route, backends, report });
  });
  return { resource: route, hostnames: route.spec.hostnames?.length ? route.spec.hostnames : ["*"], rules };
}

/** Puts the route on every listener that its parentRefs reach and that lets it in. */
export function attachRoute(model: RouteModel, gateways: GatewayModel[], report: Report): void {
  const route = model.resource;
  const refs = route.spec.parentRefs ?? [];
  if (refs.length === 0) {
    report.warn("route-unattached", route, ["spec"], `HTTPRoute ${route.id} has no parentRefs: it is on no listener`, { part: "key" });
  }
  refs.forEach((ref, i) => attachTo(ref, ["spec", "parentRefs", i], model, gateways, report));
}

function attachTo(ref: RouteParentRef, path: Path, model: RouteModel, gateways: GatewayModel[], report: Report): void {
  const { gateway, allowed } = reachedBy(ref, path, model.resource, gateways, report) ?? {};
  if (!gateway || !allowed) return;
  const attached = allowed.filter((each) => attachToListener(model, listenerModel(gateway, each)));
  if (attached.length === 0) {
    report.error("route-hostname-mismatch", model.resource, model.resource.spec.hostnames ? ["spec", "hostnames"] : path, "no host name of this route is one of the listener's", {
      found: model.hostnames.join(", "),
      expected: allowed.map((each) => each.hostname ?? "*").join(", "),
    });
  }
}

/** The listeners that a parentRef reaches, that speak what the route is about, and that let it in. Reports why there are none. */
export function reachedBy(
  ref: RouteParentRef,
  path: Path,
  route: Resource<"HTTPRoute"> | Resource<"TCPRoute">,
  gateways: GatewayModel[],
  report: Report,
): { gateway: GatewayModel; allowed: GatewayListener[] } | undefined {
  if ((ref.kind ?? "Gateway") !== "Gateway" || (ref.group ?? GATEWAY_GROUP) !== GATEWAY_GROUP) {
    report.error("reference-unsupported", route, path, "a route attaches to a Gateway", { found: `${ref.group ?? GATEWAY_GROUP}/${ref.kind ?? "Gateway"}` });
    return undefined;
  }
  const id = `${ref.namespace ?? route.namespace}/${ref.name}`;
  const gateway = gateways.find((each) => each.resource.id === id);
  if (!gateway) {
    const known = gateways.map((each) => each.resource.id);
    const close = nearest(id, known);
    report.error("route-parent-missing", route, [...path, "name"], `there is no Gateway ${id}`, {
      ...(known.length > 0 ? { expected: `one of ${known.join(", ")}` } : {}),
      fix: close ? `did you mean ${close}?` : "a parentRef without namespace looks in the route's own",
    });
    return undefined;
  }
  const spec = gateway.resource.spec.listeners;
  let listeners = spec.filter((each) => ref.sectionName === undefined || each.name === ref.sectionName);
  if (listeners.length === 0) {
    report.error("route-parent-missing", route, [...path, "sectionName"], `Gateway ${id} has no listener ${ref.sectionName}`, {
      expected: `one of ${spec.map((each) => each.name).join(", ")}`,
    });
    return undefined;
  }
  listeners = listeners.filter((each) => ref.port === undefined || each.port === ref.port);
  if (listeners.length === 0) {
    report.error("route-parent-missing", route, [...path, "port"], `Gateway ${id} has no such listener on port ${ref.port}`);
    return undefined;
  }
  const http = route.kind === "HTTPRoute";
  listeners = listeners.filter((each) => speaksHttp(each.protocol) === http);
  if (listeners.length === 0) {
    report.error("route-not-allowed", route, path, `no listener of Gateway ${id} that this reaches takes ${route.kind}s`, { expected: http ? "one with protocol HTTP or HTTPS" : "one with protocol TCP or TLS" });
    return undefined;
  }
  const allowed = listeners.filter((each) => allows(each, gateway, route, report));
  if (allowed.length === 0) {
    report.error("route-not-allowed", route, path, `Gateway ${id} lets no route of namespace ${route.namespace} in`, {
      fix: "set allowedRoutes.namespaces.from of the listener to All, or a Selector",
    });
    return undefined;
  }
  return { gateway, allowed };
}

function attachToListener(model: RouteModel, listener: ListenerModel | undefined): boolean {
  // Undefined where the listener was refused: that has been reported.
  if (!listener) return true;
  const hosts = model.hostnames.flatMap((own) => {
    const effective = intersect(own, listener.hostname);
    return effective === undefined ? [] : [{ own, effective }];
  });
  if (hosts.length > 0 && !listener.attached.some((each) => each.route === model)) listener.attached.push({ route: model, hosts });
  return hosts.length > 0;
}

/** Undefined where the listener was refused: that has been reported. */
export function listenerModel(gateway: GatewayModel, listener: GatewayListener): ListenerModel | undefined {
  return gateway.sockets
    .find((socket) => socket.port === listener.port)
    ?.listeners.find((each) => each.name === listener.name && each.hostname === (listener.hostname ?? "*"));
}

/** allowedRoutes.namespaces; a selector sees the one label that every namespace has, its name. */
function allows(listener: GatewayListener, gateway: GatewayModel, route: Resource<"HTTPRoute"> | Resource<"TCPRoute">, report: Report): boolean {
  const { from = "Same", selector } = listener.allowedRoutes?.namespaces ?? {};
  switch (from) {
    case "All":
      return true;
    case "Same":
      return route.namespace === gateway.resource.namespace;
    case "Selector": {
      const index = gateway.resource.spec.listeners.indexOf(listener);
      const path: Path = ["spec", "listeners", index, "allowedRoutes", "namespaces", "selector"];
      return selects(selector, route.namespace, gateway.resource, path, report);
    }
    default:
      return false;
  }
}

const NAMESPACE_NAME = "kubernetes.io/metadata.name";

function selects(selector: LabelSelector | undefined, namespace: string, gateway: Resource<"Gateway">, path: Path, report: Report): boolean {
  const foreign = [...Object.keys(selector?.matchLabels ?? {}), ...(selector?.matchExpressions ?? []).map((each) => each.key)].find((key) => key !== NAMESPACE_NAME);
  if (!selector || foreign !== undefined) {
    report.error("unsupported-field", gateway, path, selector ? `namespaces have no label ${foreign} here` : "from: Selector needs a selector", {
      expected: `a selector on ${NAMESPACE_NAME}`,
    });
    return false;
  }
  const label = selector.matchLabels?.[NAMESPACE_NAME];
  if (label !== undefined && label !== namespace) return false;
  return (selector.matchExpressions ?? []).every(({ operator, values = [] }) => {
    switch (operator) {
      case "In":
        return values.includes(namespace);
      case "NotIn":
        return !values.includes(namespace);
      default:
        return operator === "Exists";
    }
  });
}

/**
 * The hosts of a listener that requests can reach: a request belongs to the most specific listener of its port
 * (Gateway API, listener isolation), so a host that another listener of the port covers better is not served here.
 */
export function reachableHosts(listener: ListenerModel, siblings: ListenerModel[]): string[] {
  const hosts = new Set<string>([listener.hostname]);
  for (const { hosts: pairs } of listener.attached) for (const { effective } of pairs) hosts.add(effective);
  const all = siblings.map((each) => each.hostname);
  return [...hosts].filter((host) => mostSpecific(all, host) === listener.hostname);
}

/** Warns of routes that attach, but whose every host is served by another listener of the port. */
export function warnShadowed(gateways: GatewayModel[], report: Report): void {
  const seen = new Map<RouteModel, boolean>();
  for (const gateway of gateways) {
    for (const socket of gateway.sockets) {
      for (const listener of socket.listeners) {
        const hosts = reachableHosts(listener, socket.listeners);
        for (const { route, hosts: pairs } of listener.attached) {
          const served = pairs.some(({ effective }) => hosts.some((host) => covers(effective, host)));
          seen.set(route, (seen.get(route) ?? false) || served);
        }
      }
    }
  }
  for (const [route, served] of seen) {
    if (!served) {
      report.warn("route-shadowed", route.resource, ["spec", "hostnames"], `no request reaches HTTPRoute ${route.resource.id}: a more specific listener takes its host names`, {
        fix: "attach it to that listener",
        part: "key",
      });
    }
  }
}

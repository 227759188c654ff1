/** TCPRoutes: their backends, and the one listener's connections that each takes. */
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import { attaches, tcpSubject } from "./attachment.ts";
import type { Backends } from "./backends.ts";
import { speaksHttp, type GatewayModel, type ListenerModel, type TcpRouteModel } from "./model.ts";
import { listenerModel, reachedBy } from "./routes.ts";

/** Resolves the route and puts it on the listeners that its parentRefs reach. */
export function attachTcpRoute(route: Resource<"TCPRoute">, gateways: GatewayModel[], backends: Backends, report: Report): void {
  const refs = route.spec.rules[0]!.backendRefs;
  const arms = refs.flatMap((ref, i) => {
    const backend = backends.resolve(route, ["spec", "rules", 0, "backendRefs", i], ref);
    const weight = ref.weight ?? 1;
    return backend && weight > 0 ? [{ backend, weight }] : [];
  });
  if (refs.every(({ weight }) => weight === 0)) {
    report.warn("rule-without-backend", route, ["spec", "rules", 0, "backendRefs"], "this route leads connections nowhere: they are closed", { found: "only weights of 0", fix: "give one a weight above 0" });
  }
  const model: TcpRouteModel = { resource: route, arms };
  const parents = route.spec.parentRefs ?? [];
  if (parents.length === 0) {
    report.warn("route-unattached", route, ["spec"], `TCPRoute ${route.id} has no parentRefs: it is on no listener`, { part: "key" });
  }
  parents.forEach((ref, i) => {
    const path = ["spec", "parentRefs", i];
    const reached = reachedBy(ref, path, route, gateways, report);
    for (const each of reached?.allowed ?? []) {
      const listener = listenerModel(reached!.gateway, each);
      if (!listener) continue;
      if (listener.tcp && listener.tcp !== model) {
        report.error("route-conflict", route, path, `the connections of listener ${each.name} go to TCPRoute ${listener.tcp.resource.id} already`, { fix: "name another listener (sectionName), or list the backends in one route" });
      } else listener.tcp = model;
    }
  });
}

export interface TcpListener {
  listener: ListenerModel;
  route: TcpRouteModel;
}

/** The listeners that connections come in by, with their routes. */
export function tcpListeners(gateway: GatewayModel): TcpListener[] {
  return gateway.sockets.filter(({ protocol }) => !speaksHttp(protocol)).flatMap(({ listeners }) => listeners.flatMap((listener) => (listener.tcp ? [{ listener, route: listener.tcp }] : [])));
}

/** Listeners without a route, and policies that hold for some of a route's backends only: authorization comes before the choice. */
export function checkTcp(gateways: GatewayModel[], policies: Resource<"AuthorizationPolicy">[], rootNamespace: string, report: Report): void {
  for (const gateway of gateways) {
    for (const { protocol, listeners } of gateway.sockets) {
      for (const { name, tcp } of listeners) {
        if (speaksHttp(protocol) || tcp) continue;
        const index = gateway.resource.spec.listeners.findIndex((each) => each.name === name);
        report.warn("listener-without-route", gateway.resource, ["spec", "listeners", index, "name"], `no TCPRoute is on listener ${name}: it closes every connection`, { fix: "add one, with this Gateway in parentRefs" });
      }
    }
    for (const { route } of tcpListeners(gateway)) {
      const [first, ...others] = route.arms.map(({ backend }) => tcpSubject(route.resource, backend));
      for (const policy of policies) {
        if (!others.some((other) => attaches(policy, other, rootNamespace) !== attaches(policy, first!, rootNamespace))) continue;
        report.error("policy-splits-arms", policy, policy.spec.selector ? ["spec", "selector"] : ["spec", "targetRefs"], `this policy holds for some backends of TCPRoute ${route.resource.id} only`, { fix: "make it hold for all of them: who may connect must not depend on the choice", part: "key" });
      }
    }
  }
}

/** ExtensionProviders, and the CUSTOM policies that name them. */
import { nearest } from "../nearest.ts";
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import { BACKEND_GROUP } from "../schema/kinds.ts";
import { attaches, attachesToGateway, gatewaySubject, type Subject } from "./attachment.ts";
import type { Backends } from "./backends.ts";
import type { GatewayModel, Model, Provider } from "./model.ts";

type Policy = Resource<"AuthorizationPolicy">;

/** By name, which is unique over namespaces: policies of all of them name it. */
export function resolveProviders(resources: Resource<"ExtensionProvider">[], backends: Backends, report: Report): Map<string, Provider> {
  const providers = new Map<string, Provider>();
  for (const resource of resources) {
    const { envoyExtAuthzGrpc: grpc, envoyExtAuthzHttp: http } = resource.spec;
    if ((grpc === undefined) === (http === undefined)) {
      report.error("wrong-value", resource, ["spec"], "a provider is exactly one of envoyExtAuthzGrpc and envoyExtAuthzHttp", { found: grpc ? "both" : "neither", part: "key" });
      continue;
    }
    const known = providers.get(resource.name);
    if (known) {
      report.error("duplicate-resource", resource, ["metadata", "name"], `there is another ExtensionProvider ${resource.name}, in namespace ${known.resource.namespace}`, { fix: "rename one: policies name providers without a namespace" });
      continue;
    }
    const backend = server(resource, backends, report);
    if (backend) providers.set(resource.name, { resource, name: resource.name, backend, ...(grpc ? { grpc } : {}), ...(http ? { http } : {}) });
  }
  return providers;
}

function server(resource: Resource<"ExtensionProvider">, backends: Backends, report: Report): Resource<"Backend"> | undefined {
  const field = resource.spec.envoyExtAuthzGrpc ? "envoyExtAuthzGrpc" : "envoyExtAuthzHttp";
  const { service, port, backendRef } = resource.spec[field]!;
  const path = ["spec", field];
  if ((service === undefined) === (backendRef === undefined)) {
    report.error("wrong-value", resource, path, "a provider is reached by exactly one of service and backendRef", { found: service === undefined ? "neither" : "both", part: "key" });
    return undefined;
  }
  if (backendRef) {
    if (port !== undefined) report.error("unsupported-field", resource, [...path, "port"], "a reference to a Backend takes no port: its endpoints have them", { fix: "remove it", part: "key" });
    return backends.resolve(resource, [...path, "backendRef"], backendRef);
  }
  const [, given, host = ""] = /^(?:([^/]+)\/)?([^/]+)$/.exec(service!) ?? [];
  const [name = "", namespace] = host.split(".");
  const id = `${given ?? namespace ?? resource.namespace}/${name}`;
  const backend = backends.get(id);
  if (!backend) {
    report.error("route-backend-missing", resource, [...path, "service"], `there is no Backend ${id}, which would stand for this service`, { found: service!, expected: `[<namespace>/]<Backend>[.<namespace>[.svc.cluster.local]], or backendRef: { group: ${BACKEND_GROUP}, kind: Backend, name: … }` });
  } else if (port !== undefined && backend.spec.endpoints.some(({ ip, fqdn }) => (ip ?? fqdn)?.port !== port)) {
    report.error("wrong-value", resource, [...path, "port"], `Backend ${id} has endpoints on another port`, { found: String(port), expected: "the port of its endpoints" });
  }
  return backend;
}

/** What CUSTOM policies name must be there, and for each workload it must be one. */
export function checkProviders(policies: Policy[], providers: ReadonlyMap<string, Provider>, known: readonly string[], report: Report): void {
  for (const policy of policies) {
    const name = providerOf(policy);
    // Of one that was refused, that has been reported.
    if (name === undefined || providers.has(name) || known.includes(name)) continue;
    const close = nearest(name, [...providers.keys()]);
    report.error("authorization-provider", policy, ["spec", "provider", "name"], `there is no ExtensionProvider ${name}`, {
      ...(providers.size > 0 ? { expected: `one of ${[...providers.keys()].sort().join(", ")}` } : {}),
      fix: close ? `did you mean ${close}?` : "add one, apiVersion: selvedge.dev/v1alpha1",
    });
  }
}

/** The provider that a policy hands over to, if it does. */
export function providerOf(policy: Policy): string | undefined {
  return policy.spec.action === "CUSTOM" ? policy.spec.provider?.name : undefined;
}

/** A request is handed over once, on its way through the gateway's policies and those of its destination. */
export function refuseSeveral(gateway: GatewayModel, workloads: (Subject & { name: string })[], policies: Policy[], rootNamespace: string, report: Report): void {
  const custom = policies.filter((policy) => providerOf(policy) !== undefined);
  const first = custom.filter((policy) => attachesToGateway(policy, gateway, rootNamespace));
  const subjects = [{ ...gatewaySubject(gateway), name: gateway.resource.id, own: first }, ...workloads.map((each) => ({ ...each, own: [...first, ...custom.filter((policy) => attaches(policy, each, rootNamespace))] }))];
  for (const { name, own } of subjects) {
    const other = own.find((policy) => providerOf(policy) !== providerOf(own[0]!));
    if (!other) continue;
    report.error("authorization-provider", other, ["spec", "provider", "name"], `a request for ${name} would be handed to two providers`, { found: `${providerOf(own[0]!)} (AuthorizationPolicy ${own[0]!.id}) and ${providerOf(other)}`, fix: "use one provider for all CUSTOM policies of a workload and of its Gateway" });
    return;
  }
}

/** A provider of HTTP has nothing to say about connections, and such a policy is left out, as in Istio; one of gRPC would have to be asked. */
export function refuseConnections(connections: { subject: Subject }[], { policies, providers }: Model, rootNamespace: string, report: Report): void {
  for (const policy of policies) {
    const provider = providers.get(providerOf(policy) ?? "");
    if (!provider?.grpc || !connections.some(({ subject }) => attaches(policy, subject, rootNamespace))) continue;
    report.error("unsupported-field", policy, ["spec", "action"], "CUSTOM with a provider of gRPC is not supported for the connections of a TCPRoute", { fix: "narrow the policy with a selector or targetRefs to what HTTPRoutes lead to" });
  }
}

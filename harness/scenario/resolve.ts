/** From the Scenario document and the policies beside it to what is to be run; every reference is checked here. */
import { dirname, join } from "node:path";
import type { Policies } from "../compose/index.ts";
import { ofKind } from "../compose/index.ts";
import type { Report } from "../compose/report.ts";
import { speaksHttp, type GatewayModel, type Model, type Socket } from "../compose/resolve/model.ts";
import type { Path, Source } from "../compose/source.ts";
import type { Scenario, Target, UpstreamModel, WorkloadIdentity } from "./model.ts";
import { missing, type Context } from "./references.ts";
import { resolveTraffic } from "./resolve-traffic.ts";
import { SCENARIO, type ScenarioResource } from "./schema.ts";

export const TRUST_DOMAIN = "cluster.local";

/** The folder's Scenario document; reports a second one. Only for policies whose findings are free of errors. */
export function findScenario(policies: Policies, report: Report): { value: ScenarioResource; source: Source } | undefined {
  const [first, ...others] = policies.external.filter(({ apiVersion, kind }) => `${apiVersion}/${kind}` === SCENARIO);
  for (const other of others) {
    const { file, line } = first!.source.at([]);
    report.error("scenario-twice", other.source, ["kind"], "a folder has one Scenario", { found: `the first one at ${file}:${line}`, fix: "remove one of the two" });
  }
  return first && { value: first.value as unknown as ScenarioResource, source: first.source };
}

/** Undefined where a reference leads nowhere; the report says which. */
export function resolveScenario(document: { value: ScenarioResource; source: Source }, policies: Policies, model: Model, report: Report, defaultTrustDomain = TRUST_DOMAIN): Scenario | undefined {
  const { value, source } = document;
  const { spec } = value;
  const context: Context = { spec, source, policies, model, report, namespace: value.metadata.namespace };
  const trustDomain = spec.trustDomain ?? defaultTrustDomain;
  const workloads = resolveWorkloads(context, trustDomain);
  const upstreams = resolveUpstreams(context);
  const gateway = resolveGateway(context);
  const target = gateway && resolveTarget(context, gateway);
  if (!gateway || !target) return undefined;
  const traffic = spec.traffic.map((each, i) => resolveTraffic(context, each, ["spec", "traffic", i], workloads, target, gateway));
  return { name: value.metadata.name, file: source.file, trustDomain, target, workloads, upstreams, traffic };
}

function resolveWorkloads({ spec, source, report }: Context, trustDomain: string): WorkloadIdentity[] {
  const directories = new Map<string, string>();
  return spec.workloads.map(({ name, namespace, serviceAccount, certificates }, i) => {
    const id = `${namespace}/${name}`;
    const directory = join(dirname(source.file), certificates ?? join("certs", `${namespace}-${name}`));
    const other = directories.get(directory);
    if (other === id) report.error("workload-twice", source, ["spec", "workloads", i, "name"], `workload ${id} is listed twice`);
    else if (other !== undefined) report.error("wrong-value", source, ["spec", "workloads", i], `workloads ${other} and ${id} have the same directory for certificates`, { found: directory });
    directories.set(directory, id);
    return { id, name, namespace, directory, spiffeId: `spiffe://${trustDomain}/ns/${namespace}/sa/${serviceAccount ?? name}` };
  });
}

function resolveUpstreams(context: Context): UpstreamModel[] {
  const { spec, source, policies, report, namespace } = context;
  const backends = ofKind(policies, "Backend");
  const seen = new Set<string>();
  return (spec.upstreams ?? []).map(({ backend: ref, latency, errors, bodyBytes }, i) => {
    const path: Path = ["spec", "upstreams", i];
    const id = `${ref.namespace ?? namespace ?? "default"}/${ref.name}`;
    if (seen.has(id)) report.error("upstream-twice", source, [...path, "backend"], `Backend ${id} is started twice`, { fix: "remove one of the two" });
    seen.add(id);
    const backend = backends.find((each) => each.id === id);
    if (!backend) missing(context, [...path, "backend", "name"], "Backend", id, backends);
    if (latency?.p99 !== undefined && latency.p99 < latency.p50) {
      report.error("wrong-value", source, [...path, "latency", "p99"], "p99 is below p50", { found: String(latency.p99), expected: `${latency.p50} or more` });
    }
    const endpoints = (backend?.spec.endpoints ?? []).flatMap(({ ip }, j) => {
      if (ip && isLoopback(ip.address)) return [{ address: ip.address, port: ip.port }];
      report.error("upstream-not-local", source, [...path, "backend"], `Backend ${id} can't be started here: its endpoint ${j} is not on this machine's loopback`, {
        expected: "endpoints of the form ip: { address: 127.0.0.1, port: … }",
        fix: "leave it out of upstreams, if it runs elsewhere",
      });
      return [];
    });
    return { id, endpoints, latency, errors, bodyBytes: bodyBytes ?? 0 };
  });
}

function resolveGateway(context: Context): GatewayModel | undefined {
  const { spec, source, model, report, namespace } = context;
  const gateways = model.gateways;
  if (spec.gateway === undefined) {
    if (gateways.length > 1) report.error("missing-field", source, ["spec"], "there are several Gateways: say which one the traffic goes to", { expected: "spec.gateway: { name, namespace }" });
    return gateways.length === 1 ? gateways[0] : undefined;
  }
  const id = `${spec.gateway.namespace ?? namespace ?? "default"}/${spec.gateway.name}`;
  const gateway = gateways.find(({ resource }) => resource.id === id);
  if (!gateway) missing(context, ["spec", "gateway", "name"], "Gateway", id, gateways.map(({ resource }) => resource));
  return gateway;
}

function resolveTarget({ spec, source, report }: Context, gateway: GatewayModel): Target | undefined {
  const has = (socket: Socket): boolean => (spec.listener === undefined ? socket.protocol === "HTTPS" : socket.listeners.some(({ name }) => name === spec.listener));
  const socket = gateway.sockets.find(has) ?? (spec.listener === undefined ? (gateway.sockets.find(({ protocol }) => speaksHttp(protocol)) ?? gateway.sockets[0]) : undefined);
  if (!socket) {
    report.error("listener-missing", source, ["spec", "listener"], `Gateway ${gateway.resource.id} has no listener ${spec.listener}`, { expected: `one of ${gateway.resource.spec.listeners.map(({ name }) => name).join(", ")}` });
    return undefined;
  }
  return {
    address: reachable(socket.addresses[0]!),
    port: socket.port,
    tls: socket.protocol === "HTTPS",
    mutualTls: socket.listeners.some(({ tls }) => (tls?.clientAuthorities.length ?? 0) > 0),
  };
}

/** Where a listener on every address is reached from here. */
function reachable(address: string): string {
  return address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
}

function isLoopback(address: string): boolean {
  return address === "::1" || /^127\./.test(address);
}

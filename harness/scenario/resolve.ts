/** From the Scenario document and the policies beside it to what is to be run; every reference is checked here. */
import { dirname, join } from "node:path";
import type { Policies, Resource } from "../compose/index.ts";
import { ofKind } from "../compose/index.ts";
import { nearest } from "../compose/nearest.ts";
import type { Report } from "../compose/report.ts";
import { rulesOf } from "../compose/resolve/index.ts";
import type { GatewayModel, Model, RuleModel, Socket } from "../compose/resolve/model.ts";
import type { Path, Source } from "../compose/source.ts";
import type { CanaryTraffic, Scenario, Target, TrafficModel, UpstreamModel, WorkloadIdentity } from "./model.ts";
import { canaryUnits, fewestUnits } from "./result.ts";
import { SCENARIO, type ScenarioResource, type ScenarioSpec, type TrafficSpec } from "./schema.ts";

export const TRUST_DOMAIN = "cluster.local";
const DEFAULT_COUNT = 20;
const DEFAULT_CONCURRENCY = 4;
/** What a placeholder in a header or path of canary traffic stands for. */
export const USER = "{user}";

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

interface Context {
  spec: ScenarioSpec;
  source: Source;
  policies: Policies;
  model: Model;
  report: Report;
  namespace: string | undefined;
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

function resolveUpstreams({ spec, source, policies, report, namespace }: Context): UpstreamModel[] {
  const backends = ofKind(policies, "Backend");
  const seen = new Set<string>();
  return (spec.upstreams ?? []).map(({ backend: ref, latency, errors, bodyBytes }, i) => {
    const path: Path = ["spec", "upstreams", i];
    const id = `${ref.namespace ?? namespace ?? "default"}/${ref.name}`;
    if (seen.has(id)) report.error("upstream-twice", source, [...path, "backend"], `Backend ${id} is started twice`, { fix: "remove one of the two" });
    seen.add(id);
    const backend = backends.find((each) => each.id === id);
    if (!backend) missing(report, source, [...path, "backend", "name"], "Backend", id, backends);
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

function resolveGateway({ spec, source, model, report, namespace }: Context): GatewayModel | undefined {
  const gateways = model.gateways;
  if (spec.gateway === undefined) {
    if (gateways.length > 1) report.error("missing-field", source, ["spec"], "there are several Gateways: say which one the traffic goes to", { expected: "spec.gateway: { name, namespace }" });
    return gateways.length === 1 ? gateways[0] : undefined;
  }
  const id = `${spec.gateway.namespace ?? namespace ?? "default"}/${spec.gateway.name}`;
  const gateway = gateways.find(({ resource }) => resource.id === id);
  if (!gateway) missing(report, source, ["spec", "gateway", "name"], "Gateway", id, gateways.map(({ resource }) => resource));
  return gateway;
}

function resolveTarget({ spec, source, report }: Context, gateway: GatewayModel): Target | undefined {
  const has = (socket: Socket): boolean => (spec.listener === undefined ? socket.protocol === "HTTPS" : socket.listeners.some(({ name }) => name === spec.listener));
  const socket = gateway.sockets.find(has) ?? (spec.listener === undefined ? gateway.sockets[0] : undefined);
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

function resolveTraffic(context: Context, traffic: TrafficSpec, path: Path, workloads: WorkloadIdentity[], target: Target, gateway: GatewayModel): TrafficModel {
  const { source, report } = context;
  const from = workloads.find(({ id }) => id === traffic.from);
  if (traffic.from !== undefined && !from) missing(report, source, [...path, "from"], "workload", traffic.from, workloads);
  if (traffic.by !== undefined && traffic.by !== "none") checkPolicy(context, traffic.by, [...path, "by"]);
  if (traffic.expect === "refuse" && traffic.by !== undefined) {
    report.error("wrong-value", source, [...path, "by"], "no policy decides where the connection is refused", { part: "key", fix: "remove it" });
  }
  if (traffic.expect === "refuse" && !target.mutualTls) {
    report.error("wrong-value", source, [...path, "expect"], "the listener asks for no client certificate, so it refuses no connection");
  }
  const { request, canary: expected } = traffic;
  const canary = expected && resolveCanary(context, expected, [...path, "canary"], gateway);
  const texts = [request.path ?? "/", ...Object.values(request.headers ?? {})];
  if (canary && traffic.count !== undefined) {
    report.error("wrong-value", source, [...path, "count"], "traffic with canary counts users", { part: "key", fix: "remove it, or set canary.users and canary.requestsPerUser" });
  }
  if (canary?.sticky && canary.users > 1 && !texts.some((text) => text.includes(USER))) {
    report.error("wrong-value", source, [...path, "request"], "every user would send the same request", { part: "key", expected: `${USER} in a header or in the path` });
  }
  return {
    ...(from && { from }),
    method: request.method ?? "GET",
    host: request.host,
    path: request.path ?? "/",
    headers: request.headers ?? {},
    bodyBytes: request.bodyBytes ?? 0,
    count: canary ? canary.users * canary.requestsPerUser : (traffic.count ?? DEFAULT_COUNT),
    concurrency: traffic.concurrency ?? DEFAULT_CONCURRENCY,
    expect: traffic.expect ?? (canary ? "allow" : undefined),
    by: traffic.by,
    ...(canary && { canary }),
  };
}

/** @param by `namespace/name` or `namespace/name#rule` */
function checkPolicy({ policies, source, report }: Context, by: string, path: Path): void {
  const known = ofKind(policies, "AuthorizationPolicy");
  const [id, rule] = by.split("#");
  const policy = known.find((each) => each.id === id);
  if (!policy) missing(report, source, path, "AuthorizationPolicy", id!, known);
  else if (rule !== undefined && Number(rule) >= (policy.spec.rules ?? []).length) {
    report.error("reference-missing", source, path, `AuthorizationPolicy ${id} has no rule ${rule}`, { found: `${(policy.spec.rules ?? []).length} rules; the first is 0` });
  }
}

function resolveCanary({ source, report }: Context, expected: NonNullable<TrafficSpec["canary"]>, path: Path, gateway: GatewayModel): CanaryTraffic | undefined {
  const rules = rulesOf(gateway).filter(({ arms }) => arms.length > 1);
  const matching = rules.filter(({ id }) => id === expected.route || id.startsWith(`${expected.route}/`));
  if (matching.length !== 1) {
    report.error("route-missing", source, [...path, "route"], `${matching.length === 0 ? "no" : "more than one"} rule of ${expected.route} splits traffic`, {
      expected: rules.length > 0 ? `one of ${rules.map(({ id }) => id).join(", ")}` : "an HTTPRoute rule with several backendRefs",
    });
    return undefined;
  }
  const rule: RuleModel = matching[0]!;
  const canary: CanaryTraffic = {
    route: rule.id,
    arms: rule.arms.map(({ name, backend, weight }) => ({ name, backend: backend.id, weight })),
    sticky: rule.rollout?.stickiness !== undefined,
    users: expected.users,
    requestsPerUser: expected.requestsPerUser ?? 1,
  };
  const least = fewestUnits(canary.arms.map(({ weight }) => weight));
  if (canaryUnits(canary) < least) {
    report.error("canary-too-small", source, [...path, "users"], "so few users can't tell a working canary from none: nobody on the smallest arm would pass, too", {
      found: `${canaryUnits(canary)} ${canary.sticky ? "users" : "requests"}`,
      expected: `${least} or more`,
    });
  }
  return canary;
}

function missing(report: Report, source: Source, path: Path, kind: string, id: string, known: readonly (Resource | WorkloadIdentity)[]): void {
  const ids = known.map((each) => each.id);
  const close = nearest(id, ids);
  report.error("reference-missing", source, path, `there is no ${kind} ${id}`, {
    expected: ids.length > 0 ? `one of ${[...ids].sort().join(", ")}` : `a ${kind}`,
    ...(close ? { fix: `did you mean ${close}?` } : {}),
  });
}

/** Where a listener on every address is reached from here. */
function reachable(address: string): string {
  return address === "0.0.0.0" ? "127.0.0.1" : address === "::" ? "::1" : address;
}

function isLoopback(address: string): boolean {
  return address === "::1" || /^127\./.test(address);
}

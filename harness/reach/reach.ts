/**
 * What a principal can reach on a node. Whether a rule's conditions on identity hold is asked of the module; what remains of the
 * rules is what is told. "None" is told only where that is certain: no rule can match any more, or one denies whatever else the
 * request is. Every statement is tried out on the module with requests made for it.
 */
import type { Finding, Position } from "../errors.ts";
import { DRY_RUN } from "../compose/check/authorization.ts";
import { allConditions, rulesOf, type Condition } from "../decide/conditions.ts";
import { CONNECTION, type Arrival, type EdgeNode, type Gateway, type Policy, type Workload } from "../decide/node.ts";
import { Probes } from "../decide/probes.ts";
import { peerText, type AccessRequest } from "../decide/request.ts";
import { fulfilling, instances } from "../decide/samples.ts";
import type { Chain, Listener, Route } from "../decide/table.ts";
import { isSettled, remaining, type Remaining } from "./residual.ts";

export type Access = "all" | "some" | "none" | "refused";

export interface Statement {
  /** `<namespace>/<name>#<index>`. */
  rule: string;
  where: Position;
  /** All of them must hold; none: every request. */
  conditions: { field: string; negated: boolean; values: readonly string[]; where: Position }[];
  /** A request that the module let through; undefined: none of those tried was, so it may be that there is none. */
  sample: Sample | undefined;
}

export type Sample =
  | { method: string; host: string; path: string; headers: [string, string][] }
  /** Of a connection. */
  | { source: string; direct: string; sni: string | undefined };

export interface StageReach {
  /** No policy needs to allow. */
  open: boolean;
  allowed: Statement[];
  denied: Statement[];
}

export interface Reach {
  listener: string;
  workload: string;
  routes: string[];
  access: Access;
  reason: string;
  /** What settles it, where one rule does. */
  where: Position | undefined;
  gateway: StageReach | undefined;
  own: StageReach | undefined;
  /** Policies on trial that concern this workload, and take no part in this. */
  onTrial: string[];
  /** A request that the module let through. */
  sample: Sample | undefined;
}

export interface ReachResult {
  principal: string;
  reaches: Reach[];
  /** Where the module contradicts what was to be told: a defect, told rather than hidden. */
  findings: Finding[];
}

const MOST_TRIES = 400;

interface Spot {
  listener: Listener;
  chain: Chain;
  workload: Workload;
  routes: { host: string; route: Route }[];
}

export function reach(node: EdgeNode, peer: string[] | undefined): ReachResult {
  const result: ReachResult = { principal: peerText(peer), reaches: [], findings: [] };
  for (const gateway of node.gateways) {
    const settled = gateway.policies.flatMap((policy) => rulesOf(policy)).flatMap(allConditions).filter((each) => isSettled(each));
    const probes = gateway.config && settled.length > 0 ? new Probes(gateway, settled) : undefined;
    try {
      for (const spot of spotsOf(gateway)) result.reaches.push(new Explorer(node, gateway, spot, peer, probes, result.findings).reach());
    } finally {
      probes?.close();
    }
  }
  return result;
}

/** Each workload on each listener, with the routes that lead there. */
function spotsOf(gateway: Gateway): Spot[] {
  const { chain: tcp } = gateway;
  if (tcp) return gateway.listeners.map((listener) => ({ listener, chain: tcp, workload: gateway.self, routes: [] }));
  return gateway.listeners.flatMap((listener) =>
    listener.chains.flatMap((chain) => {
      const spots = new Map<Workload, Spot>();
      for (const host of chain.hosts) {
        for (const route of host.routes) {
          if (route.action !== "forward" || route.match.filter_state !== undefined) continue;
          const workload = gateway.workloadOf(route.name);
          const spot = spots.get(workload) ?? { listener, chain, workload, routes: [] };
          spot.routes.push(...host.domains.map((domain) => ({ host: domain, route })));
          spots.set(workload, spot);
        }
      }
      return [...spots.values()];
    }),
  );
}

class Explorer {
  readonly #base: AccessRequest;
  readonly #seen: AccessRequest;

  constructor(
    private readonly node: EdgeNode,
    private readonly gateway: Gateway,
    private readonly spot: Spot,
    peer: string[] | undefined,
    private readonly probes: Probes | undefined,
    private readonly findings: Finding[],
  ) {
    const { listener, chain } = spot;
    const http = { method: "GET", host: "any.example", path: "/", headers: [], claims: undefined };
    const address = listener.addresses.find((each) => each !== "0.0.0.0" && each !== "::") ?? "127.0.0.1";
    this.#base = { ...(chain.tcp ? CONNECTION : http), peer, tls: chain.tls, sni: chain.serverNames[0]?.replace("*", "any"), direct: "198.51.100.9", remote: "198.51.100.9", local: { address, port: listener.port } };
    this.#seen = chain.tls ? this.#base : { ...this.#base, peer: undefined, sni: undefined };
  }

  reach(): Reach {
    const { listener, chain, workload, routes } = this.spot;
    const head = { listener: listener.name, workload: workload.name || (workload.routes[0] ?? routes[0]?.route.name ?? "nowhere"), routes: chain.tcp ? [chain.serverNames.length > 0 ? `connections as ${chain.serverNames.join(", ")}` : "connections"] : routes.map(({ host, route }) => routeText(host, route)), where: undefined, gateway: undefined, own: undefined, onTrial: [], sample: undefined };
    if (chain.tcp?.backends.length === 0) return { ...head, access: "refused", reason: "no TCPRoute is on this listener: it closes every connection" };
    if (chain.clientCertificate && this.#base.peer === undefined) return { ...head, access: "refused", reason: "no connection without a client certificate" };
    if (this.#seen.peer !== undefined && this.#seen.peer.length > 1) return { ...head, access: "none", reason: "a certificate with more than one URI SAN is always denied" };
    const probed = this.probes?.holding(this.#seen) ?? ((): boolean => false);
    const holds = (condition: Condition): boolean | undefined => (isSettled(condition, chain.tls) ? probed(condition) : undefined);
    const policies = { gateway: this.gateway.applying(workload, "gateway"), workload: this.gateway.applying(workload, "workload") };
    const stages = (["gateway", "workload"] as const).map((stage) => this.#stage(policies[stage].filter(isEnforced), holds));
    const onTrial = [...policies.gateway, ...policies.workload].filter((policy) => policy.annotations[DRY_RUN] === "true").map(({ id }) => id);
    const [first, own] = stages as [Stage, Stage];
    const told = { ...head, onTrial, gateway: policies.gateway.some(isEnforced) ? this.#told(first, own) : undefined, own: this.#told(own, first) };
    for (const [stage, words] of [[first, "the Gateway's stage"], [own, undefined]] as const) {
      const always = stage.denied.find(({ conditions }) => conditions.length === 0);
      const at = words ? ` at ${words}` : "";
      if (always) return this.#settled({ ...told, access: "none", reason: `${nameOf(always)} denies every ${chain.tcp ? "connection" : "request"}${at}`, where: placeOf(always) });
      if (!stage.open && stage.allowed.length === 0) return this.#settled({ ...told, access: "none", reason: `no ALLOW rule${at} can match` });
    }
    const free = stages.every(({ open, allowed, denied }) => (open || allowed.some(({ conditions }) => conditions.length === 0)) && denied.length === 0);
    const reason = stages.every(({ open }) => open) ? "no ALLOW policy applies, so that everything is allowed that no DENY rule matches" : free ? `a rule allows every ${chain.tcp ? "connection" : "request"}` : "under conditions";
    return this.#settled({ ...told, access: free ? "all" : "some", reason });
  }

  #stage(policies: readonly Policy[], holds: (condition: Condition) => boolean | undefined): Stage {
    const allows = policies.filter((policy) => policy.spec.action !== "DENY");
    return { open: allows.length === 0, allowed: remaining(allows, holds, this.#base.connection), denied: remaining(policies.filter((policy) => policy.spec.action === "DENY"), holds, this.#base.connection) };
  }

  #told(stage: Stage, other: Stage): StageReach {
    const statement = (each: Remaining, sample: Sample | undefined): Statement => ({
      rule: nameOf(each),
      where: placeOf(each),
      conditions: each.conditions.map((condition) => ({ field: condition.field, negated: condition.negated, values: condition.values, where: each.rule.policy.at(condition.path, "key") })),
      sample,
    });
    // At the other stage any rule may do its part.
    const partners = other.open || other.allowed.length === 0 ? [[]] : other.allowed.map(({ conditions }) => conditions);
    return {
      open: stage.open,
      allowed: stage.allowed.map((each) => statement(each, this.#through(each, partners))),
      denied: stage.denied.map((each) => statement(each, undefined)),
    };
  }

  #through({ conditions, rule }: Remaining, partners: Condition[][]): Sample | undefined {
    for (const partner of partners.slice(0, 20)) {
      const sample = this.#try([...conditions, ...partner], { policy: rule.policy.id, rule: rule.index });
      if (sample) return sample;
    }
    return undefined;
  }

  /** Checks what is about to be told with requests of all kinds that get to this workload. */
  #settled(reached: Reach): Reach {
    if (reached.access === "some") return { ...reached, sample: [...reached.own!.allowed, ...(reached.gateway?.allowed ?? [])].find(({ sample }) => sample)?.sample ?? this.#try([]) };
    const samples = this.#bases().slice(0, 50).flatMap((each) => each.slice(0, 12)).flatMap((request) => (request.connection ? this.#elsewhere(request) : ["GET", "POST", "DELETE"].map((method) => ({ ...request, method }))));
    let sample: Sample | undefined;
    for (const request of samples) {
      const arrival = this.#arrives(request);
      if (!arrival) continue;
      const { allowed } = this.gateway.decide(arrival.request, arrival.route?.name);
      if (allowed) sample ??= asSample(arrival.request);
      if (allowed !== (reached.access === "all")) {
        this.findings.push({ code: "reach-contradicted", severity: "error", message: `${reached.workload}: "${reached.access}" isn't what the module says of ${request.connection ? `a connection from ${request.remote}` : `${request.method} ${request.host}${request.path}`}`, found: allowed ? "allowed" : "denied", fix: "this is a defect of `selvedge reach`: please report it" });
        return { ...reached, access: "some", reason: "under conditions that could not be worked out", sample };
      }
    }
    return { ...reached, sample };
  }

  /** A request on some route to this workload that has what the conditions ask and that the module lets through. */
  #try(conditions: readonly Condition[], by?: { policy: string; rule: number }): Sample | undefined {
    let tries = 0;
    let fallback: Sample | undefined;
    for (const each of this.#bases()) {
      for (const request of combine(each, conditions)) {
        if (tries++ >= MOST_TRIES) return fallback;
        const arrival = this.#arrives(request);
        if (!arrival) continue;
        const { allowed, rule } = this.gateway.decide(arrival.request, arrival.route?.name);
        if (!allowed) continue;
        if (!by || (rule?.policy === by.policy && rule.rule === by.rule)) return asSample(arrival.request);
        fallback ??= asSample(arrival.request);
      }
    }
    return fallback;
  }

  #arrives(request: AccessRequest): Extract<Arrival, { kind: "arrived" }> | undefined {
    const arrival = this.node.arrive(this.spot.listener, request);
    if (arrival.kind !== "arrived" || arrival.workload !== this.spot.workload) return undefined;
    return arrival.request.connection || arrival.route?.action === "forward" ? arrival : undefined;
  }

  /** What to start from: the requests of each route, or the one connection. */
  #bases(): AccessRequest[][] {
    return this.spot.chain.tcp ? [[this.#base]] : this.spot.routes.map((each) => this.#requestsFor(each));
  }

  /** The same connection from other addresses. */
  #elsewhere(request: AccessRequest): AccessRequest[] {
    return [request, ...["10.0.0.1", "127.0.0.1", "2001:db8::1"].map((address) => ({ ...request, direct: address, remote: address }))];
  }

  /** As this route matches them. */
  #requestsFor({ host, route }: { host: string; route: Route }): AccessRequest[] {
    const { match } = route;
    const headers = (match.headers ?? []).filter(({ name }) => name !== ":method").map(({ name, string_match }): [string, string] => [name, string_match.exact ?? "a"]);
    const method = match.headers?.find(({ name }) => name === ":method")?.string_match.exact ?? "GET";
    const query = (match.query_parameters ?? []).map(({ name, string_match }) => `${name}=${encodeURIComponent(string_match.exact ?? "a")}`).join("&");
    const base = match.path ?? match.path_separated_prefix ?? match.prefix ?? "/";
    const paths = match.path !== undefined ? [base] : [base, `${base.replace(/\/$/, "")}/a`, `${base.replace(/\/$/, "")}/a/b`];
    return paths.map((path) => ({ ...this.#base, host: instances(host, "any.example")[0]!.replace(/^\./, "any."), path: query ? `${path}?${query}` : path, method, headers }));
  }
}

interface Stage {
  open: boolean;
  allowed: Remaining[];
  denied: Remaining[];
}

/** Every combination of what fulfils the conditions, applied to every request; those asked first are tried first. */
function* combine(requests: AccessRequest[], conditions: readonly Condition[]): Generator<AccessRequest> {
  const [first, ...rest] = conditions;
  if (!first) {
    yield* requests;
    return;
  }
  // A path that the route makes may do as well as the policy's own.
  const ways = [...fulfilling(first), ...(first.negated || first.attribute === "path" || first.attribute === "port" || first.attribute === "destination.ip" ? [(request: AccessRequest) => request] : [])];
  // A listener has its port and addresses: a request can't bring its own.
  const possible = first.attribute === "port" || first.attribute === "destination.ip" ? ways.slice(-1) : ways;
  for (const way of possible) yield* combine(requests.map(way), rest);
}

const isEnforced = (policy: Policy): boolean => policy.annotations[DRY_RUN] !== "true" && (policy.spec.action ?? "ALLOW") !== "AUDIT" && policy.spec.action !== "CUSTOM";
const nameOf = ({ rule }: Remaining): string => `${rule.policy.id}#${rule.index}`;
const placeOf = ({ rule }: Remaining): Position => rule.policy.at(["spec", "rules", rule.index]);

function asSample({ connection, method, host, path, headers, remote, direct, sni }: AccessRequest): Sample {
  return connection ? { source: remote, direct, sni } : { method, host, path, headers };
}

function routeText(host: string, { match }: Route): string {
  const path = match.path ?? (match.safe_regex ? `~${match.safe_regex.regex}` : `${match.path_separated_prefix ?? (match.prefix === "/" ? "" : (match.prefix ?? ""))}/*`);
  const more = [...(match.headers ?? []).map(({ name, string_match }) => `${name === ":method" ? "method" : name} ${string_match.exact ?? "~"}`), ...(match.query_parameters ?? []).map(({ name }) => `?${name}`)];
  return `${host === "*" ? "" : host}${path}${more.length > 0 ? ` (${more.join(", ")})` : ""}`;
}

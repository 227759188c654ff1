/** Looks for a request on which a mutant decides otherwise than the policies: made from what both look at, and decided by the module. */
import { allConditions, IDENTITY, rulesOf, type Condition, type RuleConditions } from "../decide/conditions.ts";
import type { AuthzModule } from "../decide/module.ts";
import { Resource } from "../compose/index.ts";
import { CONNECTION, type EdgeNode, type Gateway, type Policy, type Workload } from "../decide/node.ts";
import { elsewhere, fulfilling, OUTSIDER } from "../decide/samples.ts";
import type { AccessRequest } from "../decide/request.ts";
import type { Listener } from "../decide/table.ts";
import type { Mutant } from "./mutants.ts";

export interface Difference {
  principal: string | undefined;
  method: string;
  host: string;
  path: string;
  headers: [string, string][];
  /** Of a connection: from where, and the server name. */
  connection: { source: string; direct: string; sni: string | undefined } | undefined;
  workload: string | undefined;
  /** Before and after the change. */
  from: "allow" | "deny";
  to: "allow" | "deny";
}

const MOST_TRIES = 8_000;
const MOST_WAYS = 40;
const MOST_PEERS = 6;
/** To try a change on. */
const NOBODY: AccessRequest = { ...CONNECTION, peer: undefined, tls: true, sni: undefined, direct: OUTSIDER.address, remote: OUTSIDER.address, local: { address: OUTSIDER.address, port: 1 } };

export function differing(node: EdgeNode, gateway: Gateway, module: AuthzModule, mutant: Mutant, concerned: readonly Workload[]): Difference | undefined {
  let tries = 0;
  const seen = new Set<string>();
  for (const workload of concerned) {
    const policies = [...gateway.applying(workload, "workload"), ...gateway.applying(workload, "gateway")];
    for (const { listener, request: made } of requestsFor(gateway, workload, mutant, policies)) {
      // A listener has its port: nobody can bring another.
      const request = { ...made, local: { ...made.local, port: listener.port } };
      const key = JSON.stringify([listener.name, request]);
      if (seen.has(key)) continue;
      seen.add(key);
      if (tries++ >= MOST_TRIES) return undefined;
      const arrival = node.arrive(listener, request);
      if (arrival.kind !== "arrived" || !concerned.includes(arrival.workload)) continue;
      const before = gateway.decide(arrival.request, arrival.route?.name).allowed;
      const after = module.decide(arrival.request, arrival.route?.name).allowed;
      if (before === after) continue;
      const verdict = (allowed: boolean): "allow" | "deny" => (allowed ? "allow" : "deny");
      return { principal: request.peer?.join(","), method: request.method, host: request.host, path: request.path, headers: request.headers, connection: request.connection && { source: request.remote, direct: request.direct, sni: request.sni }, workload: arrival.workload.name, from: verdict(before), to: verdict(after) };
    }
  }
  return undefined;
}

function* requestsFor(gateway: Gateway, workload: Workload, mutant: Mutant, policies: readonly Policy[]): Generator<{ listener: Listener; request: AccessRequest }> {
  const bases = gateway.listeners.flatMap((listener) => listener.chains.flatMap((chain) => chain.hosts.flatMap((host) => host.routes.flatMap(({ name, match }) => {
    if (!workload.routes.includes(name) || match.filter_state !== undefined) return [];
    const headers = (match.headers ?? []).flatMap(({ name: header, string_match }): [string, string][] => (header === ":method" ? [] : [[header, string_match.exact ?? "a"]]));
    return [{ listener, host: host.domains[0]!.replace("*", "any"), path: match.path ?? match.path_separated_prefix ?? match.prefix ?? "/", headers, sni: chain.serverNames[0]?.replace("*", "any") }];
  }))));
  // Requests that take no route are the node's own.
  if (bases.length === 0) bases.push(...gateway.listeners.map((listener) => ({ listener, host: "any.example", path: "/", headers: [] as [string, string][], sni: undefined })));
  const connection = gateway.chain !== undefined;
  const old = rulesOf(mutant.policy, connection);
  const changed = mutant.spec ? rulesOf(new Resource("AuthorizationPolicy", { ...mutant.policy.value, spec: mutant.spec }, mutant.policy.source), connection) : [];
  const rules = [...old, ...changed].filter(({ index }) => mutant.rule === undefined || index === mutant.rule);
  const others = policies.flatMap((policy) => rulesOf(policy, connection));
  const varied = [...rules, ...others].flatMap(allConditions);
  const peers = peersOf(varied);
  for (const { listener, ...start } of bases.slice(0, 4)) {
    const common = { tls: true, direct: "198.51.100.9", remote: "198.51.100.9", local: { address: listener.addresses[0]!, port: listener.port } };
    const base = peers.map((peer): AccessRequest => (connection ? { ...common, ...CONNECTION, peer, sni: gateway.chain!.serverNames[0]?.replace("*", "any") } : { ...common, method: "GET", claims: undefined, peer, ...start }));
    const near = [...base, ...rules.flatMap((rule) => base.flatMap((each) => witnesses(each, rule)))];
    const far = others.flatMap((rule) => base.flatMap((each) => witnesses(each, rule).slice(0, 3)));
    for (const request of [...near, ...far]) yield { listener, request };
    for (const starts of [near, far]) for (const request of starts) for (const way of ways(varied)) yield { listener, request: way(request) };
  }
}

/** Who may be calling: whom the policies name, nobody that they name, and somebody without a certificate. */
function peersOf(conditions: readonly Condition[]): (string[] | undefined)[] {
  const named = new Map<string, string[]>();
  for (const condition of conditions.filter(({ attribute }) => IDENTITY.has(attribute))) {
    for (const way of fulfilling({ ...condition, negated: false }, 2)) {
      const { peer } = way(NOBODY);
      if (peer) named.set(peer.join(), peer);
    }
  }
  return [...[...named.values()].slice(0, MOST_PEERS), OUTSIDER.peer, undefined];
}

/** Every value of every condition, and what none of them names. */
function ways(conditions: readonly Condition[]): ((request: AccessRequest) => AccessRequest)[] {
  const attributes = new Map(conditions.map((each) => [each.attribute, each]));
  return [...attributes.values()].flatMap(({ attribute }) => elsewhere(attribute)).concat(conditions.flatMap((each) => fulfilling({ ...each, negated: false }, 6)));
}

/** Requests that should fulfil all conditions of a rule, in each of its alternatives. */
function witnesses(base: AccessRequest, rule: RuleConditions): AccessRequest[] {
  const alternatives = (rule.from.length > 0 ? rule.from : [[]]).flatMap((source) => (rule.to.length > 0 ? rule.to : [[]]).map((operation) => [...source, ...operation, ...rule.when]));
  return alternatives.slice(0, 8).flatMap((conditions) => {
    let requests = [base];
    // Conditions on the same part of a request, such as principals and namespaces, would undo what the others set.
    for (const same of byPart(conditions)) {
      const values = same.filter(({ negated }) => !negated).flatMap((condition) => fulfilling(condition, 8));
      const others = same.filter(({ negated }) => negated).flatMap((condition) => fulfilling(condition, 8));
      requests = requests.flatMap((request) => {
        const there = values.length > 0 ? values.map((way) => way(request)) : [request];
        return [...there, ...there.flatMap((each) => others.map((way) => way(each)))];
      }).slice(0, MOST_WAYS);
    }
    return requests;
  });
}

function byPart(conditions: readonly Condition[]): Condition[][] {
  const parts = new Map<string, Condition[]>();
  for (const condition of conditions) {
    const part = IDENTITY.has(condition.attribute) ? "peer" : condition.attribute;
    parts.set(part, [...(parts.get(part) ?? []), condition]);
  }
  return [...parts.values()];
}

/** Why a request or a connection is allowed or denied: the module's decision, and the places in the policies that it comes from. */
import type { Position } from "../errors.ts";
import { DRY_RUN } from "../compose/check/authorization.ts";
import { allConditions, conditionsOf, isHttp, type Condition } from "../decide/conditions.ts";
import type { RuleName } from "../decide/module.ts";
import type { Arrival, EdgeNode, Gateway, Policy, Stage, Workload } from "../decide/node.ts";
import { Probes } from "../decide/probes.ts";
import { peerText, splitPath, type AccessRequest } from "../decide/request.ts";
import { expectedBy, foundFor } from "./found.ts";
import { conditionsOfPolicies, nearestRules, standing, type NearRule } from "./nearest.ts";

export type Verdict = "allow" | "deny" | "refuse" | "redirect";

export interface DecidingRule {
  /** `<namespace>/<name>#<index>`. */
  name: string;
  action: "ALLOW" | "DENY";
  where: Position | undefined;
  /** Why it matches: the conditions that hold. */
  conditions: { field: string; found: string; expected: string; where: Position }[];
}

export interface Explanation {
  verdict: Verdict;
  /** One sentence. */
  reason: string;
  /** Undefined: it is a connection. */
  request: { principal: string; method: string; host: string; path: string } | undefined;
  connection: { principal: string; source: string; destination: string; sni: string | undefined } | undefined;
  listener: string;
  route: string | undefined;
  /** `<namespace>/<workload>`; undefined: no workload's route. */
  workload: string | undefined;
  stage: "connection" | Stage;
  by: DecidingRule | undefined;
  /** Policies that apply at that stage. */
  policies: { name: string; action: string; dryRun: boolean; rules: number; where: Position }[];
  /** For a request that no ALLOW rule took. */
  nearest: NearRule[];
  dryRun: { verdict: "allow" | "deny"; by: DecidingRule | undefined } | undefined;
  /** Attributes that policies here look at and that the request doesn't say: what was taken for them. */
  assumed: string[];
}

export interface ExplainOptions {
  /** How many of the nearest rules. Default 5. */
  nearest?: number;
  /** What of the request is taken for granted: attribute, and in which words. */
  assumed?: Record<string, string>;
}

export function explain(node: EdgeNode, arrival: Exclude<Arrival, { kind: "unknown" }>, request: AccessRequest, options: ExplainOptions = {}): Explanation {
  const { listener } = arrival;
  const principal = peerText(request.peer);
  const asked = (path: string): Pick<Explanation, "request" | "connection"> => request.connection
    ? { request: undefined, connection: { principal, source: request.remote, destination: endpointText(request.local), sni: request.sni } }
    : { request: { principal, method: request.method, host: request.host, path: splitPath(path).path }, connection: undefined };
  const empty = { ...asked(request.path), listener: listener.name, route: undefined, workload: undefined, stage: "connection" as const, by: undefined, policies: [], nearest: [], dryRun: undefined, assumed: [] };
  if (arrival.kind === "refused") return { ...empty, verdict: "refuse", reason: `refused before any policy is asked: ${arrival.reason}` };
  if (arrival.kind === "redirected") {
    return { ...empty, verdict: "redirect", reason: `the path has escaped slashes: Envoy answers 307 with ${splitPath(arrival.path).path}, before any policy is asked` };
  }
  const { workload, route, gateway } = arrival;
  const seen = arrival.request;
  const decision = gateway.decide(seen, route?.name);
  const applying = gateway.applying(workload, decision.stage);
  const enforced = applying.filter((policy) => !isDryRun(policy) && decides(policy));
  const missed = !decision.allowed && decision.rule === undefined && !decision.ambiguous;
  const allows = enforced.filter((policy) => policy.spec.action !== "DENY");
  const named = [decision.rule, decision.dryRun?.rule].flatMap((rule) => (rule && node.policy(rule.policy) ? [conditionsOf(node.policy(rule.policy)!, rule.rule, seen.connection)] : []));
  const conditions = [...(missed ? conditionsOfPolicies(allows, seen.connection) : []), ...named.flatMap(({ from, to, when }) => [...from.flat(), ...to.flat(), ...when])];
  const holds = conditions.length > 0 ? probe(gateway, conditions, seen) : () => false;
  const decidedBy = (rule: RuleName | undefined): DecidingRule | undefined => rule && deciding(node, rule, seen, holds);
  return {
    verdict: decision.allowed ? "allow" : "deny",
    reason: reasonFor(decision, workload, enforced, route === undefined && !seen.connection) + (seen.connection ? withoutHttp(node, decision.rule) : decision.allowed ? handedOver(applying) : ""),
    ...asked(seen.path),
    listener: listener.name,
    route: route?.name,
    workload: workload.name,
    stage: decision.stage,
    by: decidedBy(decision.rule),
    policies: applying.map((policy) => ({ name: policy.id, action: policy.spec.action ?? "ALLOW", dryRun: isDryRun(policy), rules: policy.spec.rules?.length ?? 0, where: policy.at(["metadata", "name"]) })),
    nearest: missed ? nearestRules(allows, seen, holds, options.nearest ?? 5) : [],
    dryRun: decision.dryRun && { verdict: decision.dryRun.allowed ? "allow" : "deny", by: decidedBy(decision.dryRun.rule) },
    assumed: assumptions(options.assumed ?? {}, [...gateway.applying(workload, "workload"), ...gateway.applying(workload, "gateway")]),
  };
}

function probe(gateway: Gateway, conditions: Condition[], request: AccessRequest): (condition: Condition) => boolean {
  const probes = new Probes(gateway, conditions);
  try {
    return probes.holding(request);
  } finally {
    probes.close();
  }
}

function deciding(node: EdgeNode, { policy: id, rule }: RuleName, request: AccessRequest, holds: (condition: Condition) => boolean): DecidingRule {
  const policy = node.policy(id);
  const name = `${id}#${rule}`;
  if (!policy) return { name, action: "ALLOW", where: undefined, conditions: [] };
  const { held } = standing(conditionsOf(policy, rule, request.connection), holds);
  return {
    name,
    action: policy.spec.action === "DENY" ? "DENY" : "ALLOW",
    where: policy.at(["spec", "rules", rule]),
    conditions: held.map((condition) => ({ field: condition.field, found: foundFor(condition.attribute, request), expected: expectedBy(condition), where: policy.at(condition.path, "key") })),
  };
}

function reasonFor({ allowed, rule, ambiguous, stage }: { allowed: boolean; rule: RuleName | undefined; ambiguous: boolean; stage: Stage }, workload: Workload, enforced: readonly Policy[], noRoute: boolean): string {
  const where = workload.name ?? "the node (no workload's route)";
  const then = noRoute ? "; no route takes it, so Envoy answers 404" : "";
  if (ambiguous) return "the certificate has more than one URI SAN: that is no valid SPIFFE identity, so no policy is asked";
  if (allowed) {
    if (rule) return `an ALLOW rule matches, and no DENY rule does${then}`;
    return (enforced.length === 0 ? `no policy applies to ${where}: everyone may` : `no DENY rule matches, and no ALLOW policy applies to ${where}, which would be needed to keep anyone out`) + then;
  }
  if (rule) return `a DENY rule matches${stage === "gateway" ? ", at the Gateway's stage" : ""}`;
  const count = enforced.filter((policy) => policy.spec.action !== "DENY").length;
  return `${stage === "gateway" ? "the Gateway" : where} has ${count} ALLOW ${count === 1 ? "policy" : "policies"}, and no rule of ${count === 1 ? "it" : "them"} matches`;
}

/** AUDIT decides nothing, and CUSTOM has somebody else decide. */
const decides = ({ spec }: Policy): boolean => spec.action !== "AUDIT" && spec.action !== "CUSTOM";

function handedOver(applying: readonly Policy[]): string {
  const custom = applying.filter(({ spec }) => spec.action === "CUSTOM");
  return custom.length === 0 ? "" : `; then provider ${custom[0]!.spec.provider!.name} decides, if a rule of ${custom.map(({ id }) => id).join(" or ")} (CUSTOM) matches`;
}

/** As in Istio, a DENY rule goes on without what connections don't have. */
function withoutHttp(node: EdgeNode, rule: RuleName | undefined): string {
  const policy = rule && node.policy(rule.policy);
  if (!policy || policy.spec.action !== "DENY") return "";
  const fields = [...new Set(allConditions(conditionsOf(policy, rule.rule)).filter(({ attribute }) => isHttp(attribute)).map(({ field }) => field))];
  return fields.length === 0 ? "" : `: a connection has no ${fields.join(", ")}, so that the rule holds without ${fields.length === 1 ? "it" : "them"}`;
}

const endpointText = ({ address, port }: { address: string; port: number }): string => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);

/** Only what some policy here looks at is worth a word. */
function assumptions(assumed: Record<string, string>, policies: readonly Policy[]): string[] {
  const used = new Set<string>(conditionsOfPolicies(policies).map(({ attribute }) => attribute));
  return Object.entries(assumed).flatMap(([attribute, text]) => (used.has(attribute) ? [text] : []));
}

function isDryRun(policy: Policy): boolean {
  return policy.annotations[DRY_RUN] === "true";
}

/** Tokens: only a RequestAuthentication verifies them, and it alone requires none. */
import type { Resource } from "../compose/load.ts";
import { Report } from "../compose/report.ts";
import { attaches, attachesToGateway, resolveWorkloads } from "../compose/resolve/attachment.ts";
import { rulesOf } from "../compose/resolve/index.ts";
import { speaksHttp, type Model } from "../compose/resolve/model.ts";
import { placeOf, restricts, type Constraint, type Policy, type Rule } from "./clauses.ts";

const isToken = ({ attribute }: Constraint): boolean => attribute.startsWith("request.auth.");
const tokensOf = ({ clauses }: Rule): Constraint[] => clauses.flatMap(({ constraints }) => constraints.filter(isToken));

/** Where requests go, and what holds there. */
interface Destination {
  name: string;
  policies: Policy[];
  authentications: Resource<"RequestAuthentication">[];
}

export function lintTokens(rules: Rule[], model: Model, rootNamespace: string, report: Report): void {
  const destinations = destinationsOf(model, rootNamespace);
  for (const rule of rules) {
    const guarded = destinations.filter(({ policies }) => policies.includes(rule.policy));
    const without = guarded.filter(({ authentications }) => authentications.length === 0);
    if (without.length > 0 && rule.policy.spec.action !== "AUDIT") lintUnverified(rule, without.map(({ name }) => name), without.length === guarded.length, report);
  }
  for (const { resource } of model.authentications) {
    const here = destinations.filter(({ authentications }) => authentications.includes(resource));
    const open = here.filter(({ policies }) => !rules.some((rule) => policies.includes(rule.policy) && rule.policy.spec.action !== "AUDIT" && tokensOf(rule).length > 0));
    if (open.length === 0) continue;
    report.warn("token-not-required", resource, ["metadata", "name"], `it refuses tokens that are wrong, and a request without any passes: no policy of ${namesOf(open.map(({ name }) => name))} asks for one`, {
      fix: 'add an AuthorizationPolicy: DENY from notRequestPrincipals: ["*"], or ALLOW with requestPrincipals',
    });
  }
}

function destinationsOf(model: Model, rootNamespace: string): Destination[] {
  const verifying = model.authentications.map(({ resource }) => resource).filter(({ spec }) => (spec.jwtRules ?? []).length > 0);
  return model.gateways.filter(({ sockets }) => sockets.some(({ protocol }) => speaksHttp(protocol))).flatMap((gateway) => {
    const gate = {
      policies: model.policies.filter((policy) => attachesToGateway(policy, gateway, rootNamespace)),
      authentications: verifying.filter((each) => attachesToGateway(each, gateway, rootNamespace)),
    };
    const workloads = resolveWorkloads(rulesOf(gateway), model.policies, rootNamespace, new Report());
    return workloads.map((workload): Destination => ({
      name: workload.name,
      policies: [...gate.policies, ...model.policies.filter((policy) => attaches(policy, workload, rootNamespace))],
      authentications: [...gate.authentications, ...verifying.filter((each) => attaches(each, workload, rootNamespace))],
    }));
  });
}

/** A rule on tokens where none is ever verified. */
function lintUnverified(rule: Rule, destinations: string[], everywhere: boolean, report: Report): void {
  const { policy } = rule;
  const nobody = `no RequestAuthentication verifies tokens for ${namesOf(destinations)}`;
  const fix = "add a RequestAuthentication with the issuer's keys for the same workload";
  const tokens = tokensOf(rule);
  const wanted = tokens.find(({ values }) => values.length > 0);
  if (wanted) {
    const surely = everywhere && rule.clauses.every(({ constraints }) => constraints.some((each) => isToken(each) && each.values.length > 0));
    const effect = restricts(policy) ? "nothing is denied by it there" : "it allows nobody there";
    report[surely && restricts(policy) ? "error" : "warn"]("token-never-there", policy, placeOf(wanted), `${nobody}, so that no request has what this asks for: ${effect}`, { fix, part: "key" });
  } else if (tokens[0] && restricts(policy)) {
    report.warn("token-always-missing", policy, placeOf(tokens[0]), `${nobody}, so that every request is without one, and this denies as if it weren't there`, { fix, part: "key" });
  }
}

function namesOf(names: string[]): string {
  return names.length <= 3 ? names.join(", ") : `${names.slice(0, 3).join(", ")} and ${names.length - 3} more`;
}

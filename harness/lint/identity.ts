/** Rules on who calls, where a caller need not say who it is. */
import type { Report } from "../compose/report.ts";
import { restricts, placeOf, type Clause, type Rule } from "./clauses.ts";
import type { Attached } from "./attached.ts";

const IDENTITY = ["source.principal", "source.namespace", "source.serviceAccount", "source.trustDomain"];

export function lintIdentity(rule: Rule, attached: Attached, report: Report): void {
  if (rule.policy.spec.action === "AUDIT") return;
  const open = attached.sockets(rule.policy).filter((socket) => socket.listeners.some((each) => (each.tls?.clientAuthorities.length ?? 0) === 0));
  for (const clause of rule.clauses) {
    lintToken(rule, clause, report);
    if (open.length > 0 && lintAnonymous(rule, clause, open.map((socket) => socket.name).join(", "), report)) return;
  }
}

/** True: something was reported, once for the rule is enough. */
function lintAnonymous(rule: Rule, clause: Clause, listeners: string, report: Report): boolean {
  const about = clause.constraints.filter(({ attribute }) => IDENTITY.includes(attribute));
  const named = about.filter(({ values }) => values.length > 0);
  const first = about[0];
  if (!first) return false;
  const fix = "have the Gateway ask for client certificates: spec.tls.frontend.default.validation";
  if (restricts(rule.policy) && named.length > 0) {
    report.warn("deny-without-mtls", rule.policy, placeOf(named[0]!), `a caller without a certificate is nobody, so that this ${rule.policy.spec.action} doesn't concern it; ${listeners} asks for none`, { fix: `${fix}; or allow by name instead of denying` });
  } else if (!restricts(rule.policy) && named.length === 0) {
    report.warn("allow-without-mtls", rule.policy, placeOf(first), `a caller without a certificate is in no list, so that this rule allows it; ${listeners} asks for none`, { fix: `${fix}; or name who may call` });
  } else if (!restricts(rule.policy)) {
    report.warn("principal-without-mtls", rule.policy, placeOf(named[0]!), `nobody can match this at ${listeners}, which asks for no client certificate`, { fix });
  } else return false;
  return true;
}

/** A request without a token is in no list of principals either. */
function lintToken(rule: Rule, clause: Clause, report: Report): void {
  if (restricts(rule.policy)) return;
  const tokens = clause.constraints.filter(({ attribute }) => attribute.startsWith("request.auth."));
  if (tokens.length === 0 || tokens.some(({ values }) => values.length > 0)) return;
  report.warn("allow-without-token", rule.policy, placeOf(tokens[0]!), "a request without a token is in no list, so that this rule allows it", { fix: 'ask for a token as well: requestPrincipals: ["*"]' });
}

/** How a rule is called: `<namespace>/<policy>` and its index. */
import { View, utf8 } from "../../sdk/assembly/bytes";
import { PolicyRecord, RuleRecord } from "./match/records";
import { put, putNumber } from "../../sdk/assembly/line";

const SLASH = utf8("/");

/** What denies apart from policies. */
export enum Unusual { No, AmbiguousIdentity, NoBundle }

/** Its name, where there is no rule. */
export function unusualName(why: Unusual): View {
  if (why == Unusual.No) return utf8("none");
  return why == Unusual.NoBundle ? utf8("no_valid_bundle") : utf8("ambiguous_identity");
}

export function putName(rule: RuleRecord): void {
  const policy = changetype<PolicyRecord>(rule.policy);
  put(policy.namespace);
  put(SLASH);
  put(policy.name);
}

export function putRule(rule: RuleRecord): void {
  putNumber(rule.index);
}

/** How a rule is called: `<namespace>/<policy>` and its index. */
import { utf8 } from "../../sdk/assembly/bytes";
import { PolicyRecord, RuleRecord } from "./match/records";
import { put, putNumber } from "../../sdk/assembly/line";

const SLASH = utf8("/");

export function putName(rule: RuleRecord): void {
  const policy = changetype<PolicyRecord>(rule.policy);
  put(policy.namespace);
  put(SLASH);
  put(policy.name);
}

export function putRule(rule: RuleRecord): void {
  putNumber(rule.index);
}

/**
 * `selvedge_authz_{allowed,denied,audited,custom}_total` and the `dry_run` counterparts of the first two, labelled by policy and rule. An id is asked for
 * when a rule first decides, and kept with the rule: defining costs more than counting, and leaks.
 */
import { MetricTypeValues } from "../../sdk/assembly/abi/enums";
import { View, utf8 } from "../../sdk/assembly/bytes";
import { defineMetric, incrementMetric } from "../../sdk/assembly/metrics";
import { RuleRecord } from "./match/records";
import { Unusual, putName, putRule, unusualName } from "./names";
import { endLine, put, startLine } from "../../sdk/assembly/line";

const ALLOWED = utf8("selvedge_authz_allowed_total");
const DENIED = utf8("selvedge_authz_denied_total");
const DRY_RUN_ALLOWED = utf8("selvedge_authz_dry_run_allowed_total");
const DRY_RUN_DENIED = utf8("selvedge_authz_dry_run_denied_total");
const AUDITED = utf8("selvedge_authz_audited_total");
const CUSTOM = utf8("selvedge_authz_custom_total");
const POLICY = utf8(".policy=.");
const RULE = utf8(";.rule=.");
const END = utf8(";");
const NONE = utf8("none");

/** Ids + 1 of the counters that no rule keeps, by name: denied, allowed, and the same on trial; then the {@link Unusual}. */
const kept = memory.data(32, 4);

export function countDecision(rule: RuleRecord | null, allowed: bool): void {
  count(allowed ? ALLOWED : DENIED, u32(allowed), rule, NONE);
}

export function countDryRun(rule: RuleRecord | null, allowed: bool): void {
  count(allowed ? DRY_RUN_ALLOWED : DRY_RUN_DENIED, 2 + u32(allowed), rule, NONE);
}

export function countAudit(rule: RuleRecord | null): void {
  count(AUDITED, 0, rule, NONE);
}

/** Of a request that is handed over to the rule's provider. */
export function countHandOver(rule: RuleRecord | null): void {
  count(CUSTOM, 0, rule, NONE);
}

export function countUnusual(why: Unusual): void {
  count(DENIED, 3 + why, null, unusualName(why));
}

/** A rule allows, denies, hands over or is audited, enforced or on trial: it needs one counter. */
function count(name: View, index: u32, rule: RuleRecord | null, otherwise: View): void {
  const id = rule !== null ? changetype<usize>(rule) + offsetof<RuleRecord>("metric") : kept + (<usize>index << 2);
  if (load<u32>(id) == 0) store<u32>(id, define(name, rule, otherwise));
  incrementMetric(load<u32>(id) - 1, 1);
}

/** The id + 1, so that 0 stands for "not yet". */
function define(name: View, rule: RuleRecord | null, otherwise: View): u32 {
  startLine();
  put(name);
  put(POLICY);
  if (rule === null) put(otherwise);
  else putName(rule);
  put(RULE);
  if (rule === null) put(NONE);
  else putRule(rule);
  put(END);
  return defineMetric(MetricTypeValues.Counter, endLine()) + 1;
}

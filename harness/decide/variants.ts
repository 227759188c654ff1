/**
 * Policies as they would decide if the conditions on some attributes all spoke for a request, or all against it. Where both
 * come to the same, the decision doesn't depend on those attributes, and needn't be guessed.
 */
import type { AuthorizationRule, AuthorizationSpec } from "../compose/schema/authorization.ts";
import { allConditions, conditionsOf, NEVER, rulesOf, type Attribute, type Condition } from "./conditions.ts";
import type { Policy } from "./node.ts";

/** What the enforced and trial rules of these policies look at. */
export function attributesOf(policies: readonly Policy[]): Set<Attribute> {
  return new Set(policies.flatMap((policy) => rulesOf(policy).flatMap((rule) => allConditions(rule).map(({ attribute }) => attribute))));
}

/** The policy's spec with all conditions on `open` attributes holding or failing: whatever of the two favours `allow`. */
export function favouring(policy: Policy, open: ReadonlySet<Attribute>, allow: boolean): AuthorizationSpec {
  const { spec } = policy;
  if (!spec.rules) return spec;
  const holds = (spec.action === "DENY") !== allow;
  return { ...spec, rules: spec.rules.map((rule, index) => favouredRule(rule, conditionsOf(policy, index), open, holds)) };
}

function favouredRule(rule: AuthorizationRule, { from, to, when }: ReturnType<typeof conditionsOf>, open: ReadonlySet<Attribute>, holds: boolean): AuthorizationRule {
  const isOpen = ({ attribute }: Condition): boolean => open.has(attribute);
  if (![...from.flat(), ...to.flat(), ...when].some(isOpen)) return rule;
  if (!holds) {
    const sources = rule.from?.filter((_, index) => !from[index]!.some(isOpen));
    const operations = rule.to?.filter((_, index) => !to[index]!.some(isOpen));
    if (when.some(isOpen) || sources?.length === 0 || operations?.length === 0) return NEVER; // rules keep their index, so that the names of the others stay
    return { ...rule, ...(sources && { from: sources }), ...(operations && { to: operations }) };
  }
  const result: AuthorizationRule = {};
  const sources = rule.from?.map(({ source }, index) => without(source, from[index]!.filter(isOpen)));
  const operations = rule.to?.map(({ operation }, index) => without(operation, to[index]!.filter(isOpen)));
  // One alternative that asks nothing makes the others needless.
  if (sources?.every(hasFields)) result.from = sources.map((source) => ({ source }));
  if (operations?.every(hasFields)) result.to = operations.map((operation) => ({ operation }));
  const closed = rule.when?.filter((_, index) => !when.some((each) => each.path[4] === index && isOpen(each)));
  if (closed?.length) result.when = closed;
  return result;
}

function without<T extends object>(fields: T, conditions: readonly Condition[]): T {
  const names = new Set(conditions.map(({ field }) => field));
  return Object.fromEntries(Object.entries(fields).filter(([name]) => !names.has(name))) as T;
}

const hasFields = (fields: object): boolean => Object.values(fields).some((values: unknown) => Array.isArray(values) && values.length > 0);

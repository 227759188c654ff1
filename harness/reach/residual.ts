/** What is left of a policy's rules once it is known who calls where: which can't match any more, and which conditions the others still have. */
import { IDENTITY, isHttp, rulesOf, type Condition, type RuleConditions } from "../decide/conditions.ts";
import type { Policy } from "../decide/node.ts";

/** One way in which a rule can still match: all of these conditions. */
export interface Remaining {
  rule: RuleConditions;
  conditions: Condition[];
}

/** Every way in which these policies' rules can still match. @param holds of conditions that are settled already, whether they hold; undefined for others */
export function remaining(policies: readonly Policy[], holds: (condition: Condition) => boolean | undefined, connection = false): Remaining[] {
  return policies.flatMap((policy) => rulesOf(policy, connection)).flatMap((rule) => {
    if (connection && rule.when.some(({ attribute }) => isHttp(attribute))) return [];
    const open = (conditions: Condition[]): Condition[] | undefined => (conditions.every((each) => holds(each) !== false) ? conditions.filter((each) => holds(each) === undefined) : undefined);
    const alternatives = (lists: Condition[][]): Condition[][] => (lists.length === 0 ? [[]] : shortest(lists.flatMap((each) => (open(each) ? [open(each)!] : []))));
    const when = open(rule.when);
    if (!when) return [];
    return alternatives(rule.from).flatMap((source) => alternatives(rule.to).map((operation) => ({ rule, conditions: [...operation, ...source, ...when] })));
  });
}

/** An alternative that asks nothing makes the others needless. */
function shortest(lists: Condition[][]): Condition[][] {
  return lists.some((each) => each.length === 0) ? [[]] : lists;
}

/** Does the caller, or the listener, settle it, or may it with some listener? A listener has its port, and without TLS there is no server name. */
export const isSettled = ({ attribute }: Condition, tls = false): boolean => IDENTITY.has(attribute) || attribute === "port" || (attribute === "sni" && !tls);

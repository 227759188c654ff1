/** For a request that no ALLOW rule took: which rules came nearest, and where each of them failed. */
import type { Position } from "../errors.ts";
import { allConditions, rulesOf, type Condition, type RuleConditions } from "../decide/conditions.ts";
import type { Policy } from "../decide/node.ts";
import type { AccessRequest } from "../decide/request.ts";
import { expectedBy, foundFor } from "./found.ts";

export interface FailedCondition {
  field: string;
  /** What the request has. */
  found: string;
  expected: string;
  where: Position;
}

export interface NearRule {
  policy: string;
  rule: number;
  where: Position;
  fulfilled: number;
  conditions: number;
  /** In the order in which the rule is read: sources, operations, conditions. The first is the one to look at first. */
  failed: FailedCondition[];
}

/** A rule as it stands to one request: of several sources or operations only the one that comes nearest counts. */
interface Standing {
  rule: RuleConditions;
  held: Condition[];
  failed: Condition[];
}

/** @param connection as the rules stand to connections */
export function rulesOfPolicies(policies: readonly Policy[], connection = false): RuleConditions[] {
  return policies.flatMap((policy) => rulesOf(policy, connection));
}

export function conditionsOfPolicies(policies: readonly Policy[], connection = false): Condition[] {
  return rulesOfPolicies(policies, connection).flatMap(allConditions);
}

/**
 * Nearest first: the greatest part of its conditions fulfilled, then the most conditions, then by name. Rules of which nothing
 * is fulfilled are named only where there are no others.
 */
export function nearestRules(policies: readonly Policy[], request: AccessRequest, holds: (condition: Condition) => boolean, most: number): NearRule[] {
  const all = rulesOfPolicies(policies, request.connection)
    .map((rule) => standing(rule, holds))
    .map((each) => ({ ...each, part: each.held.length / (each.held.length + each.failed.length || 1) }));
  const near = all.filter(({ held }) => held.length > 0);
  return (near.length > 0 ? near : all)
    .sort((a, b) => b.part - a.part || b.held.length - a.held.length || compare(a.rule.policy.id, b.rule.policy.id) || a.rule.index - b.rule.index)
    .slice(0, most)
    .map(({ rule, held, failed }) => ({
      policy: rule.policy.id,
      rule: rule.index,
      where: rule.policy.at(["spec", "rules", rule.index]),
      fulfilled: held.length,
      conditions: held.length + failed.length,
      failed: failed.map((condition) => failedCondition(rule.policy, condition, request)),
    }));
}

export function failedCondition(policy: Policy, condition: Condition, request: AccessRequest): FailedCondition {
  return { field: condition.field, found: foundFor(condition.attribute, request), expected: expectedBy(condition), where: policy.at(condition.path, "key") };
}

export function standing(rule: RuleConditions, holds: (condition: Condition) => boolean): Standing {
  const parts = [nearestOf(rule.from, holds), nearestOf(rule.to, holds), split(rule.when, holds)];
  return { rule, held: parts.flatMap(({ held }) => held), failed: parts.flatMap(({ failed }) => failed) };
}

function nearestOf(alternatives: Condition[][], holds: (condition: Condition) => boolean): Pick<Standing, "held" | "failed"> {
  const all = alternatives.map((conditions) => split(conditions, holds));
  return all.sort((a, b) => a.failed.length - b.failed.length || b.held.length - a.held.length)[0] ?? { held: [], failed: [] };
}

function split(conditions: Condition[], holds: (condition: Condition) => boolean): Pick<Standing, "held" | "failed"> {
  return { held: conditions.filter(holds), failed: conditions.filter((condition) => !holds(condition)) };
}

const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);

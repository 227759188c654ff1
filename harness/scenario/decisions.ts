/**
 * Who decided: read back from the counters in which the authorization filter counts each decision by policy and rule.
 * Counters say nothing of single requests, so the difference over one entry of the traffic, played alone, is taken. Pure.
 */

/** Matches the counters' names, for Envoy's admin interface. */
export const DECISION_STATS = "^wasmcustom\\.selvedge_authz_(allowed|denied)_total\\.";

const NAME = /^wasmcustom\.selvedge_authz_(allowed|denied)_total\.policy=\.(.*?);\.rule=\.(.*?);$/;

export interface Decision {
  allowed: boolean;
  /** `namespace/name`; `none` where no policy matched. */
  policy: string;
  /** Index in the policy's rules, where one matched. */
  rule?: number;
  count: number;
}

/** What was decided between two readings of the counters (Envoy's full stat names), the most frequent first. */
export function decisionsBetween(before: ReadonlyMap<string, number>, after: ReadonlyMap<string, number>): Decision[] {
  const decisions: Decision[] = [];
  for (const [stat, value] of after) {
    const [, kind, policy, rule] = NAME.exec(stat) ?? [];
    const count = value - (before.get(stat) ?? 0);
    if (policy === undefined || count <= 0) continue;
    decisions.push({ allowed: kind === "allowed", policy, ...(/^\d+$/.test(rule!) && { rule: Number(rule) }), count });
  }
  return decisions.sort((a, b) => b.count - a.count || (a.policy < b.policy ? -1 : 1));
}

/** As a Scenario writes it: `namespace/name#rule`, or without a rule the policy alone. */
export function decisionName({ policy, rule }: Pick<Decision, "policy" | "rule">): string {
  return rule === undefined ? policy : `${policy}#${rule}`;
}

import { BASELINE } from "./variants.ts";
import { differences, quantile, ratio, summarize, type Summary } from "./statistics.ts";
import type { Variant } from "./variants.ts";

/** What one variant cost, in CPU µs per request. */
export interface VariantResult {
  id: string;
  title: string;
  baseline: string | null;
  /** Whole requests; and, except for a baseline, above it. Undefined where it couldn't be measured. */
  total?: Summary;
  above?: Summary;
  /** Above the baseline in the quietest tenth of the rounds: what is left of it when nothing else disturbs. */
  quiet?: number;
  missing?: string;
  canaryShare?: number;
  /** What `total` summarizes: one value per round, rounds in the same order in every variant. */
  samples?: readonly number[];
}

const QUIET = 0.1;

export type Verdict = "pass" | "falls short" | "not measured";

/** One of the ratios that the project set itself as limits. */
export interface LimitResult {
  what: string;
  /** `a ≤ factor × b`. */
  a: string;
  b: string;
  factor: number;
  ratio?: { value: number; low: number; high: number };
  verdict: Verdict;
}

export interface Limit {
  what: string;
  a: string;
  b: string;
  factor: number;
}

/** Each compares costs above the baseline, within one run. */
export const LIMITS: readonly Limit[] = [
  { what: "authz with 10 policies, to its empty module", a: "authz/10", b: "empty/authz", factor: 2 },
  { what: "authz with 5,000 policies, to itself with 10", a: "authz/5000", b: "authz/10", factor: 1.25 },
  { what: "authz with 1,000 policies, to native RBAC policies", a: "authz/1000", b: "rbac/1000", factor: 1 / 8 },
  { what: "edge, to the three as separate modules", a: "edge", b: "three", factor: 0.6 },
  { what: "edge, to its empty module", a: "edge", b: "empty/edge", factor: 4.5 },
];

export function summarizeVariants(variants: readonly Variant[], costs: ReadonlyMap<string, readonly number[]>, canaryShares: ReadonlyMap<string, number>): VariantResult[] {
  return variants.map(({ id, title, baseline, missing }) => {
    const values = costs.get(id);
    const base = baseline === null ? undefined : costs.get(baseline);
    return { id, title, baseline, missing, total: values && summarize(values), above: values && base && summarize(differences(values, base)), quiet: values && base && quantile(values, QUIET) - quantile(base, QUIET), canaryShare: canaryShares.get(id), samples: values };
  });
}

/** As measured, without any tolerance: whoever reads it sees the interval too. */
export function checkLimits(costs: ReadonlyMap<string, readonly number[]>, limits: readonly Limit[] = LIMITS): LimitResult[] {
  const baseline = costs.get(BASELINE);
  return limits.map((limit) => {
    const [a, b] = [costs.get(limit.a), costs.get(limit.b)];
    if (!a || !b || !baseline) return { ...limit, verdict: "not measured" };
    const measured = ratio(differences(a, baseline), differences(b, baseline));
    return { ...limit, ratio: measured, verdict: measured.value <= limit.factor ? "pass" : "falls short" };
  });
}

/** How much the baseline itself wavered: interquartile range over median. Above 0.1 small differences mean little. */
export function noise(costs: ReadonlyMap<string, readonly number[]>): number {
  const baseline = costs.get(BASELINE);
  if (!baseline) return NaN;
  const { low, high, median } = summarize(baseline);
  return (high - low) / median;
}

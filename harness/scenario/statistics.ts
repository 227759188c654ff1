/** The statistics of the summary: intervals for proportions, quantiles of histograms. Pure. */

/** A two-sided confidence level, and the normal quantile that goes with it. */
const Z = { "0.95": 1.959963984540054, "0.999": 3.290526731491895 } as const;

export type Confidence = keyof typeof Z;

export interface Interval {
  low: number;
  high: number;
}

/**
 * Wilson's score interval for a proportion (E. B. Wilson, 1927). Unlike the textbook interval it holds for small counts
 * and near 0 and 1, which is where a canary's share lies. Without any trial nothing is known: 0 to 1.
 *
 * @param successes 0 to `trials`
 */
export function wilson(successes: number, trials: number, confidence: Confidence = "0.95"): Interval {
  if (trials === 0) return { low: 0, high: 1 };
  const z = Z[confidence];
  const share = successes / trials;
  const scale = 1 + (z * z) / trials;
  const centre = (share + (z * z) / (2 * trials)) / scale;
  const spread = (z / scale) * Math.sqrt((share * (1 - share)) / trials + (z * z) / (4 * trials * trials));
  // At the ends the bound is exactly 0 or 1; arithmetic leaves some 1e-17 there.
  return {
    low: successes === 0 ? 0 : Math.max(0, centre - spread),
    high: successes === trials ? 1 : Math.min(1, centre + spread),
  };
}

/** One bucket as Prometheus writes it: how many observations were at most `le`. */
export interface Bucket {
  le: number;
  count: number;
}

/** A quantile; `beyond` when it lies above the last finite bucket bound, which `value` then is. */
export interface Quantile {
  value: number;
  beyond: boolean;
}

/**
 * The q-quantile of a cumulative histogram, by linear interpolation within its bucket, as Prometheus'
 * `histogram_quantile` does: the first bucket starts at 0. Undefined for an empty histogram.
 *
 * @param q 0 to 1
 */
export function quantile(buckets: readonly Bucket[], q: number): Quantile | undefined {
  const sorted = [...buckets].sort((a, b) => a.le - b.le);
  const total = sorted.at(-1)?.count ?? 0;
  if (total === 0) return undefined;
  const rank = q * total;
  let below: Bucket = { le: 0, count: 0 };
  for (const bucket of sorted) {
    if (bucket.count >= rank && bucket.count > below.count) {
      if (bucket.le === Infinity) return { value: below.le, beyond: true };
      const share = Math.max(0, rank - below.count) / (bucket.count - below.count);
      return { value: below.le + (bucket.le - below.le) * share, beyond: false };
    }
    below = bucket;
  }
  return undefined;
}

/** One histogram from the buckets of several: counts per bound, in ascending order. */
export function sumBuckets(buckets: readonly Bucket[]): Bucket[] {
  const counts = new Map<number, number>();
  for (const { le, count } of buckets) counts.set(le, (counts.get(le) ?? 0) + count);
  return [...counts].map(([le, count]) => ({ le, count })).sort((a, b) => a.le - b.le);
}

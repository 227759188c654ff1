/** Pure statistics of the benchmark. A sample is one value per round; sample i of two variants is of the same round. */

export interface Summary {
  median: number;
  /** First and third quartile. */
  low: number;
  high: number;
  rounds: number;
}

/** Quantile with linear interpolation between the neighbours. @param q 0 to 1 */
export function quantile(values: readonly number[], q: number): number {
  if (values.length === 0) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = (sorted.length - 1) * q;
  const below = Math.floor(at);
  const low = sorted[below]!;
  return low + (sorted[Math.min(below + 1, sorted.length - 1)]! - low) * (at - below);
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

export function summarize(values: readonly number[]): Summary {
  return { median: median(values), low: quantile(values, 0.25), high: quantile(values, 0.75), rounds: values.length };
}

/** Round by round, so that what slows the whole machine for a while cancels out. */
export function differences(values: readonly number[], baseline: readonly number[]): number[] {
  return values.map((value, round) => value - baseline[round]!);
}

/**
 * Ratio of two medians, with the interval that 90 % of resampled runs fall into (bootstrap over rounds). A median of
 * per-round ratios would be worse here: the cost of an empty module is of the size of the noise of one round.
 */
export function ratio(numerator: readonly number[], denominator: readonly number[], resamples = 1000): { value: number; low: number; high: number } {
  const random = mulberry32(numerator.length);
  const ratios = Array.from({ length: resamples }, () => {
    const rounds = numerator.map(() => Math.floor(random() * numerator.length));
    return median(rounds.map((round) => numerator[round]!)) / median(rounds.map((round) => denominator[round]!));
  });
  return { value: median(numerator) / median(denominator), low: quantile(ratios, 0.05), high: quantile(ratios, 0.95) };
}

/** Change per second of a line through the points (least squares). */
export function slope(points: readonly { seconds: number; value: number }[]): number {
  const meanX = points.reduce((sum, { seconds }) => sum + seconds, 0) / points.length;
  const meanY = points.reduce((sum, { value }) => sum + value, 0) / points.length;
  const spread = points.reduce((sum, { seconds }) => sum + (seconds - meanX) ** 2, 0);
  return spread === 0 ? 0 : points.reduce((sum, { seconds, value }) => sum + (seconds - meanX) * (value - meanY), 0) / spread;
}

/** The same list in another order, which the seed decides. */
export function shuffle<T>(list: readonly T[], seed: number): T[] {
  const random = mulberry32(seed);
  const shuffled = [...list];
  for (let last = shuffled.length - 1; last > 0; last--) {
    const other = Math.floor(random() * (last + 1));
    [shuffled[last], shuffled[other]] = [shuffled[other]!, shuffled[last]!];
  }
  return shuffled;
}

/** A small seeded generator: the same samples give the same interval. */
function mulberry32(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** Reproducible randomness for a demo: two runs of one Scenario behave alike. Not for secrets. */

/** Numbers in [0, 1) from a text seed: FNV-1a into a 32-bit Weyl sequence with a multiply-xorshift finaliser. */
export function randomFrom(seed: string): () => number {
  let state = 0x811c9dc5;
  for (let i = 0; i < seed.length; i++) state = Math.imul(state ^ seed.charCodeAt(i), 0x01000193);
  return () => {
    state = (state + 0x9e3779b9) | 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 16), 0x85ebca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2ae35);
    return ((z ^ (z >>> 16)) >>> 0) / 0x1_0000_0000;
  };
}

/** The normal quantile of 0.99: how many deviations p99 is from the median. */
const Z99 = 2.3263478740408408;
/** A log-normal tail has no end; a demo's has. */
const LONGEST_MS = 60_000;

/**
 * Draws from a log-normal distribution, the usual shape of service times, through its median and 99th percentile.
 *
 * @returns milliseconds
 */
export function latencySampler({ p50, p99 = p50 }: { p50: number; p99?: number }, random: () => number): () => number {
  const sigma = p50 > 0 ? Math.log(p99 / p50) / Z99 : 0;
  return () => {
    // Box–Muller; 1 - random() is never 0.
    const normal = Math.sqrt(-2 * Math.log(1 - random())) * Math.cos(2 * Math.PI * random());
    return Math.min(LONGEST_MS, p50 * Math.exp(sigma * normal));
  };
}

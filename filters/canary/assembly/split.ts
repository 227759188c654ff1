/**
 * From a hash or a random number to an arm. Pure.
 *
 * The canary arms take the front of the range, in the order in which they are listed; the stable arm takes the rest. So the
 * share of a canary is "hash < weight / total": however the weights are written, a growing canary share only ever adds
 * requests to the canaries, and nobody falls back to stable in the middle of a rollout.
 */

/** Scales 64 random bits to 0 ≤ result < total without division and without bias worth mentioning (Lemire, arXiv 1805.10941). */
// @ts-ignore: decorator
@inline
export function scale(bits: u64, total: u32): u32 {
  const low = (bits & 0xffffffff) * <u64>total;
  return <u32>(((bits >> 32) * <u64>total + (low >> 32)) >> 32);
}

/** The weights of a rollout's arms; the first arm is the stable one. */
export class Split {
  /** Sum of all weights. */
  total: u32 = 0;
  /** Sum of the canary arms' weights; while it is 0 there is nothing to decide. */
  canaries: u32 = 0;
  /** Where the interval of arm i + 1 ends; the stable arm has none. */
  private readonly ends: u32[] = [];

  /** Adds an arm; the first one added is the stable arm. At most 64 arms of at most 1,000,000 keep the sums in 32 bits. */
  add(weight: u32): void {
    if (this.arms++ > 0) {
      this.canaries += weight;
      this.ends.push(this.canaries);
    }
    this.total += weight;
  }

  arms: i32 = 0;

  /** The arm for these bits: 0 is stable. */
  pick(bits: u64): i32 {
    const bucket = scale(bits, this.total);
    // Without weights the bucket is 0, and so is every end.
    if (bucket >= this.canaries) return 0;
    let arm = 0;
    while (bucket >= unchecked(this.ends[arm])) arm++;
    return arm + 1;
  }
}

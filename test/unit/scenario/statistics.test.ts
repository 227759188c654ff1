import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { quantile, sumBuckets, wilson, type Bucket } from "../../../harness/scenario/statistics.ts";

const counts = fc.nat(100_000).chain((trials) => fc.tuple(fc.nat(trials), fc.constant(trials)));

describe("Wilson's interval", () => {
  // At the ends it has a short form, z² / (n + z²); the others are worked out from the definition.
  it.each([
    [10, 1000, 0.005440, 0.018310],
    [0, 100, 0, 0.036995],
    [100, 100, 0.963005, 1],
    [5, 10, 0.236593, 0.763407],
  ])("%d of %d", (successes, trials, low, high) => {
    const interval = wilson(successes, trials);
    expect(interval.low).toBeCloseTo(low, 4);
    expect(interval.high).toBeCloseTo(high, 4);
  });

  it("says nothing without a trial", () => {
    expect(wilson(0, 0)).toEqual({ low: 0, high: 1 });
  });

  it("holds the observed share, stays within 0 and 1, and is wider at higher confidence", () => {
    fc.assert(
      fc.property(counts, ([successes, trials]) => {
        const narrow = wilson(successes, trials);
        const wide = wilson(successes, trials, "0.999");
        const share = trials === 0 ? 0.5 : successes / trials;
        const ordered = [0, wide.low, narrow.low, share, narrow.high, wide.high, 1];
        for (let i = 1; i < ordered.length; i++) expect(ordered[i]! - ordered[i - 1]!).toBeGreaterThanOrEqual(-1e-12);
      }),
    );
  });

  it("is the mirror image for the failures", () => {
    fc.assert(
      fc.property(counts, ([successes, trials]) => {
        const [one, other] = [wilson(successes, trials), wilson(trials - successes, trials)];
        expect(one.low).toBeCloseTo(1 - other.high, 9);
        expect(one.high).toBeCloseTo(1 - other.low, 9);
      }),
    );
  });
});

const BOUNDS = [1, 2, 5, 10, 25, 50, 100];

function histogram(values: readonly number[]): Bucket[] {
  return [...BOUNDS, Infinity].map((le) => ({ le, count: values.filter((value) => value <= le).length }));
}

describe("quantiles of a histogram", () => {
  it("are interpolated within the bucket, as Prometheus does", () => {
    const buckets = [{ le: 10, count: 50 }, { le: 20, count: 100 }, { le: Infinity, count: 100 }];
    expect(quantile(buckets, 0.5)).toEqual({ value: 10, beyond: false });
    expect(quantile(buckets, 0.25)).toEqual({ value: 5, beyond: false });
    expect(quantile(buckets, 0.95)).toEqual({ value: 19, beyond: false });
  });

  it("above the last bound are only known to be above it", () => {
    expect(quantile([{ le: 10, count: 1 }, { le: Infinity, count: 100 }], 0.99)).toEqual({ value: 10, beyond: true });
  });

  it("of nothing are unknown", () => {
    expect(quantile([], 0.5)).toBeUndefined();
    expect(quantile(histogram([]), 0.5)).toBeUndefined();
  });

  const values = fc.array(fc.double({ min: 0.001, max: 300, noNaN: true }), { minLength: 1, maxLength: 200 });

  it("lie in the bucket of the exact quantile, and never fall as q grows", () => {
    fc.assert(
      fc.property(values, fc.double({ min: 0.01, max: 1, noNaN: true }), (all, q) => {
        const buckets = histogram(all);
        const found = quantile(buckets, q)!;
        const exact = [...all].sort((a, b) => a - b)[Math.max(0, Math.ceil(q * all.length) - 1)]!;
        const upper = [...BOUNDS, Infinity].find((le) => exact <= le)!;
        const lower = BOUNDS.filter((le) => le < upper).at(-1) ?? 0;
        if (found.beyond) expect([found.value, upper]).toEqual([100, Infinity]);
        else {
          expect(found.value).toBeGreaterThanOrEqual(lower);
          expect(found.value).toBeLessThanOrEqual(upper);
        }
        expect(quantile(buckets, Math.min(1, q + 0.05))!.value).toBeGreaterThanOrEqual(found.value);
      }),
    );
  });

  it("of a sum are those of all its observations", () => {
    fc.assert(
      fc.property(values, values, (some, others) => {
        expect(sumBuckets([...histogram(some), ...histogram(others)])).toEqual(histogram([...some, ...others]));
      }),
    );
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { latencySampler, randomFrom } from "../../../harness/scenario/random.ts";

describe("reproducible randomness", () => {
  it("repeats for a seed, and differs between seeds", () => {
    const draw = (seed: string): number[] => Array.from({ length: 5 }, randomFrom(seed));
    expect(draw("prod/a")).toEqual(draw("prod/a"));
    expect(draw("prod/a")).not.toEqual(draw("prod/b"));
  });

  it("is even enough for an error ratio", () => {
    const random = randomFrom("prod/payments");
    const share = Array.from({ length: 20_000 }, random).filter((value) => value < 0.02).length / 20_000;
    expect(share).toBeGreaterThan(0.015);
    expect(share).toBeLessThan(0.025);
  });

  it("draws latencies through the median and the 99th percentile", () => {
    const sample = latencySampler({ p50: 4, p99: 20 }, randomFrom("x"));
    const drawn = Array.from({ length: 20_000 }, sample).sort((a, b) => a - b);
    expect(drawn[10_000]! / 4).toBeCloseTo(1, 1);
    expect(drawn[19_800]! / 20).toBeCloseTo(1, 0);
  });

  it("never draws what can't be waited for", () => {
    fc.assert(
      fc.property(fc.double({ min: 0, max: 60_000, noNaN: true }), fc.double({ min: 1, max: 100, noNaN: true }), fc.string(), (p50, factor, seed) => {
        const drawn = latencySampler({ p50, p99: p50 * factor }, randomFrom(seed))();
        expect(drawn).toBeGreaterThanOrEqual(0);
        expect(drawn).toBeLessThanOrEqual(60_000);
      }),
    );
  });
});

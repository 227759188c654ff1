import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadPure, type Pure } from "./module.ts";

let pure: Pure;
beforeAll(async () => {
  pure = await loadPure();
});

const bits = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n });
const weight = fc.oneof(fc.nat(1_000_000), fc.nat(100), fc.constantFrom(0, 1, 1_000_000));
const weights = fc.array(weight, { minLength: 1, maxLength: 8 });
const sum = (list: number[]): number => list.reduce((a, b) => a + b, 0);

describe("scaling", () => {
  it("is the upper half of the 128-bit product", () => {
    fc.assert(fc.property(bits, fc.integer({ min: 0, max: 64_000_000 }), (value, total) => {
      expect(pure.scale(value, total)).toBe(Number((value * BigInt(total)) >> 64n));
    }));
  });
});

describe("arms", () => {
  it("follow from intervals: canaries in front, in their order, stable behind", () => {
    fc.assert(fc.property(weights, bits, (list, value) => {
      let bucket = Number((value * BigInt(sum(list))) >> 64n);
      let expected = 0;
      for (let arm = 1; arm < list.length && expected === 0; arm++) {
        if (bucket < list[arm]!) expected = arm;
        else bucket -= list[arm]!;
      }
      expect(pure.pick(list, value)).toBe(sum(list) === 0 ? 0 : expected);
    }));
  });

  it("with weight 0 are never picked, and without any weight stable is", () => {
    fc.assert(fc.property(weights, bits, (list, value) => {
      const arm = pure.pick(list, value);
      if (sum(list) > 0) expect(list[arm]).toBeGreaterThan(0);
      else expect(arm).toBe(0);
    }));
  });

  it("keep everyone who is on the canary while its share grows, however the weights are written", () => {
    const split = fc.tuple(weight, weight).filter(([stable, canary]) => stable + canary > 0);
    fc.assert(fc.property(split, split, bits, (a, b, value) => {
      const share = ([stable, canary]: [number, number]): number => canary / (stable + canary);
      const [before, after] = share(a) <= share(b) ? [a, b] : [b, a];
      if (pure.pick(before, value) === 1) expect(pure.pick(after, value)).toBe(1);
    }), { numRuns: 1000 });
  });

  it("of several canaries send nobody back to stable while any of them grows", () => {
    fc.assert(fc.property(weights, fc.array(fc.nat(1000), { minLength: 8, maxLength: 8 }), bits, (list, growth, value) => {
      const grown = list.map((each, arm) => (arm === 0 ? each : each + growth[arm - 1]!));
      if (pure.pick(list, value) > 0) expect(pure.pick(grown, value)).toBeGreaterThan(0);
    }), { numRuns: 1000 });
  });

  it.each([
    [[99, 1]],
    [[50, 50]],
    [[999_000, 1_000]],
    [[1, 2, 3, 4]],
  ])("get their shares of keys: %j", (list) => {
    // Fixed keys: either this holds or it doesn't, at four standard deviations.
    const n = 40_000;
    const counts = list.map(() => 0);
    for (let i = 0; i < n; i++) counts[pure.pick(list, pure.hash(`rollout\0user-${i}`))]!++;
    list.forEach((each, arm) => {
      const share = each / sum(list);
      expect(Math.abs(counts[arm]! - n * share)).toBeLessThan(4 * Math.sqrt(n * share * (1 - share)));
    });
  });

  it("of two rollouts with different salts have different first users", () => {
    const both = Array.from({ length: 20_000 }, (_, i) => ["a", "b"].map((salt) => pure.pick([90, 10], pure.hash(`${salt}\0user-${i}`))));
    const inBoth = both.filter(([a, b]) => a === 1 && b === 1).length;
    expect(inBoth).toBeGreaterThan(140); // 200 by chance, standard deviation 14
    expect(inBoth).toBeLessThan(260);
  });
});

describe("endpoints", () => {
  it.each([
    ["10.0.0.1:4321", "10.0.0.1"],
    ["[2001:db8::1]:443", "2001:db8::1"],
    ["[::1]:1", "::1"],
    ["10.0.0.1", "10.0.0.1"],
    ["/run/edge.sock", "/run/edge.sock"],
    ["@abstract:x", "@abstract:x"],
    [":80", ""],
    ["", ""],
    ["80", "80"],
  ])("%j is at %j", (endpoint, host) => {
    expect(pure.host(endpoint)).toBe(host);
  });
});

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { parseSchedstat, parseStat } from "../../bench/cpu.ts";
import { configureMs } from "../../bench/footprint.ts";
import { roundOrder } from "../../bench/measure.ts";
import { residentBytes, wasmBytes } from "../../bench/memory.ts";
import { differences, median, quantile, ratio, slope, summarize } from "../../bench/statistics.ts";
import { summarizeSoak, type SoakSample } from "../../bench/soak.ts";

const costs = fc.array(fc.double({ min: 0.1, max: 1e4, noNaN: true }), { minLength: 1, maxLength: 40 });

describe("statistics", () => {
  it("interpolates quantiles", () => {
    expect(quantile([4, 1, 3, 2], 0.5)).toBe(2.5);
    expect(quantile([10, 20], 0.25)).toBe(12.5);
    expect(summarize([5, 1, 3])).toEqual({ median: 3, low: 2, high: 4, rounds: 3 });
    expect(quantile([], 0.5)).toBeNaN();
  });

  it("keeps a median between the extremes, wherever the order", () => {
    fc.assert(fc.property(costs, (values) => {
      expect(median(values)).toBeGreaterThanOrEqual(Math.min(...values));
      expect(median(values)).toBeLessThanOrEqual(Math.max(...values));
      expect(median([...values].reverse())).toBe(median(values));
    }));
  });

  it("subtracts round by round", () => {
    expect(differences([11, 22, 33], [1, 2, 3])).toEqual([10, 20, 30]);
  });

  it("gives a ratio of medians with an interval around it, and the same one each time", () => {
    fc.assert(fc.property(costs, fc.double({ min: 0.5, max: 8, noNaN: true }), (values, factor) => {
      const scaled = values.map((value) => value * factor);
      const result = ratio(scaled, values);
      expect(result.value).toBeCloseTo(factor, 6);
      expect(result.low).toBeCloseTo(factor, 6);
      expect(result.high).toBeCloseTo(factor, 6);
    }), { numRuns: 30 });
    const noisy = [4, 9, 4.2, 3.9, 4.1, 12, 4];
    const result = ratio(noisy, [2, 2.1, 1.9, 6, 2, 2, 2.2]);
    expect(result).toEqual(ratio(noisy, [2, 2.1, 1.9, 6, 2, 2, 2.2]));
    expect(result.low).toBeLessThanOrEqual(result.value);
    expect(result.high).toBeGreaterThanOrEqual(result.value);
  });

  it("finds the slope of a line", () => {
    expect(slope([0, 1, 2, 3].map((seconds) => ({ seconds, value: 7 - 2 * seconds })))).toBeCloseTo(-2);
    expect(slope([{ seconds: 1, value: 5 }])).toBe(0);
  });
});

describe("what the kernel tells", () => {
  it("reads CPU time in nanoseconds from schedstat, and from stat whatever the command is called", () => {
    expect(parseSchedstat("126826 84769 2\n")).toBe(126826);
    expect(parseStat("42 (a) b (c) S 1 2 3 4 5 6 7 8 9 10 300 20 0 0 20 0 3 0 1\n")).toBe(3_200_000_000);
  });

  it("tells linear memories from other mappings by the guard region behind them", () => {
    const maps = [
      "100000000-100030000 rw-p 00000000 00:00 0", "100030000-300000000 ---p 00000000 00:00 0", // 192 KiB and 8 GiB
      "400000000-400200000 rw-p 00000000 00:00 0", "400200000-43fc00000 ---p 00000000 00:00 0", // V8's code range: 1 GiB
      "480000000-480010000 rw-p 00000000 00:00 0", "490000000-700000000 ---p 00000000 00:00 0", // not behind it
      "800000000-800010000 rw-p 00000000 00:00 0", "800010000-a00000000 ---p 00000000 00:00 0", // 64 KiB and 8 GiB
    ];
    expect(wasmBytes(maps.join("\n"))).toBe(256 * 1024);
    expect(wasmBytes(maps.slice(2, 4).join("\n"))).toBeNull();
  });

  it("reads the resident set", () => {
    expect(residentBytes("Name:\tenvoy\nVmHWM:\t  9 kB\nVmRSS:\t   1024 kB\n")).toBe(1024 * 1024);
  });
});

describe("measuring", () => {
  it("takes every variant once a round and the baseline three times, in an order that changes", () => {
    const lanes = ["none", "a", "b", "c", "d"];
    const orders = Array.from({ length: 20 }, (_, round) => roundOrder(lanes, ["none"], round));
    for (const order of orders) expect(order.toSorted()).toEqual(["a", "b", "c", "d", "none", "none", "none"]);
    const beforeD = new Set(orders.map((order) => order[order.indexOf("d") - 1]));
    expect(beforeD.size).toBeGreaterThan(3);
  });

  it("takes from the start with many policies what isn't the filter's doing", () => {
    const row = (id: string, startCpuMs: number) => ({ id, startCpuMs });
    expect(configureMs([row("authz/5000", 900), row("authz/10", 300), row("empty/authz/5000", 350), row("empty/authz/10", 50)])).toBe(100);
    expect(configureMs([row("authz/5000", 900)])).toBeUndefined();
  });

  it("looks at growth after the first minute", () => {
    const sample = (seconds: number, wasm: number | null): SoakSample => ({ seconds, requests: seconds * 10, rss: 100 + seconds, allocated: 50, heap: 60, wasm });
    const samples = Array.from({ length: 21 }, (_, index) => sample(index * 30, index < 2 ? 10 : 20));
    const { growth, requests } = summarizeSoak("edge", samples);
    expect(requests).toBe(6000);
    expect(growth.wasm).toEqual({ first: 20, last: 20, perMinute: 0 });
    expect(growth.rss.perMinute).toBeCloseTo(60);
    expect(summarizeSoak("edge", [...samples, sample(640, null)]).growth.wasm).toBeNull();
  });
});

import { stripVTControlCharacters } from "node:util";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { RunResult, TrafficRow } from "../../../harness/scenario/result.ts";
import { renderSummary, wrap, WIDTH } from "../../../harness/scenario/summary.ts";
import { table } from "../../../harness/scenario/table.ts";

const row = (changes: Partial<TrafficRow>): TrafficRow => ({
  from: "prod/frontend",
  method: "GET",
  host: "shop.example",
  path: "/reviews/42",
  headers: {},
  sent: 20,
  outcomes: { allow: 20, deny: 0, refuse: 0, fail: 0 },
  failures: {},
  decidedBy: [],
  ...changes,
});

const at = (value: number, beyond = false) => ({ value, beyond });

const RESULT: RunResult = {
  folder: "envoy-configs/edge",
  scenario: "edge",
  engine: "envoy" as const, envoy: { version: "1.40.0" },
  traffic: [
    row({ expect: "allow", by: "prod/reviews", decidedBy: [{ allowed: true, policy: "prod/reviews", rule: 0, count: 20 }], headers: { "x-user": "{user}" }, sent: 3000 }),
    row({ from: "dev/builder", expect: "deny", by: "prod/no-dev", outcomes: { allow: 0, deny: 20, refuse: 0, fail: 0 }, decidedBy: [{ allowed: false, policy: "prod/no-dev", rule: 0, count: 20 }] }),
    row({ method: "DELETE", expect: "deny", by: "none", outcomes: { allow: 1, deny: 19, refuse: 0, fail: 0 }, decidedBy: [{ allowed: false, policy: "none", count: 19 }], problem: "expected all 20 denied, got 1 allowed" }),
    row({ from: undefined, sent: 5, outcomes: { allow: 0, deny: 0, refuse: 5, fail: 0 }, expect: "refuse" }),
    row({ from: "prod/a-workload-with-a-very-long-name", path: "/a/path/that/does/not/fit/into/the/column/of/the/table", outcomes: { allow: 0, deny: 0, refuse: 0, fail: 20 } }),
  ],
  canaries: [
    {
      route: "prod/reviews/split",
      requests: 3000,
      unit: "users",
      units: 1500,
      moved: 0,
      sticky: true,
      arms: [
        { name: "reviews-v1", expected: 0.99, count: 1487, share: 1487 / 1500, interval: { low: 0.9852, high: 0.9949 } },
        { name: "reviews-v2", expected: 0.01, count: 13, share: 13 / 1500, interval: { low: 0.0051, high: 0.0148 } },
      ],
    },
  ],
  telemetry: {
    answered: 3060,
    counted: 3060,
    edges: [
      { source: "dev/builder", destination: "prod/reviews", requests: 20, denied: 20, errors: 0 },
      { source: "prod/frontend", destination: "prod/reviews", requests: 3040, denied: 19, errors: 61, latency: { p50: at(4.62), p95: at(20.7), p99: at(10_000, true) } },
    ],
  },
  footprint: { modules: [{ name: "edge.wasm", bytes: 43_210 }], residentBytes: 73_400_320, cpuPerRequest: 181.4 },
  problems: ["prod/frontend → DELETE shop.example/reviews/42: expected all 20 denied, got 1 allowed"],
  ok: false,
};

describe("the summary", () => {
  it("is one screen that a person can read", async () => {
    const text = renderSummary(RESULT);
    await expect(text).toMatchFileSnapshot("summary.golden.txt");
    expect(Math.max(...text.split("\n").map((line) => line.length))).toBeLessThanOrEqual(WIDTH);
  });

  it("says the same with colours", () => {
    const coloured = renderSummary(RESULT, { color: true });
    expect(coloured).toContain("\u001b[");
    expect(stripVTControlCharacters(coloured)).toBe(renderSummary(RESULT));
  });

  it("leaves out what wasn't measured", () => {
    const text = renderSummary({ ...RESULT, canaries: [], telemetry: undefined, footprint: { modules: [] }, traffic: RESULT.traffic.slice(0, 1), problems: [], ok: true });
    expect(text).not.toMatch(/Canary|Latency|Footprint/);
    expect(text).toContain("Everything was as the scenario expects.");
  });
});

describe("text for a narrow screen", () => {
  const words = fc.array(fc.stringMatching(/^[a-z]{1,20}$/), { minLength: 1 });

  it("is wrapped without losing a word", () => {
    fc.assert(
      fc.property(words, fc.integer({ min: 25, max: 60 }), (all, width) => {
        const lines = wrap(all.join(" "), width);
        expect(lines.flatMap((line) => line.trim().split(" "))).toEqual(all);
        for (const line of lines) expect(line.length).toBeLessThanOrEqual(width);
      }),
    );
  });

  it("stands in columns, cut where a cell is too long", () => {
    const columns = [{ shrink: { order: 0, least: 5 } }, { align: "right" as const }, {}];
    const rows = [["name", "n", "by"], ["a-name-that-is-long", "10", "x"], ["b"]];
    expect(table(columns, rows)).toEqual(["name                  n  by", "a-name-that-is-long  10  x", "b"]);
    expect(table(columns, rows, 22)).toEqual(["name             n  by", "a-name-that-i…  10  x", "b"]);
  });
});

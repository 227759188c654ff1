import { describe, expect, it } from "vitest";
import { decisionsBetween, type Decision } from "../../../harness/scenario/decisions.ts";
import type { EntryResult } from "../../../harness/scenario/driver.ts";
import type { TrafficModel } from "../../../harness/scenario/model.ts";
import { canaryRow, runResult, telemetryResult, trafficRow } from "../../../harness/scenario/result.ts";

const traffic = (changes: Partial<TrafficModel> = {}): TrafficModel => ({ method: "GET", host: "web.example", path: "/", headers: {}, bodyBytes: 0, count: 10, concurrency: 1, ...changes });

const result = (outcomes: Partial<EntryResult["outcomes"]>, changes: Partial<EntryResult> = {}): EntryResult => ({
  sent: Object.values(outcomes).reduce((total, count) => total + count, 0),
  outcomes: { allow: 0, deny: 0, refuse: 0, fail: 0, ...outcomes },
  failures: new Map(),
  servedBy: new Map(),
  users: new Map(),
  ...changes,
});

const NO_DEV: Decision = { allowed: false, policy: "prod/no-dev", rule: 0, count: 10 };
const NONE: Decision = { allowed: false, policy: "none", count: 10 };

describe("decisions", () => {
  const stat = (kind: string, policy: string, rule: string): string => `wasmcustom.selvedge_authz_${kind}_total.policy=.${policy};.rule=.${rule};`;

  it("are what the filter's counters gained", () => {
    const before = new Map([[stat("denied", "none", "none"), 5], [stat("allowed", "prod/web", "0"), 7]]);
    const after = new Map([[stat("denied", "none", "none"), 6], [stat("allowed", "prod/web", "0"), 7], [stat("allowed", "prod/web", "12"), 3], ["wasmcustom.other", 9]]);
    expect(decisionsBetween(before, after)).toEqual([
      { allowed: true, policy: "prod/web", rule: 12, count: 3 },
      { allowed: false, policy: "none", count: 1 },
    ]);
  });
});

describe("an entry of the traffic", () => {
  it("is as expected when every request had the outcome, and the policy decided", () => {
    for (const by of ["prod/no-dev", "prod/no-dev#0"]) {
      const row = trafficRow(traffic({ expect: "deny", by }), result({ deny: 10 }), [NO_DEV]);
      expect(row).toMatchObject({ decidedBy: [NO_DEV] });
      expect(row.problem).toBeUndefined();
    }
  });

  it.each<[string, Partial<TrafficModel>, EntryResult, Decision[], string]>([
    ["one request was let in", { expect: "deny" }, result({ deny: 9, allow: 1 }), [], "expected all 10 denied, got 1 allowed"],
    ["none got an answer", { expect: "allow" }, result({ fail: 10 }, { failures: new Map([["status 503", 9], ["ECONNREFUSED", 1]]) }), [], "expected all 10 allowed, got 10 failed (status 503, ECONNREFUSED)"],
    ["another policy decided", { expect: "deny", by: "prod/no-dev" }, result({ deny: 10 }), [{ ...NO_DEV, count: 9 }, { ...NONE, count: 1 }], "expected prod/no-dev to decide, got none"],
    ["another rule decided", { expect: "deny", by: "prod/no-dev#1" }, result({ deny: 10 }), [NO_DEV], "expected prod/no-dev#1 to decide, got prod/no-dev#0"],
    ["nobody said who decided", { expect: "deny", by: "none" }, result({ deny: 10 }), [{ ...NONE, count: 3 }], "expected none to decide on all 10, but the filter counted 3"],
  ])("is a problem when %s", (_, changes, seen, log, problem) => {
    expect(trafficRow(traffic(changes), seen, log).problem).toBe(problem);
  });

  it("without an expectation is never one", () => {
    expect(trafficRow(traffic(), result({ fail: 3, deny: 7 }), []).problem).toBeUndefined();
  });
});

const CANARY = { route: "prod/web/split", sticky: true, users: 1000, requestsPerUser: 2, arms: [{ name: "v1", backend: "prod/v1", weight: 99 }, { name: "v2", backend: "prod/v2", weight: 1 }] };

/** `canaries` of 1000 users on v2, `moved` on both. */
function users(canaries: number, moved = 0): EntryResult {
  const arms = Array.from({ length: 1000 }, (_, i) => (i < moved ? ["prod/v1", "prod/v2"] : i < moved + canaries ? ["prod/v2"] : ["prod/v1"]));
  return result({ allow: 2000 }, { users: new Map(arms.map((each, i) => [`user-${i}`, new Set(each)])) });
}

describe("a canary", () => {
  const row = (seen: EntryResult, changes = {}) => canaryRow({ ...traffic(), canary: { ...CANARY, ...changes } }, seen);

  it("is split by users where they stay, with the interval of what was seen", () => {
    const seen = row(users(10));
    expect(seen).toMatchObject({ unit: "users", units: 1000, moved: 0, arms: [{ name: "v1", expected: 0.99, count: 990 }, { name: "v2", expected: 0.01, count: 10, share: 0.01 }] });
    expect(seen.arms[1]!.interval.low).toBeCloseTo(0.00544, 4);
    expect(seen.problem).toBeUndefined();
  });

  it("may be off by chance, but not by more", () => {
    expect(row(users(18)).problem).toBeUndefined();
    expect(row(users(40)).problem).toBe("v1 got 96.00 % where 99.00 % is configured, outside the 99.9 % interval");
    const half = CANARY.arms.map((arm) => ({ ...arm, weight: 1 }));
    expect(row(users(0), { arms: half }).problem).toBe("v1 got 100.00 % where 50.00 % is configured, outside the 99.9 % interval");
  });

  it("that moves users is a problem", () => {
    expect(row(users(10, 3))).toMatchObject({ units: 997, moved: 3, problem: "3 of 1000 users were moved between arms" });
  });

  it("without stickiness is split by requests, and users may move", () => {
    const seen = row({ ...users(10, 3), servedBy: new Map([["prod/v1", 1979], ["prod/v2", 21]]) }, { sticky: false });
    expect(seen).toMatchObject({ unit: "requests", units: 2000, arms: [{ count: 1979 }, { count: 21 }] });
    expect(seen.problem).toBeUndefined();
  });

  it("with no weight at all expects everyone on the first arm", () => {
    const arms = CANARY.arms.map((arm) => ({ ...arm, weight: 0 }));
    expect(row(users(0), { arms }).problem).toBeUndefined();
    expect(row(users(1), { arms }).problem).toContain("0.00 % is configured");
  });

  it("that nobody reached is a problem", () => {
    expect(row(result({ fail: 10 })).problem).toBe("no request reached an arm");
  });
});

it("a run is fine only if every part of it is", () => {
  const parts = { folder: "x", scenario: "x", engine: "envoy" as const, envoy: { version: "1.40.0" }, traffic: [], canaries: [], footprint: { modules: [] } };
  expect(runResult(parts)).toMatchObject({ ok: true, problems: [] });
  const bad = runResult({
    ...parts,
    traffic: [trafficRow(traffic({ expect: "deny" }), result({ allow: 1 }), [])],
    canaries: [canaryRow({ ...traffic(), canary: CANARY }, users(10, 3))],
    telemetry: telemetryResult(10, 9, []),
  });
  expect(bad).toMatchObject({
    ok: false,
    problems: [
      "no certificate → GET web.example/: expected all 1 denied, got 1 allowed",
      "canary prod/web/split: 3 of 1000 users were moved between arms",
      "Envoy answered 10 requests, its telemetry counted 9",
    ],
  });
});

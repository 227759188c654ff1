import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFilter } from "../../../harness/build/index.ts";
import { coverageText, lcov, percent, shareOf, uncovered, type FileCoverage } from "../../../harness/coverage/index.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../../harness/tempdir.ts";
import { module } from "../host/support.ts";
import { selvedge } from "../../support/cli.ts";

const file = (name: string, lines: [number, number][], rest: Partial<FileCoverage> = {}): FileCoverage => ({ file: name, lines: new Map(lines), functions: [], unreached: [], ...rest });

/** A reader of LCOV of its own, from geninfo's manual; refuses what the manual doesn't have. */
function readLcov(text: string): Map<string, { lines: Map<number, number>; functions: Map<string, { line: number; hits: number }> }> {
  const records = new Map<string, { lines: Map<number, number>; functions: Map<string, { line: number; hits: number }> }>();
  let record: { file: string; lines: Map<number, number>; functions: Map<string, { line: number; hits: number }> } | undefined;
  const totals = new Map<string, number>();
  for (const line of text.split("\n")) {
    if (line === "" || line === "TN:") continue;
    if (line === "end_of_record") {
      const hit = (counts: number[]): number => counts.filter((count) => count > 0).length;
      const functions = [...record!.functions.values()].map(({ hits }) => hits);
      expect(Object.fromEntries(totals)).toEqual({ FNF: functions.length, FNH: hit(functions), LF: record!.lines.size, LH: hit([...record!.lines.values()]) });
      records.set(record!.file, record!);
      record = undefined;
      totals.clear();
      continue;
    }
    const [, key, value] = /^(SF|FN|FNDA|FNF|FNH|DA|LF|LH):(.+)$/.exec(line) ?? expect.fail(`not LCOV: ${line}`);
    const [number, name] = [Number(value!.split(",")[0]), value!.slice(value!.indexOf(",") + 1)];
    if (key === "SF") record = { file: value!, lines: new Map(), functions: new Map() };
    else if (key === "DA") record!.lines.set(number, Number(name));
    else if (key === "FN") record!.functions.set(name, { line: number, hits: 0 });
    else if (key === "FNDA") record!.functions.get(name)!.hits = number;
    else totals.set(key!, number);
  }
  expect(record).toBeUndefined();
  return records;
}

describe("lcov", () => {
  it("says of each line and function how often it ran", () => {
    const lines = fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 500 }), fc.nat(5)), { minLength: 1, selector: ([line]) => line });
    fc.assert(fc.property(lines, lines, (a, b) => {
      const files = [file("a/x.ts", a, { functions: [{ name: "f", line: 1, hits: 2 }, { name: "A#g", line: 5, hits: 0 }, { name: "f", line: 9, hits: 1 }] }), file("none.ts", []), file("b.ts", b)];
      const records = readLcov(lcov(files));
      expect([...records.keys()]).toEqual(["a/x.ts", "b.ts"]);
      expect(records.get("a/x.ts")!.lines).toEqual(new Map(a));
      expect(Object.fromEntries(records.get("a/x.ts")!.functions)).toEqual({ "f:1": { line: 1, hits: 2 }, "A#g": { line: 5, hits: 0 }, "f:9": { line: 9, hits: 1 } });
    }));
  });
});

describe("the table", () => {
  it("has shares by folder and file, ranges over lines that have code, and what no filter reaches", () => {
    const files = [
      file("filters/a/assembly/x.ts", [[1, 1], [2, 0], [4, 0], [5, 3], [9, 0]]),
      file("filters/a/assembly/deep/y.ts", [[1, 1]], { unreached: [{ name: "f", start: 7, end: 9, empty: false }] }),
      file("filters/b/assembly/z.ts", [], { unreached: [{ name: "g", start: 1, end: 2, empty: false }] }),
    ];
    expect(uncovered(files[0]!)).toBe("2-4, 9");
    const text = coverageText(files, false);
    expect(text).toMatch(/filters\/a\/assembly +50\.0 % +3\/6\n {2}x\.ts +40\.0 % +2\/5 {2}2-4, 9\n {2}deep\/y\.ts +100\.0 % +1\/1\nall +50\.0 % +3\/6\n/);
    expect(text).toContain("filters/a/assembly/deep/y.ts: f (7)");
    expect(text).toContain("filters/b/assembly/z.ts: g (1)");
  });

  it("doesn't round up to what isn't reached", () => {
    expect(percent({ total: 10_000, covered: 9_999 })).toBe(99.9);
    expect(percent(shareOf([file("x", [])]))).toBe(100);
  });
});

describe("selvedge test --coverage", () => {
  let scratch: TemporaryDirectory;
  beforeAll(async () => {
    scratch = temporaryDirectory("coverage");
    const { path } = await buildFilter({ entry: "test/envoy/fixtures/traps/assembly/index.ts", name: "traps", outDir: scratch.path, extraOptions: { optimizeLevel: 0, shrinkLevel: 0 } });
    expect(existsSync(`${path}.map`)).toBe(true);
    const cases = (list: string): string => `module: traps.wasm\nroot-id: traps\ncases:\n${list}`;
    writeFileSync(join(scratch.path, "one.yaml"), cases("  - { name: a, request: { path: /divide }, expect: { status: 503 } }\n"));
    writeFileSync(join(scratch.path, "two.yaml"), cases("  - { name: b, request: { path: /unreachable }, expect: { status: 503 } }\n  - { name: c, config: x, expect: { configuration-error: unreachable } }\n  - { name: d, request: { path: /bounds }, expect: { status: 200 } }\n"));
  });
  afterAll(() => scratch.remove());

  const WAYS = "test/envoy/fixtures/traps/assembly/ways.ts";
  const lineOf = (text: string): number => readFileSync(WAYS, "utf8").split("\n").findIndex((line) => line.includes(text)) + 1;
  const run = async (...args: string[]) => {
    const info = join(scratch.path, "out", "lcov.info");
    rmSync(info, { force: true });
    const result = await selvedge("test", ...args, "--lcov", info);
    return { ...result, records: existsSync(info) ? readLcov(readFileSync(info, "utf8")) : undefined };
  };

  it("counts a module that somebody built elsewhere, also where it traps, is refused or fails its case, and adds files up", async () => {
    const one = await run(join(scratch.path, "one.yaml"));
    const ran = (result: typeof one, text: string): number | undefined => result.records!.get(WAYS)!.lines.get(lineOf(text));
    expect(one.code).toBe(0);
    expect(["7 / (by - by)", "deep(levels - 1)", "throw new Error", "store<u64>"].map((text) => ran(one, text))).toEqual([1, 0, 0, 0]);
    expect(one.stdout).toMatch(/test\/envoy\/fixtures\/traps\/assembly +[\d.]+ %/);
    const both = await run(join(scratch.path, "one.yaml"), join(scratch.path, "two.yaml"));
    expect(both.code).toBe(1); // d fails
    expect(["7 / (by - by)", "deep(levels - 1)", "throw new Error", "store<u64>"].map((text) => ran(both, text))).toEqual([1, 1, 1, 1]);
    // A trap is told by its source, though the module was changed for counting.
    expect(both.stdout).toContain(`- beyond (${WAYS}:${lineOf("store<u64>")}:`);
  });

  it("fails below what is asked for, and says so in JSON as well", async () => {
    const result = await run(join(scratch.path, "one.yaml"), "--coverage-min", "99", "--json");
    const { ok, findings, coverage } = JSON.parse(result.stdout) as { ok: boolean; findings: { code: string }[]; coverage: { percent: number; files: { file: string; uncovered: number[] }[] } };
    expect(result.code).toBe(1);
    expect({ ok, codes: findings.map(({ code }) => code) }).toEqual({ ok: false, codes: ["coverage-low"] });
    expect(coverage.percent).toBeGreaterThan(0);
    expect(coverage.files.find(({ file }) => file === WAYS)!.uncovered).toContain(lineOf("throw new Error"));
    expect((await run(join(scratch.path, "one.yaml"), "--coverage-min", "1")).code).toBe(0);
  });

  it("says what it lacks where a module has no source map", async () => {
    writeFileSync(join(scratch.path, "bare.wasm"), module(""));
    writeFileSync(join(scratch.path, "bare.yaml"), "module: bare.wasm\ncases:\n  - { name: a, expect: { status: 200 } }\n");
    const result = await run(join(scratch.path, "bare.yaml"));
    expect(result.code).toBe(1);
    expect(result.stdout).toContain("coverage-no-map");
    expect(result.stderr).toContain("coverage-none");
  });

  it.each([
    [["--coverage", "--engine", "envoy"], "--coverage counts lines on the host engine"],
    [["--coverage-min", "90", "--engine", "both"], "--coverage-min counts lines on the host engine"],
    [["--coverage", "--watch"], "not with --watch"],
    [["--coverage-min", "most"], "a percentage from 0 to 100, not most"],
    [["--coverage-min", "101"], "not 101"],
  ])("%s is wrong usage", async (args, message) => {
    const { code, stderr } = await selvedge("test", ...args);
    expect({ code, stderr }).toEqual({ code: 2, stderr: expect.stringContaining(message) as string });
  });
});

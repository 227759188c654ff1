import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { compareObservations, hostEngine, jsonReport, junitReport, passed, readCases, runCases, textReport, type CaseObservation, type CasePlan, type Engine, type TestRun } from "../../../harness/cases/index.ts";
import { withModules } from "../../../harness/cases/session.ts";
import { module } from "../host/support.ts";

/** Answers 418 to a path longer than one character, counts, and logs; lets everything else pass. Refuses no configuration. */
const TEAPOT = module(`(func (export "proxy_on_configure") (param i32 i32) (result i32)
    (drop (call $define (i32.const 0) (i32.const 32) (i32.const 4) (i32.const 8)))
    (if (i32.eq (local.get 1) (i32.const 4)) (then (drop (call $log (i32.const 5) (i32.const 40) (i32.const 6))) (return (i32.const 0)))) (i32.const 1))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
    (if (i32.gt_u (i32.load (i32.const 4)) (i32.const 1)) (then
      (drop (call $increment (i32.load (i32.const 8)) (i64.const 1)))
      (drop (call $log (i32.const 2) (i32.const 32) (i32.const 4)))
      (drop (call $reply (i32.const 418) (i32.const 48) (i32.const 11) (i32.const 32) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const -1)))
      (return (i32.const 1)))) (i32.const 0))
  (data (i32.const 16) ":path") (data (i32.const 32) "pots") (data (i32.const 40) "no way") (data (i32.const 48) "why[tea#0]x")`);

let directory: string;
beforeAll(() => {
  directory = mkdtempSync(join(tmpdir(), "selvedge-cases-"));
  writeFileSync(join(directory, "teapot.wasm"), TEAPOT);
  writeFileSync(join(directory, "late.wasm"), LATE);
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

/** Reads nothing, holds nothing: answers once more in on_log, which crashes Envoy. */
const LATE = module(`(func (export "proxy_on_log") (param i32)
    (drop (call $reply (i32.const 418) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))))`);

const file = (cases: string) => readCases(join(directory, "t.yaml"), `module: teapot.wasm\ncases:\n${cases}`);
const run = (cases: string): Promise<TestRun> => runCases([file(cases)], [hostEngine()]);
const mismatches = async (expectation: string, request = "{ path: /tea }"): Promise<string[]> => {
  const { files, findings } = await run(`  - name: x\n    request: ${request}\n    expect: ${expectation}\n`);
  expect(findings).toEqual([]);
  return files[0]!.cases[0]!.results[0]!.mismatches.map(({ what, expected, got }) => `${what}: ${expected} / ${got}`);
};

describe("a run", () => {
  it("fails a case whose answer is right when the module would have crashed Envoy", async () => {
    const result = await runCases([readCases(join(directory, "t.yaml"), "module: late.wasm\ncases:\n  - { name: x, request: {}, expect: { status: 200 } }\n")], [hostEngine()]);
    expect(passed(result)).toBe(false);
    expect(textReport(result, false)).toContain("proxy_send_local_response for a stream that has ended makes Envoy crash");
  });

  it("says what was odd about a case that fails", async () => {
    const result = await run("  - { name: x, request: { path: / }, upstream: { headers: { content-length: '9' }, body: short }, expect: { complete: true } }\n");
    expect(textReport(result, false)).toContain("the response's body has 5 bytes and content-length says 9: a filter that changes a body removes content-length, or sets it");
  });

  it("passes what is as expected", async () => {
    const result = await run(`  - name: let through\n    request: { path: / }\n    upstream: { status: 201, body: hi, headers: { x-a: [b, c] } }\n    expect: { status: 201, body: hi, headers: { x-a: [b, c], x-b: null }, denied: false, upstream: { path: / }, route: default, arm: stable, metrics: [{ name: pots, delta: 0 }], no-logs: pots }
  - name: answered\n    request: { path: /tea }\n    expect: { status: 418, body: pots, denied: true, metrics: [{ name: pots, delta: 1, value: 1 }], logs: pots, time: [0ms, 0ms] }
  - name: refused\n    config: oops\n    expect: { configuration-error: no way }\n`);
    expect(textReport(result, false)).toMatch(/✓ .*t\.yaml 3 cases.*\n\nhost: 3 passed of 3/s);
    expect(passed(result)).toBe(true);
  });

  it("shows a name that would move the cursor", async () => {
    const result = await run('  - { name: "a\\e[2J b", request: {}, expect: { status: 500 } }\n');
    expect(textReport(result, false)).toContain("a\\x1b[2J b");
  });

  it("points at the module that isn't there, and names one beside it", () => {
    const [missing] = withModules([readCases(join(directory, "t.yaml"), "module: teapt.wasm\ncases: [{ name: x, request: {}, expect: { status: 200 } }]")]);
    expect(missing).toMatchObject({ plans: [], findings: [{ code: "module-missing", where: { line: 1, col: 9 }, fix: "did you mean `teapot`?" }] });
  });

  it.each([
    ["{ status: 200 }", "status: 200 / 418 (why[tea#0]x)"],
    ["{ body: tea }", "body: tea / pots"],
    ["{ body-contains: tea }", "body-contains: tea / pots"],
    ["{ headers: { x-a: b } }", "headers.x-a: b / absent"],
    ["{ denied: false }", "denied: the upstream's answer / 418 (why[tea#0]x)"],
    ["{ denied: tea#1 }", "denied: tea#1 / why[tea#0]x"],
    ["{ route: other }", "route: other / default"],
    ["{ arm: v2 }", "arm: v2 / stable"],
    ["{ upstream: { path: /tea } }", "upstream: a request / none"],
    ["{ metrics: [{ name: pots, delta: 2 }] }", "metrics.0.delta: 2 / 1; what changed: pots +1"],
    ["{ metrics: [{ name: pans, delta: 1 }] }", "metrics.0.delta: 1 / 0; what changed: pots +1"],
    ["{ logs: pans }", 'logs: pans / ["pots"]'],
    ["{ no-logs: pot }", 'no-logs: no line with pot / ["pots"]'],
    ["{ time: [1ms, 2ms] }", 'time: ["1ms","2ms"] / 0ms'],
  ])("reports %s as failing, with what it got", async (expectation, message) => {
    expect(await mismatches(expectation)).toEqual([message]);
  });

  it("takes a denial's short name for what stands in brackets at the end", async () => {
    expect(await mismatches("{ denied: 'why[tea#0]x' }")).toEqual([]);
    expect(await mismatches("{ denied: true }", "{ path: / }")).toEqual(["denied: an answer of a filter / 200 from the upstream"]);
  });

  it("reports a configuration that is accepted or refused against the expectation", async () => {
    const { files } = await run(`  - name: a\n    expect: { configuration-error: no way }\n  - name: b\n    config: oops\n    expect: { status: 200 }\n  - name: c\n    config: oops\n    expect: { configuration-error: another }\n`);
    const got = files[0]!.cases.map(({ results }) => results[0]!.mismatches[0]!.got);
    expect(got).toEqual(["the configuration was accepted", expect.stringContaining("no way"), expect.stringContaining("no way")]);
  });

  it("keeps one filter through the steps of a case, and gives the next case another", async () => {
    const result = await run(`  - name: a\n    request: { path: /tea }\n    steps:\n      - { expect: { metrics: [{ name: pots, value: 1 }] } }\n      - { repeat: 2, expect: { metrics: [{ name: pots, delta: 2, value: 3 }] } }\n      - { request: { path: / }, expect: { status: 200 } }
  - name: b\n    request: { path: /tea }\n    expect: { metrics: [{ name: pots, value: 1 }] }\n`);
    expect(textReport(result, false)).toContain("2 passed");
  });

  it("shows where to look, by file and line", async () => {
    const result = await run("  - name: a\n    request: { path: /tea }\n    expect:\n      status: 200\n");
    const text = textReport(result, false);
    expect(text).toMatch(/✗ a .*t\.yaml:3:11/);
    expect(text).toMatch(/status .*t\.yaml:6:15\n +expected 200\n +got +418/);
    expect(passed(result)).toBe(false);
  });

  it("says a thousand failures in a few lines", async () => {
    const result = await run("  - name: a\n    request: { path: /tea }\n    repeat: 1000\n    expect: { status: 200 }\n");
    expect(textReport(result, false).split("\n").length).toBeLessThan(30);
  });

  it("never skips a case in silence", async () => {
    const result = await run("  - name: a\n    engines: [envoy]\n    because: it needs a proxy\n    expect: { status: 200 }\n");
    expect(textReport(result, false)).toContain("○ a not on host: it needs a proxy");
    expect(textReport(result, false)).toContain("1 for another engine");
    expect(junitReport(result)).toContain('<skipped message="it needs a proxy"/>');
  });

  it("survives a module that is none", async () => {
    writeFileSync(join(directory, "broken.wasm"), "nothing");
    const result = await runCases([readCases(join(directory, "b.yaml"), "module: broken.wasm\ncases: [{ name: x, expect: { status: 200 } }]")], [hostEngine()]);
    expect(passed(result)).toBe(false);
    expect(textReport(result, false)).toMatch(/error\[.*broken|not .*WebAssembly|magic/i);
  });

  it("tells CI in JUnit's XML and in JSON, whatever the names hold", async () => {
    const result = await run("  - name: 'a <&\"> b'\n    request: { path: /tea }\n    expect: { status: 200 }\n  - name: c\n    expect: { status: 200 }\n");
    const xml = junitReport(result);
    expect(xml).toContain('tests="2" failures="1" skipped="0"');
    expect(xml).toMatch(/<testcase name="a &lt;&amp;&quot;&gt; b".*line="3".*><failure message=.*expected 200/s);
    expect(jsonReport(result)).toMatchObject({ passed: false, counts: { total: 2, passed: 1, failed: 1 }, files: [{ cases: [{ results: [{ outcome: "failed", mismatches: [{ what: "status", expected: "200" }] }] }, { results: [{ outcome: "passed" }] }] }] });
  });
});

describe("two engines", () => {
  const NOTHING = new Uint8Array(0);
  /** An engine that answers everything with 200, whatever the module does. */
  const naive: Engine = {
    name: "envoy",
    prepare: () => Promise.resolve(),
    run: ({ steps }: CasePlan): Promise<CaseObservation> => Promise.resolve({ steps: steps.map(() => ({ exchanges: [{ status: 200, headers: [], body: NOTHING, trailers: [], complete: true, details: undefined, route: "default", upstream: { method: "GET", path: "/", headers: [], body: NOTHING, trailers: [] } }], connections: [], calls: [], metrics: [], logs: [], timeMs: 1 })) }),
    close: () => Promise.resolve(),
  };

  it("are compared decision by decision, also where the case doesn't look", async () => {
    const result = await runCases([file("  - name: a\n    request: { path: /tea }\n    expect: { route: default }\n")], [hostEngine(), naive]);
    expect(result.files[0]!.cases[0]!.results.map(({ outcome }) => outcome)).toEqual(["passed", "passed"]);
    expect(result.files[0]!.cases[0]!.differences).toEqual([
      { what: "status", host: "418", envoy: "200" },
      { what: "details", host: "why[tea#0]x", envoy: "none" },
      { what: "reached the upstream", host: "false", envoy: "true" },
      { what: "metric pots", host: "+1", envoy: "+0" },
    ]);
    expect(passed(result)).toBe(false);
    expect(textReport(result, false)).toContain("the engines differ in status");
  });

  it("agree where they do", async () => {
    const result = await runCases([file("  - name: a\n    request: { path: / }\n    expect: { status: 200 }\n")], [hostEngine(), naive]);
    expect(textReport(result, false)).toContain("no difference between the engines");
  });

  it("differ when only one accepts the configuration", () => {
    const [plan] = file("  - name: a\n    expect: { status: 200 }\n").plans;
    expect(compareObservations(plan!, { configurationError: "no", steps: [] }, { steps: [] })).toEqual([{ what: "configuration", host: "no", envoy: "accepted" }]);
  });
});

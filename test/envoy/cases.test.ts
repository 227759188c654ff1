import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it, onTestFinished } from "vitest";
import { countCases, hostEngine, passed, readCases, runCases, textReport } from "../../harness/cases/index.ts";
import { envoyEngine } from "../../harness/cases/engines/envoy.ts";
import { testFiles } from "../../harness/cases/session.ts";
import { findEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { module } from "../unit/host/support.ts";

it("the cases of every filter pass on the host and in Envoy, without a difference", async () => {
  const run = await testFiles({ paths: [], engine: "both" });
  expect(run.findings).toEqual([]);
  expect(passed(run), textReport(run, false)).toBe(true);
  expect(countCases(run)).toMatchObject({ failed: 0, differences: 0, skipped: 0 });
}, 600_000);

it("a case that fails in Envoy is reported, and a configuration that Envoy refuses harms no other case", async () => {
  const text = `
filter: authz
cases:
  - name: wrong status
    config: { policies: [] }
    expect: { status: 403 }
  - name: wrong metric
    config: { policies: [] }
    expect: { metrics: [{ name: selvedge_authz_allowed_total, delta: 2 }] }
  - name: refused
    config: { polices: [] }
    expect: { status: 200 }
  - name: accepted
    config: { policies: [] }
    expect: { configuration-error: x }
  - name: right
    config: { policies: [] }
    expect: { status: 200 }
`;
  const run = await runCases([readCases("t.yaml", text)], [envoyEngine(await findEnvoy())]);
  const results = run.files[0]!.cases.map(({ plan, results: [result] }) => [plan.name, result!.outcome, result!.mismatches[0]?.got]);
  expect(results).toEqual([
    ["wrong status", "failed", "200"],
    ["wrong metric", "failed", expect.stringMatching(/^1;/)],
    ["refused", "failed", expect.stringContaining("$.polices")],
    ["accepted", "failed", "the configuration was accepted"],
    ["right", "passed", undefined],
  ]);
});

it("cases don't see what others left behind, and both engines show the same request", async () => {
  const text = `
filter: telemetry
config: { maxSeries: 1, routes: { r: {} } }
cases:
  - name: the only series
    request: { route: r }
    expect: { metrics: [{ name: selvedge_requests_total, labels: { request_method: GET }, delta: 1 }] }
  - name: another filter's only series
    request: { route: r, method: POST }
    expect: { metrics: [{ name: selvedge_requests_total, labels: { request_method: POST }, delta: 1 }] }
  - name: headers that only the proxy may write
    request: { source: 11.0.0.1, tls: true, headers: { x-forwarded-for: 10.1.1.1, x-envoy-external-address: 1.1.1.1, x-forwarded-proto: gopher } }
    expect: { upstream: { headers: { x-forwarded-for: "10.1.1.1,11.0.0.1", x-forwarded-proto: https, x-envoy-external-address: 11.0.0.1 } } }
  - name: bodies and trailers
    request: { method: POST, body: [a, b], trailers: { x-t: "1" } }
    upstream: { body: [c, d], status: 201, headers: { x-a: ["1", "2"] } }
    expect: { status: 201, body: cd, headers: { x-a: ["1", "2"] }, upstream: { body: ab } }
`;
  const run = await runCases([readCases("t.yaml", text)], [hostEngine(), envoyEngine(await findEnvoy())]);
  expect(run.findings).toEqual([]);
  expect(passed(run), textReport(run, false)).toBe(true);
});

it("a case neither suffers from another one's trap nor sees what it left in the module's variables", async () => {
  const scratch = temporaryDirectory("test");
  onTestFinished(() => scratch.remove());
  // Answers with the number of requests so far as status; the path /t traps.
  writeFileSync(join(scratch.path, "counts.wasm"), module(`(global $n (mut i32) (i32.const 200))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
      (if (i32.eq (i32.load (i32.const 4)) (i32.const 2)) (then (unreachable)))
      (drop (call $reply (global.get $n) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1)))
      (global.set $n (i32.add (global.get $n) (i32.const 1))) (i32.const 1)) (data (i32.const 16) ":path")`));
  const text = `
module: counts.wasm
cases:
  - name: counts
    request: { path: / }
    steps: [{ expect: { status: 200 } }, { expect: { status: 201 } }]
  - { name: traps, request: { path: /t }, expect: { status: 503 } }
  - name: counts for itself
    request: { path: / }
    steps: [{ expect: { status: 200 } }, { expect: { status: 201 } }]
`;
  const run = await runCases([readCases(join(scratch.path, "t.yaml"), text)], [hostEngine(), envoyEngine(await findEnvoy())]);
  expect(run.findings).toEqual([]);
  expect(passed(run), textReport(run, false)).toBe(true);
});

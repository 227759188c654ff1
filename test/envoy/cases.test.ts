import { expect, it } from "vitest";
import { countCases, passed, readCases, runCases, textReport } from "../../harness/cases/index.ts";
import { envoyEngine } from "../../harness/cases/engines/envoy.ts";
import { testFiles } from "../../harness/cases/session.ts";
import { findEnvoy } from "../../harness/envoy/index.ts";

it("the cases of every filter pass on the host and in Envoy, without a difference", async () => {
  const run = await testFiles({ paths: [], engine: "both" });
  expect(run.findings).toEqual([]);
  expect(passed(run), textReport(run, false)).toBe(true);
  expect(countCases(run)).toMatchObject({ failed: 0, differences: 0, skipped: 0 });
}, 240_000);

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

import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { hostEngine, passed, readCases, runCases, textReport } from "../../../harness/cases/index.ts";
import { testFiles } from "../../../harness/cases/session.ts";
import { selvedge } from "../../support/cli.ts";

describe("the cases of every filter", () => {
  it("pass on the host", async () => {
    const run = await testFiles({ paths: [], engine: "host" });
    expect(run.findings).toEqual([]);
    expect(passed(run), textReport(run, false)).toBe(true);
    expect(run.files.map(({ file }) => file.split("/")[1])).toEqual(expect.arrayContaining(["authz", "canary", "telemetry", "edge"]));
  }, 180_000); // compiles what has changed
});

it("the README's example runs as it stands", async () => {
  const [, example] = /```yaml\n(.*?)```/s.exec(readFileSync("harness/cases/README.md", "utf8"))!;
  const run = await runCases([readCases("README.yaml", example!)], [hostEngine()]);
  expect(run.findings).toEqual([]);
  expect(passed(run), textReport(run, false)).toBe(true);
  expect(run.files[0]!.cases).toHaveLength(5);
});

describe("selvedge test", () => {
  it("exits 0 where everything passes, and says what it ran", async () => {
    const { code, stdout } = await selvedge("test", "filters/telemetry/cases/limits.yaml");
    expect(code).toBe(0);
    expect(stdout).toMatch(/host: 2 passed of 2/);
  });

  it("prints JSON and nothing else with --json", async () => {
    const { code, stdout } = await selvedge("test", "filters/telemetry/cases/limits.yaml", "--json");
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ ok: true, engines: ["host"], counts: { passed: 2 }, findings: [] });
  });

  it("exits 1 where there is nothing to run, and names the path", async () => {
    const { code, stderr } = await selvedge("test", "filters/nothing");
    expect(code).toBe(1);
    expect(stderr).toContain("filters/nothing: error[cases-missing]");
  });

  it("exits 2 for an engine that there isn't", async () => {
    expect((await selvedge("test", "--engine", "wasmtime")).code).toBe(2);
  });
});

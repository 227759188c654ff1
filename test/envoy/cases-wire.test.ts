import { afterAll, beforeAll, expect, it } from "vitest";
import { countCases, passed, textReport } from "../../harness/cases/index.ts";
import { testFiles } from "../../harness/cases/session.ts";
import type { TemporaryDirectory } from "../../harness/tempdir.ts";
import { buildCaller, CALLER_CASES } from "../support/caller.ts";

let modules: TemporaryDirectory;
beforeAll(async () => {
  modules = await buildCaller();
});
afterAll(() => modules.remove());

it("calls, trailers, HTTP/2, gRPC, pauses and breaks are the same on the host and in Envoy", async () => {
  const run = await testFiles({ paths: [CALLER_CASES], engine: "both", modules: modules.path });
  expect(run.findings).toEqual([]);
  expect(passed(run), textReport(run, false)).toBe(true);
  expect(countCases(run)).toMatchObject({ failed: 0, differences: 0, skipped: 0 });
  expect(textReport(run, false)).toContain("4 cases on envoy only: the host has no parser of its own");
}, 120_000);

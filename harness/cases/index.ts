/** Test cases in YAML, and what runs them: the same tables on the Proxy-Wasm host and in a real Envoy. */
export { compareObservations, type Difference } from "./compare.ts";
export type { Engine } from "./engine.ts";
export { hostEngine } from "./engines/host.ts";
export { checkCaseOutcome, type Mismatch } from "./expect.ts";
export { findCaseFiles } from "./files.ts";
export type { CaseObservation, CasePlan } from "./plan.ts";
export { readCaseFile, readCases, type CaseFile, type ReadOptions } from "./read.ts";
export { jsonReport, junitReport, textReport } from "./report.ts";
export { countCases, passed, runCases, type CaseResult, type TestRun } from "./run.ts";
export { FileSchema, CaseSchema, type EngineName } from "./schema.ts";

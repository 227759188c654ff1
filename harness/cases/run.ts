/** Runs files of cases on one engine or both. */
import { SelvedgeError, type Finding } from "../errors.ts";
import { compareObservations, type Difference } from "./compare.ts";
import type { Engine } from "./engine.ts";
import { checkCaseOutcome, checkStep, type Mismatch } from "./expect.ts";
import type { CaseObservation, CasePlan } from "./plan.ts";
import type { CaseFile } from "./read.ts";
import type { EngineName } from "./schema.ts";
import { inCi, SnapshotStore, type SnapshotCounts } from "./snapshot-file.ts";

/** How one case went on one engine. */
export interface EngineResult {
  engine: EngineName;
  /** "skipped": declared to be for the other engine. */
  outcome: "passed" | "failed" | "skipped";
  mismatches: Mismatch[];
  /** It couldn't be run: why. */
  error?: string;
  /** It failed, and the module trapped: why, and where in its source. */
  trap?: string;
  /** It failed on the host: what was odd about it. */
  remarks?: string[];
  durationMs: number;
}

export interface CaseResult {
  plan: CasePlan;
  results: EngineResult[];
  /** With both engines: where they disagree. */
  differences: Difference[];
}

export interface TestRun {
  engines: EngineName[];
  files: {
    file: string;
    cases: CaseResult[];
    /** Names of stored snapshots that no case asks for. */
    obsolete: string[];
  }[];
  snapshots: SnapshotCounts;
  /** What is wrong in the files themselves. */
  findings: Finding[];
  durationMs: number;
}

export interface RunOptions {
  onProgress?: (message: string) => void;
  /** Stores what is seen, also where it differs from what is stored. */
  updateSnapshots?: boolean;
}

/** Runs every case of these files; where a file has findings, none of its cases. Closes the engines. */
export async function runCases(files: readonly CaseFile[], engines: readonly Engine[], options: RunOptions = {}): Promise<TestRun> {
  const started = performance.now();
  const results = new Map<CasePlan, CaseResult>();
  const snapshotOptions = { update: options.updateSnapshots ?? false, ci: inCi() };
  const stores = new Map(files.map(({ file }) => [file, new SnapshotStore(file, snapshotOptions)]));
  const observations = new Map<CasePlan, Map<EngineName, CaseObservation>>();
  for (const { plans } of files) for (const plan of plans) results.set(plan, { plan, results: [], differences: [] });
  for (const engine of engines) {
    const mine = [...results.keys()].filter((plan) => plan.engines.includes(engine.name));
    try {
      if (mine.length) await engine.prepare(mine);
      if (engine.name === "envoy") options.onProgress?.(`running ${mine.length} cases in Envoy`);
      for (const [plan, result] of results) {
        if (!mine.includes(plan)) {
          result.results.push({ engine: engine.name, outcome: "skipped", mismatches: [], durationMs: 0 });
          continue;
        }
        result.results.push(await runOne(plan, engine, stores.get(plan.file)!, (observation) => observations.set(plan, (observations.get(plan) ?? new Map<EngineName, CaseObservation>()).set(engine.name, observation))));
      }
    } finally {
      await engine.close();
    }
  }
  for (const [plan, seen] of observations) {
    const [host, envoy] = [seen.get("host"), seen.get("envoy")];
    if (host && envoy) results.get(plan)!.differences = compareObservations(plan, host, envoy);
  }
  // Where a file has findings its cases weren't run: nothing is obsolete by that.
  const finished = files.map(({ file, plans, findings }) => ({ file, cases: plans.map((plan) => results.get(plan)!), obsolete: plans.length > 0 && findings.length === 0 ? stores.get(file)!.finish(plans) : [] }));
  const count = (field: keyof SnapshotCounts): number => [...stores.values()].reduce((sum, { counts }) => sum + counts[field], 0);
  return {
    engines: engines.map(({ name }) => name),
    files: finished,
    snapshots: { written: count("written"), updated: count("updated"), removed: count("removed") },
    findings: [...files.flatMap(({ findings }) => findings), ...[...stores.values()].flatMap(({ finding }) => finding ?? [])],
    durationMs: performance.now() - started,
  };
}

async function runOne(plan: CasePlan, engine: Engine, store: SnapshotStore, keep: (observation: CaseObservation) => void): Promise<EngineResult> {
  const started = performance.now();
  const result = (outcome: EngineResult["outcome"], mismatches: Mismatch[], rest: Pick<EngineResult, "error" | "trap" | "remarks"> = {}): EngineResult => ({
    engine: engine.name, outcome, mismatches, ...rest, durationMs: performance.now() - started,
  });
  try {
    const observation = await engine.run(plan, (step, seen) => checkStep(plan.steps[step]!, seen).length === 0 && store.fits(plan, step, seen));
    keep(observation);
    const mismatches = [...checkCaseOutcome(plan, observation), ...store.check(plan, observation)];
    const { trap, crash, remarks = [] } = observation;
    if (mismatches.length === 0 && crash === undefined) return result("passed", []);
    return result("failed", mismatches, { ...(crash !== undefined && { error: crash }), ...(trap !== undefined && { trap }), ...(remarks.length > 0 && { remarks }) });
  } catch (error) {
    const message = error instanceof SelvedgeError ? error.message : ((error as Error).stack ?? String(error));
    return result("failed", [], { error: message });
  }
}

/** Whether there is nothing to complain about: no failure, no finding, and with both engines no difference. */
export function passed(run: TestRun): boolean {
  return run.findings.every(({ severity }) => severity !== "error")
    && run.files.every(({ cases }) => cases.every(({ results, differences }) => differences.length === 0 && results.every(({ outcome }) => outcome !== "failed")));
}

export function countCases(run: TestRun): { passed: number; failed: number; skipped: number; differences: number; total: number } {
  const cases = run.files.flatMap(({ cases }) => cases);
  const failed = cases.filter(({ results }) => results.some(({ outcome }) => outcome === "failed")).length;
  const skipped = cases.filter(({ results }) => results.every(({ outcome }) => outcome === "skipped")).length;
  return { total: cases.length, failed, skipped, passed: cases.length - failed - skipped, differences: cases.filter(({ differences }) => differences.length > 0).length };
}

/** Two runs as one. */
export function joinRuns(a: TestRun, b: TestRun): TestRun {
  return { engines: a.engines, files: [...a.files, ...b.files], findings: [...a.findings, ...b.findings], snapshots: addCounts(a.snapshots, b.snapshots), durationMs: a.durationMs + b.durationMs };
}

function addCounts(a: SnapshotCounts, b: SnapshotCounts): SnapshotCounts {
  return { written: a.written + b.written, updated: a.updated + b.updated, removed: a.removed + b.removed };
}

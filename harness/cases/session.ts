/** `selvedge test`: finds the files, brings the modules up to date, runs, and with --watch does so again. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { buildAll, packageRoot } from "../build/index.ts";
import type { Coverage } from "../coverage/index.ts";
import { SelvedgeError, type Finding } from "../errors.ts";
import type { Engine } from "./engine.ts";
import { hostEngine } from "./engines/host.ts";
import { findCaseFiles } from "./files.ts";
import { readCaseFile, type CaseFile } from "./read.ts";
import { runCases, type TestRun } from "./run.ts";
import { orphans } from "./snapshot-file.ts";

export { jsonReport, junitReport, textReport } from "./report.ts";
export { joinRuns, passed } from "./run.ts";
export { watchCases } from "./watch.ts";

export interface SessionOptions {
  /** Files and folders; none: every filter's cases. */
  paths: readonly string[];
  engine: "host" | "envoy" | "both";
  /** Path of an Envoy. */
  envoy?: string;
  /** Folder of built modules; without it, those of this project are built first where something changed. */
  modules?: string;
  /** Counts which lines of the modules' sources the cases run; host engine only. */
  coverage?: Coverage;
  progress?: (message: string) => void;
  /** Stores what is seen, also where it differs from what is stored. */
  updateSnapshots?: boolean;
}

/** One run. @throws SelvedgeError when there is nothing to run, a filter doesn't compile or no Envoy is found */
export async function testFiles(options: SessionOptions): Promise<TestRun> {
  let files = findCaseFiles(options.paths).map((file) => readCaseFile(file, { modules: options.modules }));
  if (options.modules === undefined) files = options.coverage === undefined ? await buildModules(files, options.progress) : await buildCounted(files, options.progress);
  const run = await runCases(withModules(files), await enginesOf(options), { onProgress: options.progress, updateSnapshots: options.updateSnapshots });
  return { ...run, findings: [...run.findings, ...orphans(files.map(({ file }) => file))] };
}

export async function enginesOf({ engine, envoy, progress, coverage }: SessionOptions): Promise<Engine[]> {
  if (engine === "host") return [hostEngine({ coverage })];
  const [{ findEnvoy }, { envoyEngine }] = await Promise.all([import("../envoy/index.ts"), import("./engines/envoy.ts")]);
  const binary = await findEnvoy({ flag: envoy, onProgress: progress });
  return [...(engine === "both" ? [hostEngine()] : []), envoyEngine(binary)];
}

/** Builds the filters that these files name and whose source is here. */
async function buildModules(files: CaseFile[], progress?: (message: string) => void): Promise<CaseFile[]> {
  const named = new Set(files.flatMap(({ filter }) => (filter === undefined ? [] : [filter])));
  const only = [...named].filter((name) => existsSync(join(packageRoot, "filters", name, "assembly", "index.ts")));
  if (only.length > 0) await buildAll({ outDir: join(packageRoot, "dist"), only, onFilter: (name, result) => (result && !result.cached ? progress?.(`built ${name}`) : undefined) });
  return files;
}

/** The same files, for modules whose lines can be counted. */
async function buildCounted(files: CaseFile[], progress?: (message: string) => void): Promise<CaseFile[]> {
  const { buildForCoverage } = await import("../coverage/index.ts");
  const modules = await buildForCoverage(files.flatMap(({ filter }) => filter ?? []), progress);
  return files.map((file) => {
    const module = file.filter === undefined ? undefined : modules.get(file.filter);
    const built = join(packageRoot, "dist", `${file.filter}.wasm`); // `module` in a file names another
    return module === undefined ? file : { ...file, plans: file.plans.map((plan) => (plan.module === built ? { ...plan, module } : plan)) };
  });
}

/** A file whose module isn't there is a finding; the other files still run. */
export function withModules(files: readonly CaseFile[]): CaseFile[] {
  return files.map((file) => {
    const missing = file.plans.find(({ module }) => !existsSync(module));
    if (!missing) return file;
    const finding: Finding = { code: "module-missing", severity: "error", message: `the module of these cases is not there: ${missing.module}`, where: { file: file.file, line: 1, col: 1 }, fix: "build it (`selvedge build`), or correct `filter` or `module`" };
    return { ...file, plans: [], findings: [...file.findings, finding] };
  });
}

/** What went wrong, as lines for a person. */
export function describeError(error: unknown): string {
  return error instanceof SelvedgeError ? error.message : ((error as Error).stack ?? String(error));
}

/** `selvedge test`: finds the files, brings the modules up to date, runs, and with --watch does so again. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, dirname } from "node:path";
import { buildFilter, type FilterSource } from "../build/index.ts";
import type { Coverage } from "../coverage/index.ts";
import { nearest } from "../compose/nearest.ts";
import { SelvedgeError, type Finding } from "../errors.ts";
import type { Engine } from "./engine.ts";
import { hostEngine } from "./engines/host.ts";
import { findCaseFiles } from "./files.ts";
import type { CasePlan } from "./plan.ts";
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

/** Builds the filters that these files name and whose source is known. */
async function buildModules(files: CaseFile[], progress?: (message: string) => void): Promise<CaseFile[]> {
  await buildEach(files, async ({ name, entry, outDir }) => {
    const { path, cached } = await buildFilter({ name, entry, outDir });
    if (!cached) progress?.(`built ${name}`);
    return path;
  });
  return files;
}

/** The same files, for modules whose lines can be counted. */
async function buildCounted(files: CaseFile[], progress?: (message: string) => void): Promise<CaseFile[]> {
  const { buildForCoverage } = await import("../coverage/index.ts");
  const modules = await buildEach(files, (source) => buildForCoverage(source, progress));
  return files.map((file) => withModule(file, file.source && modules.get(file.source.entry)));
}

/** Builds each source once, in the order of names. @throws SelvedgeError the errors of all that don't compile */
async function buildEach(files: readonly CaseFile[], build: (source: FilterSource) => Promise<string>): Promise<Map<string, string>> {
  const sources = new Map(files.flatMap(({ source }) => (source === undefined ? [] : [[source.entry, source] as const])));
  const modules = new Map<string, string>();
  const errors: Finding[] = [];
  for (const source of [...sources.values()].sort((a, b) => (a.name < b.name ? -1 : 1))) {
    try {
      modules.set(source.entry, await build(source));
    } catch (error) {
      if (!(error instanceof SelvedgeError)) throw error;
      errors.push(...error.findings);
    }
  }
  // Filters share sources, and so their errors.
  if (errors.length > 0) throw new SelvedgeError([...new Map(errors.map((each) => [JSON.stringify(each), each])).values()]);
  return modules;
}

/** The same cases, with another build of their filter. */
export function withModule(file: CaseFile, module: string | undefined): CaseFile {
  return module === undefined ? file : { ...file, plans: file.plans.map((plan) => ({ ...plan, module })) };
}

/** A file whose module isn't there is a finding; the other files still run. */
export function withModules(files: readonly CaseFile[]): CaseFile[] {
  return files.map((file) => {
    const missing = file.plans.find(({ module }) => !existsSync(module) || !statSync(module).isFile());
    if (!missing) return file;
    const message = existsSync(missing.module) ? `the module of these cases is no file: ${missing.module}` : `the module of these cases is not there: ${missing.module}`;
    const finding: Finding = { code: "module-missing", severity: "error", message, where: file.moduleAt ?? { file: file.file }, fix: fixOf(missing) };
    return { ...file, plans: [], findings: [...file.findings, finding] };
  });
}

/** What lies beside the module that isn't there may be what was meant. */
function fixOf({ module }: CasePlan): string {
  const directory = dirname(module);
  const built = existsSync(directory) ? readdirSync(directory).filter((name) => name.endsWith(".wasm")).map((name) => basename(name, ".wasm")) : [];
  const close = nearest(basename(module, ".wasm"), built);
  return close === undefined ? "build it (`selvedge build`), or correct `filter` or `module`" : `did you mean \`${close}\`?`;
}

/** What went wrong, as lines for a person. */
export function describeError(error: unknown): string {
  return error instanceof SelvedgeError ? error.message : ((error as Error).stack ?? String(error));
}

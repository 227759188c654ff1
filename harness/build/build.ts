import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import { fail, SelvedgeError, type Finding } from "../errors.ts";
import { buildKey, isFresh, readRecord, writeRecord } from "./cache.ts";
import { compile, releaseOptions, testOptions, type AscOptions, type Compilation } from "./compiler.ts";
import { writeAtomically, sha256 } from "./files.ts";
import { describeModule, updateManifest, type ModuleDescription } from "./manifest.ts";
import { mergeData } from "./data.ts";
import { withBacktraces } from "./names.ts";
import { packageRoot } from "./root.ts";
import { baseDirectory } from "./source.ts";

export interface BuildRequest {
  /** Name of the output; by default that of the filter's folder (`filters/<name>/assembly/index.ts`). */
  name?: string;
  /** Path of the filter's index.ts. */
  entry: string;
  outDir: string;
  /** Writes `<name>.debug.wasm` too: the same code with function names, for readable backtraces. */
  debug?: boolean;
  /** Compiles even when no input changed. */
  force?: boolean;
  /** More asc options, by long name; they win over the release options. */
  extraOptions?: AscOptions;
}

export interface BuildResult extends ModuleDescription {
  /** Absolute path of the module. */
  path: string;
  /** Absolute path of the source map. */
  map: string;
  debugPath?: string;
  /** True when the inputs were unchanged and nothing was compiled. */
  cached: boolean;
  /** SDK callback exports that were left out, because nothing overrides them. */
  pruned: string[];
  /** The compiler's warnings. */
  findings: Finding[];
}

/**
 * Compiles one filter to `<outDir>/<name>.wasm` and `<name>.wasm.map`, and records it in `<outDir>/manifest.json`.
 * The same inputs give the same bytes.
 *
 * @throws SelvedgeError the compiler's errors with file:line:col, or `build-entry-missing`
 */
export async function buildFilter(request: BuildRequest): Promise<BuildResult> {
  const entry = resolve(request.entry);
  if (!existsSync(entry)) fail("build-entry-missing", `there is no ${request.entry}`, { fix: "give the path of a filter's assembly/index.ts" });
  const name = request.name ?? filterName(entry);
  const outDir = resolve(request.outDir);
  const baseDir = baseDirectory(entry);
  const options = { ...releaseOptions, sourceMap: `./${name}.wasm.map`, ...request.extraOptions };
  const path = join(outDir, `${name}.wasm`);
  const map = `${path}.map`;
  const debugPath = request.debug ? join(outDir, `${name}.debug.wasm`) : undefined;

  const key = buildKey({ entry: relative(baseDir, entry), options, debug: Boolean(request.debug) });
  const record = request.force ? null : await readRecord(outDir, name);
  if (record && (await isFresh(record, key, baseDir, outDir))) {
    return { ...record.description, path, map, debugPath, cached: true, pruned: record.pruned, findings: record.findings };
  }

  const compiled = await compile({ entry, name, options, baseDir });
  const wasm = withBacktraces(mergeData(compiled.wasm));
  const files: Record<string, Uint8Array | string> = { [`${name}.wasm`]: wasm, [`${name}.wasm.map`]: compiled.map ?? "" };
  if (debugPath) files[basename(debugPath)] = await compileDebug(entry, name, options, baseDir);
  for (const [file, data] of Object.entries(files)) await writeAtomically(join(outDir, file), data);

  const description = describeModule(name, wasm);
  await writeRecord(outDir, name, {
    key,
    inputs: hashes(compiled),
    outputs: Object.fromEntries(Object.entries(files).map(([file, data]) => [file, sha256(data)])),
    description,
    pruned: compiled.pruned,
    findings: compiled.findings,
  });
  await updateManifest(outDir, [description]);
  return { ...description, path, map, debugPath, cached: false, pruned: compiled.pruned, findings: compiled.findings };
}

export interface BuildAllRequest {
  outDir: string;
  /** Names of the filters to build; all of them unless given. */
  only?: string[];
  debug?: boolean;
  force?: boolean;
  /** Where the filter folders are; the package's `filters` unless given. */
  filtersDir?: string;
  /** Called before and after each filter, for progress. */
  onFilter?: (name: string, result?: BuildResult) => void;
}

/**
 * Builds every folder of `filters/` that has an `assembly/index.ts`, the SDK excepted, in the order of their names. One
 * that doesn't compile keeps none of the others from being built.
 *
 * @throws SelvedgeError the errors of all of them
 */
export async function buildAll(request: BuildAllRequest): Promise<BuildResult[]> {
  const filters = await listFilters(request.filtersDir);
  const unknown = request.only?.filter((name) => !filters.has(name)) ?? [];
  if (unknown.length) {
    fail("build-filter-unknown", `there is no filter named ${unknown.join(", ")}`, { expected: `one of ${[...filters.keys()].join(", ")}` });
  }
  const results: BuildResult[] = [];
  const errors: Finding[] = [];
  for (const [name, entry] of filters) {
    if (request.only?.length && !request.only.includes(name)) continue;
    request.onFilter?.(name);
    try {
      const result = await buildFilter({ name, entry, outDir: request.outDir, debug: request.debug, force: request.force });
      request.onFilter?.(name, result);
      results.push(result);
    } catch (error) {
      if (!(error instanceof SelvedgeError)) throw error;
      errors.push(...error.findings);
    }
  }
  if (errors.length) throw new SelvedgeError(distinct(errors));
  return results;
}

/** Filter folders: name → path of its entry. */
export async function listFilters(filtersDir = join(packageRoot, "filters")): Promise<Map<string, string>> {
  const folders = await readdir(filtersDir, { withFileTypes: true }).catch(() => []);
  const filters = folders
    .filter((folder) => folder.isDirectory() && folder.name !== "sdk")
    .map((folder) => [folder.name, join(filtersDir, folder.name, "assembly", "index.ts")] as const)
    .filter(([, entry]) => existsSync(entry));
  return new Map(filters.sort(([a], [b]) => (a < b ? -1 : 1)));
}

/**
 * Compiles a pure module for a unit test: assertions on, and with the exports that @assemblyscript/loader needs to pass
 * strings and arrays. Give `source` to compile text; its imports resolve from `entry` (by default the package root).
 */
export async function compileModule(request: { entry?: string; source?: string; options?: AscOptions }): Promise<Uint8Array> {
  const entry = request.entry ?? join(packageRoot, "inline.ts");
  const options = { ...testOptions, ...request.options };
  return (await compile({ entry, source: request.source, name: "module", options, baseDir: baseDirectory(resolve(entry)) })).wasm;
}

/** Filters share sources, and so their errors. */
function distinct(findings: Finding[]): Finding[] {
  return [...new Map(findings.map((finding) => [JSON.stringify(finding), finding])).values()];
}

async function compileDebug(entry: string, name: string, options: AscOptions, baseDir: string): Promise<Uint8Array> {
  return (await compile({ entry, name: `${name}.debug`, options: { ...options, debug: true, sourceMap: `./${name}.wasm.map` }, baseDir })).wasm;
}

/** `filters/authz/assembly/index.ts` → `authz`; any other file → its own name. */
function filterName(entry: string): string {
  const file = basename(entry, ".ts");
  if (file !== "index") return file;
  const folder = dirname(entry);
  return basename(basename(folder) === "assembly" ? dirname(folder) : folder);
}

function hashes(compiled: Compilation): Record<string, string | null> {
  return Object.fromEntries([...compiled.inputs].map(([path, text]) => [path, text === null ? null : sha256(text)]));
}

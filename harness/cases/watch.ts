/** Runs cases again whenever a filter, a file of cases or a module changes. */
import { existsSync, watch, type FSWatcher } from "node:fs";
import { dirname, join } from "node:path";
import { colors } from "../colors.ts";
import { packageRoot } from "../build/root.ts";
import { untilInterrupted } from "../cleanup.ts";
import { findCaseFiles } from "./files.ts";
import { readCaseFile } from "./read.ts";
import { textReport } from "./report.ts";
import { describeError, testFiles, type SessionOptions } from "./session.ts";

/** Editors write a file in several steps. */
const QUIET_MS = 80;

/** Returns after Ctrl-C. */
export async function watchCases(options: SessionOptions, print: (text: string) => void): Promise<void> {
  let changed: (() => void) | undefined;
  let pending = true;
  let stopped = false;
  const notice = (): void => {
    pending = true;
    changed?.();
  };
  const watchers = foldersOf(options).map((folder): FSWatcher => watch(folder, { recursive: true }, (_, name) => (name === null || /\.(ts|ya?ml|wasm|json)$/.test(name) ? notice() : undefined)));
  const interrupted = untilInterrupted().then(() => {
    stopped = true;
    changed?.();
  });
  try {
    while (!stopped) {
      if (!pending) {
        await new Promise<void>((resolve) => (changed = resolve));
        changed = undefined;
        await new Promise((resolve) => setTimeout(resolve, QUIET_MS));
        continue;
      }
      pending = false;
      print(await report(options));
    }
  } finally {
    for (const watcher of watchers) watcher.close();
  }
  await interrupted;
}

async function report(options: SessionOptions): Promise<string> {
  try {
    const run = await testFiles(options);
    return [...run.findings.map(({ message, where }) => `${where?.file}:${where?.line}: ${message}`), textReport(run, colors.isColorSupported)].join("\n");
  } catch (error) {
    return describeError(error);
  }
}

/** Where the cases, the modules that they name and the filters' sources are. */
function foldersOf({ paths, modules }: SessionOptions): string[] {
  const files = findCaseFiles(paths);
  const named = files.flatMap((file) => readCaseFile(file, { modules }).plans.map(({ module }) => dirname(module)));
  const built = join(packageRoot, "dist");
  const folders = [...files.map((file) => dirname(file)), ...named.filter((folder) => folder !== built), ...(modules === undefined ? [join(packageRoot, "filters")] : [modules])];
  return [...new Set(folders)].filter((folder) => existsSync(folder));
}

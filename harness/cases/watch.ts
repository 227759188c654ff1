/** Runs cases again whenever a filter, a file of cases or a module changes. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { colors } from "../colors.ts";
import { packageRoot } from "../build/root.ts";
import { untilInterrupted } from "../cleanup.ts";
import { formatFinding } from "../errors.ts";
import { temporaryDirectory } from "../tempdir.ts";
import { findCaseFiles } from "./files.ts";
import { FolderWatcher } from "./folders.ts";
import { Rerunner, type Round } from "./rerun.ts";
import { textReport } from "./report.ts";
import { describeError, type SessionOptions } from "./session.ts";

/** Editors write a file in several steps, and version control many files one after another. */
const QUIET_MS = 40;
const RELEVANT = /\.(ts|ya?ml|wasm|json)$/;

/** Returns after Ctrl-C. */
export async function watchCases(options: SessionOptions, print: (text: string) => void): Promise<void> {
  const changes = new Changes();
  const scratch = temporaryDirectory("watch");
  const watcher = new FolderWatcher(foldersOf(options), (path) => (RELEVANT.test(path) || !/\.[^/]*$/.test(path) ? changes.notice() : undefined));
  const interrupted = untilInterrupted().then(() => changes.stop());
  const rerunner = new Rerunner(options, scratch.path);
  try {
    while (await changes.next()) {
      try {
        const round = await rerunner.run();
        watcher.add(foldersAround(rerunner.sources));
        if (round.changed) print(describe(round));
      } catch (error) {
        print(describeError(error));
      }
    }
  } finally {
    watcher.close();
    scratch.remove();
  }
  await interrupted;
}

/** Changes come at any time, also while a run is under way. */
class Changes {
  #pending = true;
  #stopped = false;
  #last = 0;
  #wake: (() => void) | undefined;

  notice(): void {
    this.#pending = true;
    this.#last = Date.now();
    this.#wake?.();
  }

  stop(): void {
    this.#stopped = true;
    this.#wake?.();
  }

  /** Resolves when there is something to do, and nothing has happened for a moment. False: stop. */
  async next(): Promise<boolean> {
    while (!this.#stopped) {
      const quiet = this.#last + QUIET_MS - Date.now();
      if (this.#pending && quiet <= 0) {
        this.#pending = false;
        return true;
      }
      await new Promise<void>((resolve) => {
        const timer = this.#pending ? setTimeout(resolve, quiet) : undefined;
        this.#wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
    return false;
  }
}

function describe({ run, built, ran, findings, durationMs }: Round): string {
  const seconds = (ms: number): string => `${(ms / 1000).toFixed(2)} s`;
  const lines = [...findings, ...run.findings].map((finding) => formatFinding(finding));
  if (run.files.length > 0) lines.push(textReport(run, colors.isColorSupported));
  const compiled = built.map(({ name, durationMs: ms }) => `${name} in ${seconds(ms)}`);
  const what = [...(compiled.length ? [`built ${compiled.join(", ")} without the optimizer`] : []), `ran ${ran} of ${run.files.length} files`, `${seconds(durationMs)} in all`];
  return [...lines, colors.dim(`${what.join("; ")}. Waiting for changes, Ctrl-C ends.`), ""].join("\n");
}

/** Folders with sources; packages other than this one don't change while somebody works. */
function foldersAround(sources: Iterable<string>): string[] {
  const folders = new Set([...sources].filter((path) => !path.includes("/node_modules/")).map((path) => dirname(path)));
  return [...folders].filter((folder) => existsSync(folder));
}

/** Where the cases, the modules that they name and the filters' sources are. */
function foldersOf({ paths, modules }: SessionOptions): string[] {
  const files = findCaseFiles(paths);
  const folders = [...paths.filter((path) => !files.includes(path)), ...files.map((file) => dirname(file)), ...(modules === undefined ? [join(packageRoot, "filters")] : [modules])];
  return [...new Set(folders)].filter((folder) => existsSync(folder));
}

/** Runs cases again, as little as a change needs: filters whose sources changed, and files whose cases or modules did. */
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DevelopmentBuilder } from "../build/develop.ts";
import { sha256 } from "../build/files.ts";
import { packageRoot } from "../build/root.ts";
import { SelvedgeError, type Finding } from "../errors.ts";
import { findCaseFiles } from "./files.ts";
import { readCaseFile, type CaseFile } from "./read.ts";
import { runCases, type CaseResult, type TestRun } from "./run.ts";
import { enginesOf, withModules, type SessionOptions } from "./session.ts";
import { snapshotFile } from "./snapshot-file.ts";

/** One time through. */
export interface Round {
  /** Everything, also what wasn't run again. */
  run: TestRun;
  built: { name: string; durationMs: number }[];
  /** How many files were run. */
  ran: number;
  /** What kept a filter from being built. */
  findings: Finding[];
  /** False: what the last round said still holds. */
  changed: boolean;
  durationMs: number;
}

export class Rerunner {
  readonly #builder: DevelopmentBuilder;
  /** Results of the last run of each file, with what they depend on. */
  readonly #results = new Map<string, { key: string; cases: CaseResult[]; findings: Finding[]; obsolete: string[] }>();
  #said = "";

  /** @param outDir where modules are built, apart from the release's */
  constructor(
    private readonly options: SessionOptions,
    outDir: string,
  ) {
    this.#builder = new DevelopmentBuilder(outDir);
  }

  /** @throws SelvedgeError when there is no file of cases, or no engine */
  async run(): Promise<Round> {
    const started = performance.now();
    const read = findCaseFiles(this.options.paths).map((file) => this.#read(file));
    const { built, findings, broken } = await this.#build(read);
    const files = withModules(read.filter(({ filter }) => filter === undefined || !broken.has(filter)));
    const due = files.filter((file) => this.#results.get(file.file)?.key !== keyOf(file));
    const engines = due.some(({ plans }) => plans.length > 0) ? await enginesOf(this.options) : [];
    const run = await runCases(due, engines, { onProgress: this.options.progress, updateSnapshots: this.options.updateSnapshots });
    for (const [index, file] of due.entries()) {
      // The key is taken again: running may have written a snapshot.
      this.#results.set(file.file, { key: keyOf(file), cases: run.files[index]!.cases, findings: file.findings, obsolete: run.files[index]!.obsolete });
    }
    const all = files.map(({ file }) => ({ file, ...this.#results.get(file)! }));
    const saying = JSON.stringify([findings, files.map(({ file }) => file)]);
    const changed = due.length > 0 || built.length > 0 || saying !== this.#said;
    this.#said = saying;
    return {
      run: { ...run, engines: this.#enginesNamed, files: all, findings: all.flatMap((each) => each.findings), durationMs: performance.now() - started },
      built,
      ran: due.length,
      findings,
      changed,
      durationMs: performance.now() - started,
    };
  }

  get #enginesNamed(): TestRun["engines"] {
    return this.options.engine === "both" ? ["host", "envoy"] : [this.options.engine];
  }

  /** Filters whose source is here are taken from where they are built. */
  #read(file: string): CaseFile {
    const { modules } = this.options;
    const first = readCaseFile(file, { modules });
    if (modules !== undefined || first.filter === undefined || !existsSync(sourceOf(first.filter))) return first;
    return readCaseFile(file, { modules: this.#builder.outDir });
  }

  async #build(files: readonly CaseFile[]): Promise<{ built: Round["built"]; findings: Finding[]; broken: Set<string> }> {
    const result = { built: [] as Round["built"], findings: [] as Finding[], broken: new Set<string>() };
    if (this.options.modules !== undefined) return result;
    const names = [...new Set(files.flatMap(({ filter }) => filter ?? []))].filter((name) => existsSync(sourceOf(name)));
    for (const name of names) {
      try {
        const { compiled, durationMs } = await this.#builder.build(name, sourceOf(name));
        if (compiled) result.built.push({ name, durationMs });
      } catch (error) {
        if (!(error instanceof SelvedgeError)) throw error;
        // Filters share sources, and so their errors.
        for (const finding of error.findings) if (!result.findings.some((each) => JSON.stringify(each) === JSON.stringify(finding))) result.findings.push(finding);
        result.broken.add(name);
      }
    }
    return result;
  }
}

const sourceOf = (filter: string): string => join(packageRoot, "filters", filter, "assembly", "index.ts");

/** Everything that the outcome of a file depends on. */
function keyOf({ file, plans, findings }: CaseFile): string {
  const paths = [file, snapshotFile(file), ...new Set(plans.map(({ module }) => module))];
  return sha256(JSON.stringify([findings, paths.map((path) => (existsSync(path) ? sha256(readFileSync(path)) : null))]));
}

/** Runs cases again, as little as a change needs: filters whose sources changed, and files whose cases or modules did. */
import { existsSync, readFileSync } from "node:fs";
import { DevelopmentBuilder } from "../build/develop.ts";
import { sha256 } from "../build/files.ts";
import { SelvedgeError, type Finding } from "../errors.ts";
import { findCaseFiles } from "./files.ts";
import { readCaseFile, type CaseFile } from "./read.ts";
import { runCases, type CaseResult, type TestRun } from "./run.ts";
import { enginesOf, withModule, withModules, type SessionOptions } from "./session.ts";
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
  readonly #entries = new Set<string>();
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
    const read = findCaseFiles(this.options.paths).map((file) => readCaseFile(file, { modules: this.options.modules }));
    const { built, findings, modules } = await this.#build(read);
    const compiled = read.filter(({ source }) => source === undefined || modules.has(source.entry));
    const files = withModules(compiled.map((file) => withModule(file, file.source && modules.get(file.source.entry))));
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

  /** Every source that was compiled into what runs, and the entries of filters that don't compile. */
  get sources(): ReadonlySet<string> {
    return new Set([...this.#entries, ...this.#builder.inputs]);
  }

  /** @returns by source's entry, what was made of it; a filter that doesn't compile has none */
  async #build(files: readonly CaseFile[]): Promise<{ built: Round["built"]; findings: Finding[]; modules: Map<string, string> }> {
    const result = { built: [] as Round["built"], findings: [] as Finding[], modules: new Map<string, string>() };
    const sources = new Map(files.flatMap(({ source }) => (source === undefined ? [] : [[source.entry, source] as const])));
    for (const source of sources.values()) {
      this.#entries.add(source.entry);
      try {
        const { path, compiled, durationMs } = await this.#builder.build(source);
        result.modules.set(source.entry, path);
        if (compiled) result.built.push({ name: source.name, durationMs });
      } catch (error) {
        if (!(error instanceof SelvedgeError)) throw error;
        // Filters share sources, and so their errors.
        for (const finding of error.findings) if (!result.findings.some((each) => JSON.stringify(each) === JSON.stringify(finding))) result.findings.push(finding);
      }
    }
    return result;
  }
}

/** Everything that the outcome of a file depends on. */
function keyOf({ file, plans, findings }: CaseFile): string {
  const paths = [file, snapshotFile(file), ...new Set(plans.map(({ module }) => module))];
  return sha256(JSON.stringify([findings, paths.map((path) => (existsSync(path) ? sha256(readFileSync(path)) : null))]));
}

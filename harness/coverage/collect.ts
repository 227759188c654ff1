/** Adds up which lines the VMs of a run have been through. */
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { readWasm } from "../build/wasm.ts";
import { fail } from "../errors.ts";
import { functionAt, functionsIn, type SourceFunction } from "../build/source-functions.ts";
import { findSourceMap, sourcePath, Symbolizer, type LoadedMap, type Symbols } from "../build/symbolize.ts";
import { instrument, linesRun, type CodeLine } from "./instrument.ts";

/** One source file. */
export interface FileCoverage {
  /** From the working directory where it is below it. */
  file: string;
  /** Lines that have code in a module → VMs that have run them. */
  lines: Map<number, number>;
  /** Functions of which a module has code. */
  functions: { name: string; line: number; hits: number }[];
  /** Functions that no entry reaches: they are in no module, have no lines to run, and aren't counted. */
  unreached: SourceFunction[];
}

interface CoveredModule {
  code: Uint8Array;
  symbols: Symbols;
  lines: { file: string; line: number }[];
}

/** What a host needs to count one module's lines. */
export interface Counted {
  /** To run instead of the module. */
  code: Uint8Array;
  /** Offsets of `code` → places in the source. */
  symbols: Symbols;
  /** For {@link HostOptions.onInstance}. */
  onInstance: (exports: WebAssembly.Exports) => void;
  /** Adds what those instances have run; they are let go. */
  finish: () => void;
}

/** Coverage of a run: any number of modules, each in any number of VMs. */
export class Coverage {
  readonly #modules = new Map<string, CoveredModule>();
  /** File → line → VMs. */
  readonly #files = new Map<string, Map<number, number>>();
  readonly #texts = new Map<string, string>();

  /**
   * Prepares a module to be counted.
   *
   * @throws SelvedgeError `coverage-no-map` when there is no source map, or why it can't be read
   */
  count(file: string): Counted {
    let module = this.#modules.get(file);
    if (module === undefined) this.#modules.set(file, (module = this.#load(file)));
    const { code, symbols, lines } = module;
    const instances: WebAssembly.Exports[] = [];
    return {
      code,
      symbols,
      onInstance: (exports) => void instances.push(exports),
      finish: () => {
        for (const exports of instances.splice(0)) {
          for (const index of linesRun(exports)) {
            const { file, line } = lines[index]!;
            const hits = this.#files.get(file)!;
            hits.set(line, hits.get(line)! + 1);
          }
        }
      },
    };
  }

  #load(file: string): CoveredModule {
    const bytes = readFileSync(file);
    const map = findSourceMap(readWasm(bytes), file);
    if (map === undefined) {
      fail("coverage-no-map", "this module has no source map, so nobody knows which lines its code comes from", { where: { file }, expected: `${file}.map, or a section sourceMappingURL that leads to one`, fix: "build it with `asc --sourceMap`" });
    }
    const paths = map.sources.map((_, index) => (isOwn(map, index) ? sourcePath(map, index) : undefined));
    const { code, lines, segments } = instrument(bytes, map.segments, (source) => paths[source] !== undefined);
    paths.forEach((path, index) => {
      if (path !== undefined) this.#texts.set(path, map.contents[index] ?? read(path));
    });
    return { code, symbols: new Symbolizer(code, file, { ...map, segments }), lines: lines.map((each) => this.#declare(each, paths)) };
  }

  #declare({ source, line }: CodeLine, paths: readonly (string | undefined)[]): { file: string; line: number } {
    const file = paths[source]!;
    let lines = this.#files.get(file);
    if (lines === undefined) this.#files.set(file, (lines = new Map()));
    if (!lines.has(line)) lines.set(line, 0);
    return { file, line };
  }

  /** What has been counted so far, by file name; files next to those counted that are in no module have no lines. */
  result(): FileCoverage[] {
    const files = new Map<string, Map<number, number>>([...filesBeside([...this.#files.keys()])].map((file) => [file, new Map()]));
    for (const [file, lines] of this.#files) files.set(file, lines);
    return [...files].sort(([a], [b]) => (a < b ? -1 : 1)).map(([file, lines]) => fileCoverage(file, this.#texts.get(file) ?? read(file), lines));
  }
}

/** A project's own sources, not the standard library's or a package's. */
function isOwn(map: LoadedMap, index: number): boolean {
  return !map.sources[index]!.startsWith("~lib/") && !/(^|\/)node_modules\//.test(map.sources[index]!);
}

const read = (path: string): string => {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
};

/** Every source below the folders `assembly` in which these files are. */
function* filesBeside(files: readonly string[]): Generator<string> {
  const folders = new Set(files.flatMap((file) => /^(.*?\/)?assembly(?=\/)/.exec(file)?.[0] ?? []));
  for (const folder of folders) {
    for (const name of readdirSync(folder, { recursive: true, encoding: "utf8" })) if (name.endsWith(".ts") && !name.endsWith(".d.ts")) yield join(folder, name);
  }
}

function fileCoverage(file: string, text: string, counted: ReadonlyMap<number, number>): FileCoverage {
  const lines = new Map([...counted].sort(([a], [b]) => a - b));
  const all = functionsIn(text);
  const hits = new Map<SourceFunction, number>();
  for (const [line, count] of lines) {
    const around = functionAt(all, line);
    if (around) hits.set(around, Math.max(count, hits.get(around) ?? 0));
  }
  return {
    file,
    lines,
    functions: all.filter((each) => hits.has(each)).map((each) => ({ name: each.name, line: each.start, hits: hits.get(each)! })),
    unreached: all.filter((each) => !hits.has(each) && !each.empty),
  };
}

import { readFile } from "node:fs/promises";
import { basename, relative, resolve, sep } from "node:path";
import { SelvedgeError, type Finding } from "../errors.ts";
import { diagnosticFindings } from "./diagnostics.ts";
import { packageRoot } from "./root.ts";
import type SelvedgeTransform from "./transform.mjs";

/** asc's options by their long names; `true` for a flag. */
export type AscOptions = Record<string, string | number | boolean | string[]>;

/**
 * How every filter is compiled. `asconfig.json` says the same to a plain `npx asc`; a test holds the two together.
 *
 * - `exportStart`: top-level code must run in `_initialize`; a host call from the start section crashes Envoy 1.40.
 * - `runtime minimal`: the SDK collects at callback boundaries, where no reference is left on the stack.
 */
export const releaseOptions: AscOptions = {
  optimizeLevel: 3,
  shrinkLevel: 2,
  noAssert: true,
  runtime: "minimal",
  exportStart: "_initialize",
};

/** Pure modules for tests: assertions on, and the exports that @assemblyscript/loader needs. */
export const testOptions: AscOptions = { optimizeLevel: 1, runtime: "incremental", exportRuntime: true };

export interface CompileRequest {
  /** Path of the entry, or with `source` the path that it pretends to have. */
  entry: string;
  source?: string;
  /** Base name of the output, as written into the source map reference. */
  name: string;
  options: AscOptions;
  /** Directory that paths in diagnostics, messages and source maps are relative to; the package root unless told. */
  baseDir?: string;
}

export interface Compilation {
  wasm: Uint8Array;
  /** JSON of the source map, when `sourceMap` was asked. */
  map?: string;
  /** Warnings; errors are thrown. */
  findings: Finding[];
  /** SDK callback exports that were left out, because nothing overrides them. */
  pruned: string[];
  /** What was read: path relative to `baseDir` → text, or null where asc looked and found nothing. */
  inputs: Map<string, string | null>;
}

/**
 * Compiles one AssemblyScript program in memory.
 *
 * @throws SelvedgeError one finding for each of the compiler's errors, with file:line:col
 */
export async function compile(request: CompileRequest): Promise<Compilation> {
  const baseDir = request.baseDir ?? packageRoot;
  const entry = toPosix(relative(baseDir, resolve(baseDir, request.entry)));
  const inputs = new Map<string, string | null>();
  const outputs = new Map<string, Uint8Array | string>();
  // Only now: the compiler takes longer to load than most commands to run, which find everything built.
  const [{ default: asc }, { default: OurTransform }] = await Promise.all([import("assemblyscript/asc"), import("./transform.mjs")]);
  // asc writes into a transform's prototype: a class of its own for each compilation keeps them apart.
  let transform: SelvedgeTransform | undefined;
  class Transform extends OurTransform {
    constructor() {
      super();
      // eslint-disable-next-line @typescript-eslint/no-this-alias -- asc instantiates it and gives no way to reach it
      transform = this;
    }
  }

  const argv = [entry, "--outFile", `${request.name}.wasm`, "--baseDir", baseDir, ...toArguments(request.options)];
  const result = await asc.main(argv, {
    transforms: [Transform as never],
    readFile: async (path: string, base: string) => {
      if (basename(path) === "asconfig.json") return null; // every option is given here
      const file = resolve(baseDir, base, path);
      const name = toPosix(relative(baseDir, file));
      const text = request.source !== undefined && name === entry ? request.source : await readFile(file, "utf8").catch(() => null);
      inputs.set(name, text);
      return text;
    },
    writeFile: (path: string, contents: Uint8Array | string) => {
      outputs.set(path, contents);
    },
    listFiles: () => [],
  } as never);

  const findings = diagnosticFindings(transform?.program.diagnostics ?? [], baseDir);
  if (result.error) {
    const errors = findings.filter((finding) => finding.severity === "error");
    if (inputs.get(entry) === null) errors.unshift({ code: "build-entry-missing", severity: "error", message: `there is no ${request.entry}`, fix: "give the path of a filter's assembly/index.ts" });
    throw new SelvedgeError(errors.length ? errors : { code: "build-compiler", severity: "error", message: `the AssemblyScript compiler stopped: ${result.error.message}`, found: result.stderr.toString().trim() || undefined }, { cause: result.error });
  }
  const wasm = outputs.get(`${request.name}.wasm`) as Uint8Array;
  return { wasm: new Uint8Array(wasm), map: outputs.get(`${request.name}.wasm.map`) as string | undefined, findings, pruned: transform?.pruned ?? [], inputs };
}

function toArguments(options: AscOptions): string[] {
  return Object.entries(options).flatMap(([name, value]) => {
    if (value === true) return [`--${name}`];
    if (value === false) return [];
    return [value].flat().flatMap((item) => [`--${name}`, String(item)]);
  });
}

const toPosix = (path: string): string => path.replaceAll(sep, "/");

import { existsSync } from "node:fs";
import { join } from "node:path";
import { compile, releaseOptions, type AscOptions } from "./compiler.ts";
import { readOptional, sha256, writeAtomically } from "./files.ts";
import { baseDirectory, type FilterSource } from "./source.ts";

/**
 * How a filter is compiled while somebody works on it: the same code without binaryen's optimizer, which takes most of a
 * release build's time. What it decides is the same; how fast and how small it is isn't.
 */
export const developmentOptions: AscOptions = { ...releaseOptions, optimizeLevel: 0, shrinkLevel: 0 };

interface Built {
  path: string;
  /** Path → sha256, null for a file that was looked for and absent. */
  inputs: Map<string, string | null>;
}

export interface Rebuild {
  /** Path of the module. */
  path: string;
  /** False: no input had changed. */
  compiled: boolean;
  durationMs: number;
}

/** Compiles filters again and again in one process, where asc is warm, and only those whose sources changed. */
export class DevelopmentBuilder {
  readonly #built = new Map<string, Built>();

  /** @param outDir where modules and their source maps go, each filter's into a folder of its own */
  constructor(readonly outDir: string) {}

  /** Every file that was read for what is built. */
  get inputs(): Set<string> {
    return new Set([...this.#built.values()].flatMap(({ inputs }) => [...inputs.keys()]));
  }

  /** @throws SelvedgeError the compiler's errors with file:line:col; what was built before stays */
  async build({ name, entry }: Pick<FilterSource, "name" | "entry">): Promise<Rebuild> {
    const started = performance.now();
    const id = `${entry}\0${name}`;
    const known = this.#built.get(id);
    if (known && (await isFresh(known))) return { path: known.path, compiled: false, durationMs: performance.now() - started };
    // Were it to fail, the next look must try again.
    this.#built.delete(id);
    const baseDir = baseDirectory(entry);
    const { wasm, map, inputs } = await compile({ entry, name, baseDir, options: { ...developmentOptions, sourceMap: `./${name}.wasm.map` } });
    // Projects may have filters of the same name.
    const path = join(this.outDir, sha256(entry).slice(0, 16), `${name}.wasm`);
    await writeAtomically(path, wasm);
    await writeAtomically(`${path}.map`, map ?? "");
    this.#built.set(id, { path, inputs: new Map([...inputs].map(([file, text]) => [join(baseDir, file), text === null ? null : sha256(text)])) });
    return { path, compiled: true, durationMs: performance.now() - started };
  }
}

async function isFresh({ path, inputs }: Built): Promise<boolean> {
  if (!existsSync(path)) return false;
  const checks = [...inputs].map(async ([file, hash]) => {
    const data = await readOptional(file);
    return (data && sha256(data)) === hash;
  });
  return (await Promise.all(checks)).every(Boolean);
}

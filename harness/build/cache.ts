import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import type { Finding } from "../errors.ts";
import { readOptional, sha256, writeAtomically } from "./files.ts";
import type { ModuleDescription } from "./manifest.ts";
import { packageRoot } from "./root.ts";

/** What a build read and wrote, kept in `<outDir>/.build/<name>.json`, so that an unchanged filter isn't compiled again. */
export interface BuildRecord {
  /** Everything but the sources that decides the output: compiler, transform, options. */
  key: string;
  /** Path relative to the base directory → sha256, or null for a file that was looked for and absent. */
  inputs: Record<string, string | null>;
  /** File name in the output directory → sha256. */
  outputs: Record<string, string>;
  description: ModuleDescription;
  pruned: string[];
  findings: Finding[];
}

/** Changes with the shape of BuildRecord or of what is derived from a module. */
const RECORD_VERSION = 3;

/** By their files, which are the same whether this runs from the sources or from the bundle. */
const TRANSFORM = ["transform.mjs", "static-bytes.mjs"];

/** Not asked of the compiler itself: loading it takes longer than the cases of a filter. */
const compilerVersion = (): string => (createRequire(import.meta.url)("assemblyscript/package.json") as { version: string }).version;

export function buildKey(request: object): string {
  const transform = TRANSFORM.map((file) => readFileSync(join(packageRoot, "harness", "build", file), "utf8"));
  return sha256(JSON.stringify([RECORD_VERSION, compilerVersion(), transform, request]));
}

export async function readRecord(outDir: string, name: string): Promise<BuildRecord | null> {
  const text = await readOptional(recordPath(outDir, name));
  try {
    return text && (JSON.parse(text.toString()) as BuildRecord);
  } catch {
    return null; // damaged: build again
  }
}

export async function writeRecord(outDir: string, name: string, record: BuildRecord): Promise<void> {
  await writeAtomically(recordPath(outDir, name), JSON.stringify(record));
}

/** True when every input and every output is still what it was. */
export async function isFresh(record: BuildRecord, key: string, baseDir: string, outDir: string): Promise<boolean> {
  if (record.key !== key) return false;
  const same = async (directory: string, files: Record<string, string | null>) => {
    const checks = Object.entries(files).map(async ([path, hash]) => {
      const data = await readOptional(join(directory, path));
      return (data && sha256(data)) === hash;
    });
    return (await Promise.all(checks)).every(Boolean);
  };
  return (await same(baseDir, record.inputs)) && (await same(outDir, record.outputs));
}

const recordPath = (outDir: string, name: string): string => join(outDir, ".build", `${name}.json`);

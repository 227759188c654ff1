import { existsSync } from "node:fs";
import { join } from "node:path";
import { brotliCompressSync, gzipSync } from "node:zlib";
import { inspectModule } from "./inspect.ts";
import { readWasm } from "./wasm.ts";
import { readOptional, sha256, writeAtomically } from "./files.ts";

/** What is known of a built module without running it; one entry of `dist/manifest.json`. */
export interface ModuleDescription {
  name: string;
  /** File name, next to the manifest. */
  file: string;
  sha256: string;
  /** Bytes: as is, gzip -9, brotli 11. */
  sizes: { raw: number; gzip: number; brotli: number };
  /** The marker that the module exports, e.g. `proxy_abi_version_0_2_1`; null when it is no Proxy-Wasm module. */
  abi: string | null;
  /** `module.name` of every import. */
  imports: string[];
  exports: string[];
}

export interface Manifest {
  modules: ModuleDescription[];
}

export function describeModule(name: string, wasm: Uint8Array): ModuleDescription {
  const { imports, exports } = readWasm(wasm);
  return {
    name,
    file: `${name}.wasm`,
    sha256: sha256(wasm),
    sizes: { raw: wasm.length, gzip: gzipSync(wasm, { level: 9 }).length, brotli: brotliCompressSync(wasm).length },
    abi: inspectModule(wasm).abi,
    imports: imports.map((entry) => `${entry.module}.${entry.name}`),
    exports: exports.map((entry) => entry.name),
  };
}

/** Puts these modules into `<outDir>/manifest.json` in place of older ones; entries whose file is gone are dropped. */
export async function updateManifest(outDir: string, modules: ModuleDescription[]): Promise<Manifest> {
  const path = join(outDir, "manifest.json");
  const byName = new Map((await readManifest(outDir)).modules.map((module) => [module.name, module]));
  for (const module of modules) byName.set(module.name, module);
  const present = [...byName.values()].filter((module) => existsSync(join(outDir, module.file)));
  const manifest = { modules: present.sort((a, b) => (a.name < b.name ? -1 : 1)) };
  await writeAtomically(path, `${JSON.stringify(manifest, null, 2)}\n`);
  return manifest;
}

/** The manifest of an output directory; empty where there is none. */
export async function readManifest(outDir: string): Promise<Manifest> {
  const text = await readOptional(join(outDir, "manifest.json"));
  try {
    return text ? (JSON.parse(text.toString()) as Manifest) : { modules: [] };
  } catch {
    return { modules: [] };
  }
}

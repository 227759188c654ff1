import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { gzipSync } from "node:zlib";
import { capabilitiesOf, requireProxyWasm } from "../../harness/build/index.ts";
import type { Config } from "../../harness/compose/emit/config.ts";
import type { PluginKind } from "../../harness/compose/emit/plugins.ts";
import { DEFAULT_ENVOY } from "../../harness/compose/emit/version.ts";
import { wasmFilter } from "../../harness/compose/emit/wasm.ts";
import { emptyModule } from "./empty.ts";

export const FILTERS = ["authz", "canary", "telemetry", "edge"] as const satisfies readonly PluginKind[];
export type FilterName = (typeof FILTERS)[number];

/** A module as Envoy loads it. */
export interface Module {
  name: string;
  path: string;
  kind: FilterName;
  capabilities: string[];
  callbacks: string[];
  sizes: { raw: number; gzip: number };
}

/** The filters that are built, each with an empty module that has exactly its callbacks. */
export interface Modules {
  filters: Partial<Record<FilterName, Module>>;
  empty: Partial<Record<FilterName, Module>>;
  /** What is missing, and why. */
  missing: { name: FilterName; reason: string }[];
}

/** @param dist where the built filters are @param directory where to write the empty ones */
export async function findModules(dist: string, directory: string): Promise<Modules> {
  const modules: Modules = { filters: {}, empty: {}, missing: [] };
  for (const kind of FILTERS) {
    const path = join(dist, `${kind}.wasm`);
    if (!existsSync(path)) {
      modules.missing.push({ name: kind, reason: `no ${relative(process.cwd(), path)}; \`npx selvedge build\` makes it` });
      continue;
    }
    const filter = readModule(kind, path);
    const emptyPath = join(directory, `empty-${kind}.wasm`);
    writeFileSync(emptyPath, await emptyModule(filter.callbacks));
    modules.filters[kind] = filter;
    modules.empty[kind] = readModule(kind, emptyPath);
  }
  return modules;
}

function readModule(kind: FilterName, path: string): Module {
  const bytes = readFileSync(path);
  const inspection = requireProxyWasm(bytes, path);
  return { name: kind, kind, path, capabilities: capabilitiesOf(inspection), callbacks: inspection.callbacks, sizes: { raw: bytes.length, gzip: gzipSync(bytes, { level: 9 }).length } };
}

/** The HTTP filter, as compose writes it. @param vm whose it is; filters of the same name share a VM */
export function pluginFilter(module: Module, vm: string, config: object): Config {
  return wasmFilter({ kind: module.kind, name: `bench.${vm}.${module.kind}`, json: JSON.stringify(config), signed: "signing" in config }, module.capabilities, module.path, DEFAULT_ENVOY);
}

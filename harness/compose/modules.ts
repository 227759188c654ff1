/** The filter modules that the configuration names: there, Proxy-Wasm, and what of the host each may use. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { capabilitiesOf, inspectModule } from "../build/inspect.ts";
import { SelvedgeError } from "../errors.ts";
import type { PluginKind } from "./emit/plugins.ts";
import type { Report } from "./report.ts";

export interface ModuleOptions {
  /** Holds authz.wasm, canary.wasm, telemetry.wasm, edge.wasm. */
  moduleDir: string;
  /** Paths of single modules, instead of those in `moduleDir`. */
  modulePaths?: Partial<Record<PluginKind, string>>;
  /** Taken instead of reading a module: for a configuration whose modules are built later. */
  capabilities?: Partial<Record<PluginKind, string[]>>;
}

export interface LoadedModule {
  file: string;
  /** For capability_restriction_config. */
  capabilities: string[];
}

/** Reports a module that is missing or that Envoy would refuse; what comes back then is of no use. */
export function loadModule(kind: PluginKind, options: ModuleOptions, report: Report): LoadedModule {
  const file = options.modulePaths?.[kind] ?? join(options.moduleDir, `${kind}.wasm`);
  const given = options.capabilities?.[kind];
  if (given) return { file, capabilities: [...given].sort() };
  let bytes: Uint8Array;
  try {
    bytes = readFileSync(file);
  } catch (error) {
    const missing = (error as NodeJS.ErrnoException).code === "ENOENT";
    report.add({
      code: "module-missing",
      severity: "error",
      message: missing ? `the filter module ${kind} is not there` : `cannot read the filter module: ${(error as Error).message}`,
      where: { file },
      fix: "build it: selvedge build",
    });
    return { file, capabilities: [] };
  }
  try {
    const inspection = inspectModule(bytes, file);
    for (const finding of inspection.findings) report.add(finding);
    return { file, capabilities: capabilitiesOf(inspection) };
  } catch (error) {
    if (!(error instanceof SelvedgeError)) throw error;
    for (const finding of error.findings) report.add({ ...finding, where: finding.where ?? { file } });
    return { file, capabilities: [] };
  }
}

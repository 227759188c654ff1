import { SelvedgeError, type Finding } from "../errors.ts";
import * as abi from "./abi.ts";
import { readWasm, type WasmImport, type WasmMemory, type WasmModule } from "./wasm.ts";

/** What a module is to a Proxy-Wasm host, and what is wrong with it. */
export interface Inspection {
  /** The marker that decides, or null: not a Proxy-Wasm module. */
  abi: abi.AbiMarker | null;
  /** The export through which the host allocates. */
  allocator: string | null;
  /** Exports that the host calls at load, in call order. */
  initializers: string[];
  /** Callbacks that the host finds, in export order. */
  callbacks: string[];
  /** Imports from `env` that belong to the ABI or to Envoy. */
  hostCalls: string[];
  /** WASI functions, without their module's name. */
  wasi: string[];
  /** Imports that no host offers: `module.name`. */
  unknownImports: string[];
  memory: WasmMemory | null;
  hasStartSection: boolean;
  /** Whether functions of its own have names; see names.ts for the one that every release module has. */
  hasNames: boolean;
  customSections: { name: string; size: number }[];
  /** Bytes: the file, its code, its data. */
  sizes: { raw: number; code: number; data: number };
  functionCount: number;
  /** Largest first; names only where the module has a name section. */
  functions: { index: number; name?: string; size: number }[];
  findings: Finding[];
}

type Report = (severity: Finding["severity"], code: string, message: string, rest?: Partial<Finding>) => void;

/**
 * Checks a module against the ABI as Envoy links it, without running it.
 *
 * @param file named in findings
 * @throws SelvedgeError when the bytes aren't a readable WebAssembly module at all
 */
export function inspectModule(bytes: Uint8Array, file?: string): Inspection {
  const where = file === undefined ? undefined : { file };
  const findings: Finding[] = [];
  const report: Report = (severity, code, message, rest) => findings.push({ code, severity, message, where, ...rest });
  const module = located(() => readWasm(bytes), where);
  const marker = checkMarker(module, report);
  const functions = new Set(module.exports.filter((entry) => entry.kind === "function").map((entry) => entry.name));

  const inspection: Inspection = {
    abi: marker,
    allocator: Object.keys(abi.allocators).find((name) => functions.has(name)) ?? null,
    initializers: functions.has("_initialize") ? ["_initialize", "main", "__main_void"].filter((name) => functions.has(name)) : functions.has("_start") ? ["_start"] : [],
    callbacks: [...functions].filter((name) => Object.hasOwn(abi.callbacks, name) || Object.hasOwn(abi.envoyCallbacks, name)),
    memory: module.memories[0] ?? null,
    hasStartSection: module.start !== null,
    hasNames: [...module.functionNames.keys()].some((index) => index >= module.imports.filter(({ kind }) => kind === "function").length),
    customSections: module.customSections,
    sizes: { raw: bytes.length, code: module.codeSize, data: module.dataSize },
    functionCount: module.functionCount,
    functions: functionsBySize(module),
    ...checkImports(module.imports, marker, report),
    findings,
  };
  if (marker && !inspection.allocator) report("error", "proxy-wasm-allocator", "the host has no way to allocate memory in this module", { expected: "an export proxy_on_memory_allocate or malloc: i32 -> i32" });
  checkExports(module, marker, report);
  checkShape(module, report);
  return inspection;
}

/** Like inspectModule, for those who need a module that Envoy will load: throws every finding that is an error. */
export function requireProxyWasm(bytes: Uint8Array, file?: string): Inspection {
  const inspection = inspectModule(bytes, file);
  const errors = inspection.findings.filter((finding) => finding.severity === "error");
  if (errors.length) throw new SelvedgeError(errors);
  return inspection;
}

/**
 * Names for Envoy's `capability_restriction_config.allowed_capabilities`: what the module imports and exports, no more.
 * Envoy restricts `proxy_*` and WASI names only; its own extras are always there.
 */
export function capabilitiesOf(inspection: Pick<Inspection, "hostCalls" | "wasi" | "callbacks">): string[] {
  const names = [...inspection.hostCalls, ...inspection.wasi, ...inspection.callbacks];
  return [...new Set(names.filter((name) => !Object.hasOwn(abi.envoyExtras, name) && !Object.hasOwn(abi.envoyCallbacks, name)))].sort();
}

function functionsBySize(module: WasmModule): Inspection["functions"] {
  const imported = module.imports.filter(({ kind }) => kind === "function").length;
  return module.functionSizes
    .map((size, position) => ({ index: imported + position, name: module.functionNames.get(imported + position), size }))
    .sort((a, b) => b.size - a.size || a.index - b.index);
}

function checkMarker(module: WasmModule, report: Report): abi.AbiMarker | null {
  const exported = module.exports.filter((entry) => entry.kind === "function" && entry.name.startsWith("proxy_abi_version_")).map((entry) => entry.name);
  const known = exported.filter((name): name is abi.AbiMarker => (abi.abiMarkers as readonly string[]).includes(name));
  if (!known.length) {
    report("error", "proxy-wasm-marker", exported.length ? "no Envoy speaks this module's ABI" : "this is not a Proxy-Wasm module: it says no ABI version", {
      found: exported.join(", ") || `exports ${module.exports.slice(0, 8).map((entry) => entry.name).join(", ") || "nothing"}${module.exports.length > 8 ? ", …" : ""}`,
      expected: `an exported function ${abi.abiMarkers[2]}`,
      fix: 'export the SDK\'s callbacks: `export * from ".../sdk/assembly/proxy"` in index.ts',
    });
    return null;
  }
  if (known.length > 1) report("warning", "proxy-wasm-markers", `several ABI versions are exported, the first one decides: ${known[0]}`, { found: known.join(", ") });
  return known[0]!;
}

function checkImports(imports: WasmImport[], marker: abi.AbiMarker | null, report: Report): Pick<Inspection, "hostCalls" | "wasi" | "unknownImports"> {
  const result: Pick<Inspection, "hostCalls" | "wasi" | "unknownImports"> = { hostCalls: [], wasi: [], unknownImports: [] };
  const available = hostCallsOf(marker);
  for (const { module, name, kind, signature } of imports) {
    if (kind === "memory" || kind === "table") continue; // Envoy makes them
    const isWasi = abi.wasiModules.includes(module);
    const table = module === "env" ? available : isWasi ? abi.wasiFunctions : {};
    if (kind === "function" && Object.hasOwn(table, name)) {
      (isWasi ? result.wasi : result.hostCalls).push(name);
      const expected = table[name];
      if (signature !== expected) report("error", "proxy-wasm-import-signature", `import ${module}.${name} has another type than the host's`, { found: signature, expected, fix: "update the SDK that the module was built with" });
    } else {
      result.unknownImports.push(`${module}.${name}`);
      report("error", "proxy-wasm-import", `no host offers the import ${module}.${name}`, { found: signature ?? kind, fix: importFix(module, name) });
    }
  }
  return result;
}

function hostCallsOf(marker: abi.AbiMarker | null): Readonly<Record<string, abi.Signature>> {
  const calls: Record<string, abi.Signature> = { ...abi.hostCalls, ...abi.envoyExtras };
  if (marker === null || marker === "proxy_abi_version_0_2_1") return calls;
  delete calls.proxy_get_log_level; // since 0.2.1
  if (marker === "proxy_abi_version_0_2_0") return calls;
  delete calls.proxy_continue_stream;
  delete calls.proxy_close_stream;
  return { ...calls, ...abi.hostCalls010 };
}

function importFix(module: string, name: string): string {
  if (module === "env" && name === "abort") return "AssemblyScript's default: build with `selvedge build`, or pass asc `--use abort=<a function of yours>`";
  if (module === "env" && (name === "seed" || name === "trace")) return `AssemblyScript's default: avoid ${name === "seed" ? "Math.random()" : "trace()"}, or pass asc \`--use ${name}=<a function of yours>\``;
  if (name === "proxy_clear_route_cache") return "since ABI 0.2.0 this is the foreign function clear_route_cache";
  if (name === "proxy_get_log_level") return "export proxy_abi_version_0_2_1 as the only ABI marker";
  return "remove what needs it; a Proxy-Wasm host offers ABI 0.2.1 and WASI preview 1";
}

function checkExports(module: WasmModule, marker: abi.AbiMarker | null, report: Report): void {
  const expected: Record<string, abi.Signature> = {
    ...abi.callbacks, ...abi.envoyCallbacks, ...abi.allocators, ...abi.initializers,
    ...(marker === "proxy_abi_version_0_1_0" && abi.callbacks010),
  };
  for (const { name, kind, signature } of module.exports) {
    if (kind === "function" && marker && Object.hasOwn(expected, name) && signature !== expected[name]) {
      report("error", "proxy-wasm-export-signature", `export ${name} has another type than the host calls it with`, { found: signature, expected: expected[name], fix: "correct its parameters and result" });
    }
    if (signature?.includes("v128")) {
      report("error", "proxy-wasm-v128", `export ${name} has v128 in its signature, which makes Envoy abort`, { found: signature, fix: "don't export it; SIMD inside of functions is fine" });
    }
  }
}

function checkShape(module: WasmModule, report: Report): void {
  if (module.start !== null) {
    report("warning", "proxy-wasm-start", "top-level code runs in the start section: a host call from there crashes Envoy", { fix: "build with asc `--exportStart _initialize`, as `selvedge build` does" });
  }
  if (!module.memories.length) report("error", "proxy-wasm-memory", "the module has no memory", { expected: "an exported memory" });
  for (const { min } of module.memories) {
    if (min > abi.maxMemoryPages) report("error", "proxy-wasm-memory-limit", "the module asks for more memory than Envoy gives", { found: `${min} pages of 64 KiB`, expected: `at most ${abi.maxMemoryPages} (1 GiB)` });
  }
}

function located<T>(read: () => T, where: Finding["where"]): T {
  try {
    return read();
  } catch (error) {
    if (where && error instanceof SelvedgeError) throw new SelvedgeError(error.findings.map((finding) => ({ ...finding, where })));
    throw error;
  }
}

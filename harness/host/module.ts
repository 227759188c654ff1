import { basename } from "node:path";
import { createHash } from "node:crypto";
import { callbacks as callbackTable, envoyCallbacks, maxMemoryPages } from "../build/abi.ts";
import { requireProxyWasm } from "../build/inspect.ts";
import { Symbolizer, type Symbols } from "../build/symbolize.ts";
import { readWasm, type WasmImport } from "../build/wasm.ts";
import { fail, SelvedgeError } from "../errors.ts";
import { capMemory } from "./memory-limit.ts";
import type { AbiVersion } from "./types.ts";
import type { GuestFunction } from "./vm.ts";
import { wasiSignature } from "./wasi.ts";

const CALLBACK_NAMES = [...Object.keys(callbackTable), ...Object.keys(envoyCallbacks)];
export type CallbackName = string;

/** A checked and compiled module; many VMs can be made of it. */
export class WasmModule {
  /** Name for messages: the file's name unless another was given. */
  readonly name: string;
  readonly code: Uint8Array;
  readonly compiled: WebAssembly.Module;
  readonly abi: AbiVersion;
  readonly startSection: boolean;
  readonly imports: readonly WasmImport[];
  /** Limits of an imported memory, in pages; undefined when the module has its own. */
  readonly importedMemory: { min: number; max: number } | undefined;
  readonly sha256: string;
  /** Places in the source, by offsets in the file. */
  readonly symbols: Symbols | undefined;
  /** Function names by index: from the name section, else the name that it is exported by. */
  private readonly functionNames: ReadonlyMap<number, string>;
  private readonly memoryExport: string | undefined;
  private readonly exportedFunctions: ReadonlySet<string>;
  private readonly shift: { after: number; by: number };

  private constructor(name: string, code: Uint8Array, file: string | undefined, memoryPages: number, symbols: Symbols | undefined) {
    const inspection = located(name, () => requireProxyWasm(code, file));
    const structure = readWasm(code);
    this.name = name;
    this.symbols = symbols;
    this.code = code;
    this.abi = inspection.abi!.slice("proxy_abi_version_".length).replaceAll("_", ".") as AbiVersion;
    this.startSection = inspection.hasStartSection;
    this.imports = structure.imports;
    this.sha256 = createHash("sha256").update(code).digest("hex");
    this.exportedFunctions = new Set(structure.exports.filter((entry) => entry.kind === "function").map((entry) => entry.name));
    const exported = structure.exports.filter((entry) => entry.kind === "function").map((entry) => [entry.index, entry.name] as const);
    this.functionNames = new Map([...exported, ...structure.functionNames]);
    this.memoryExport = structure.exports.find((entry) => entry.kind === "memory")?.name;
    const imported = structure.memories.find((memory) => memory.imported);
    this.importedMemory = imported && { min: imported.min, max: Math.min(imported.max ?? memoryPages, memoryPages) };
    if (imported === undefined && this.memoryExport === undefined) {
      fail("host-no-memory", `${name}: the module exports no memory, so no host call could reach its data`, { fix: "export its memory" });
    }
    this.checkWasi();
    const capped = capMemory(code, memoryPages);
    this.shift = capped.shift;
    try {
      this.compiled = new WebAssembly.Module(capped.code);
    } catch (error) {
      fail("host-module-invalid", `${name}: the engine refuses this module: ${(error as Error).message}`, { fix: "build the module again with a current compiler" });
    }
  }

  /**
   * Checks and compiles.
   * @param options.name for messages; the file's name by default
   * @param options.maxMemoryPages limit of linear memory in 64 KiB pages; Envoy's 16384 (1 GiB) by default
   * @param options.symbols where traps are looked up; the source map next to `file` by default
   * @throws SelvedgeError that names the module and every import or export which no Proxy-Wasm host can link
   */
  static load(code: Uint8Array, options: { name?: string; file?: string; maxMemoryPages?: number; symbols?: Symbols } = {}): WasmModule {
    const name = options.name ?? (options.file === undefined ? "module" : basename(options.file));
    const symbols = options.symbols ?? (options.file === undefined ? undefined : symbolsOf(code, options.file));
    return new WasmModule(name, code, options.file ?? name, options.maxMemoryPages ?? maxMemoryPages, symbols);
  }

  private checkWasi(): void {
    for (const { module, name, kind, signature } of this.imports) {
      const expected = kind === "function" && module.startsWith("wasi_") ? wasiSignature(name) : undefined;
      if (expected !== undefined && expected !== signature) {
        fail("host-import-signature", `${this.name}: import ${module}.${name} has another type than the host's`, { found: signature, expected });
      }
    }
  }

  exportedMemory(instance: WebAssembly.Instance): WebAssembly.Memory {
    return instance.exports[this.memoryExport!] as WebAssembly.Memory;
  }

  /** The callbacks that exist and that the capabilities allow. Every name has a field, so that look-ups stay cheap. */
  bindCallbacks(find: (name: string) => GuestFunction | undefined, allowed: ReadonlySet<string> | undefined): Record<CallbackName, GuestFunction | undefined> {
    const bound: Record<string, GuestFunction | undefined> = {};
    for (const name of CALLBACK_NAMES) {
      const usable = this.exportedFunctions.has(name) && (name in envoyCallbacks || allowed === undefined || allowed.has(name));
      bound[name] = usable && !(this.abi === "0.1.0" && name === "proxy_on_foreign_function") ? find(name) : undefined;
    }
    return bound;
  }

  /** Name of a function by its index, or `function[N]`. */
  functionName(index: number): string {
    return this.functionNames.get(index) ?? `function[${index}]`;
  }

  /** An offset that the engine printed, as an offset in the module's file. */
  fileOffset(offset: number): number {
    return offset > this.shift.after ? offset - this.shift.by : offset;
  }
}

/** Reads module and map only when something has trapped. */
function symbolsOf(code: Uint8Array, file: string): Symbols {
  let symbolizer: Symbolizer | undefined;
  return { symbolize: (offset) => (symbolizer ??= new Symbolizer(code, file)).symbolize(offset) };
}

/** Puts the module's name in front of what the inspection found. */
function located<T>(name: string, read: () => T): T {
  try {
    return read();
  } catch (error) {
    if (!(error instanceof SelvedgeError)) throw error;
    throw new SelvedgeError(error.findings.map((finding) => ({ ...finding, message: `${name}: ${finding.message}` })));
  }
}

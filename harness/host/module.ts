import { basename } from "node:path";
import { createHash } from "node:crypto";
import { callbacks as callbackTable, envoyCallbacks, maxMemoryPages } from "../build/abi.ts";
import { requireProxyWasm } from "../build/inspect.ts";
import { Symbolizer, type Symbols } from "../build/symbolize.ts";
import { readWasm, type WasmImport } from "../build/wasm.ts";
import { fail, SelvedgeError } from "../errors.ts";
import { rewriteModule, type Rewritten } from "./rewrite.ts";
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
  /** Whether callbacks of this module can be ended from within. */
  readonly stoppable: boolean;
  /** Limit of linear memory in bytes: what the module declares, or the host's limit when that is lower. */
  readonly memoryLimitBytes: number;
  private readonly rewritten: Rewritten;

  private constructor(name: string, code: Uint8Array, file: string | undefined, memoryPages: number, stoppable: boolean, symbols: Symbols | undefined) {
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
    this.memoryLimitBytes = Math.min(structure.memories[0]?.max ?? memoryPages, memoryPages) * 65536;
    this.stoppable = stoppable;
    try {
      if (!WebAssembly.validate(code)) new WebAssembly.Module(code); // throws, and says where
      this.rewritten = rewriteModule(code, { maxPages: memoryPages, stoppable });
      this.compiled = new WebAssembly.Module(this.rewritten.code);
    } catch (error) {
      fail("host-module-invalid", `${name}: the engine refuses this module: ${(error as Error).message}`, { fix: "build the module again with a current compiler" });
    }
    const { unknownInstruction } = this.rewritten;
    if (unknownInstruction !== undefined) {
      fail("host-instruction", `${name}: the time limit does not know the instruction at byte 0x${unknownInstruction.toString(16)}, so the module could run without end`, {
        fix: "build without experimental WebAssembly features, or load it without a limit: timeLimitMs: 0",
      });
    }
  }

  /**
   * Checks and compiles.
   * @param options.name for messages; the file's name by default
   * @param options.stoppable false: callbacks may run for ever, and the code is left as it is
   * @param options.maxMemoryPages limit of linear memory in 64 KiB pages; Envoy's 16384 (1 GiB) by default
   * @param options.symbols where traps are looked up; the source map next to `file` by default
   * @throws SelvedgeError that names the module and every import or export which no Proxy-Wasm host can link
   */
  static load(code: Uint8Array, options: { name?: string; file?: string; maxMemoryPages?: number; stoppable?: boolean; symbols?: Symbols } = {}): WasmModule {
    const name = options.name ?? (options.file === undefined ? "module" : basename(options.file));
    const symbols = options.symbols ?? (options.file === undefined ? undefined : symbolsOf(code, options.file));
    return new WasmModule(name, code, options.file ?? name, options.maxMemoryPages ?? maxMemoryPages, options.stoppable ?? true, symbols);
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

  /** True for the function that only the host's copy of the module has. */
  isOwnCheck(functionIndex: number): boolean {
    return functionIndex === this.rewritten.checkFunction;
  }

  /** Name of a function by its index, or `function[N]`. */
  functionName(index: number): string {
    return this.functionNames.get(index) ?? `function[${index}]`;
  }

  /** An offset that the engine printed, as an offset in the module's file. */
  fileOffset(offset: number): number {
    return this.rewritten.original(offset);
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

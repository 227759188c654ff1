import { fail } from "../errors.ts";
import type { Signature } from "./abi.ts";

export type ExternKind = "function" | "table" | "memory" | "global" | "tag";

export interface WasmImport {
  module: string;
  name: string;
  kind: ExternKind;
  /** For functions. */
  signature?: Signature;
}

export interface WasmExport {
  name: string;
  kind: ExternKind;
  /** Index in the space of its kind. */
  index: number;
  /** For functions. */
  signature?: Signature;
}

/** Limits of a memory in pages of 64 KiB. */
export interface WasmMemory {
  min: number;
  max: number | null;
  imported: boolean;
}

export interface WasmModule {
  imports: WasmImport[];
  exports: WasmExport[];
  memories: WasmMemory[];
  /** Index of the start section's function. */
  start: number | null;
  /** Name and size in bytes, in file order. */
  customSections: { name: string; size: number }[];
  /** Function index → name, from the name section; empty where there is none. */
  functionNames: Map<number, string>;
  /** Where the module says that its source map is. */
  sourceMappingUrl: string | null;
  /** Bytes of the code and the data section. */
  codeSize: number;
  dataSize: number;
  /** Functions defined by the module itself. */
  functionCount: number;
  /** Bytes of each of those, in order, and where in the file they start. */
  functionSizes: number[];
  functionOffsets: number[];
}

const EXTERN_KINDS: readonly ExternKind[] = ["function", "table", "memory", "global", "tag"];
const VALUE_TYPES: Readonly<Record<number, string>> = { 0x7f: "i32", 0x7e: "i64", 0x7d: "f32", 0x7c: "f64", 0x7b: "v128", 0x70: "funcref", 0x6f: "externref" };
const FUNCTION_TYPE = 0x60;
const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Reads LEB128 numbers, names and vectors, and never beyond its end. */
export class Reader {
  constructor(readonly bytes: Uint8Array, public at: number, readonly end: number) {}

  malformed(what: string): never {
    fail("wasm-malformed", `malformed WebAssembly at byte ${this.at}: ${what}`, { fix: "build or download the module again" });
  }

  byte(): number {
    if (this.at >= this.end) this.malformed("it ends too early");
    return this.bytes[this.at++]!;
  }

  /** An unsigned LEB128; exact up to 2^53, which is all that sizes and indices need. */
  leb(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte();
      value += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) return value;
    }
    this.malformed("a number has too many bytes");
  }

  slice(size: number): Reader {
    if (size > this.end - this.at) this.malformed(`${size} bytes are announced, ${this.end - this.at} are left`);
    this.at += size;
    return new Reader(this.bytes, this.at - size, this.at);
  }

  name(): string {
    const text = this.slice(this.leb());
    try {
      return utf8.decode(this.bytes.subarray(text.at, text.end));
    } catch {
      return text.malformed("a name isn't UTF-8");
    }
  }

  vector<T>(item: (index: number) => T): T[] {
    const count = this.leb();
    if (count > this.end - this.at) this.malformed(`a list of ${count} entries doesn't fit`);
    return Array.from({ length: count }, (_, index) => item(index));
  }
}

function valueType(reader: Reader): string {
  const code = reader.byte();
  if (code === 0x63 || code === 0x64) return `ref(${reader.leb()})`;
  return VALUE_TYPES[code] ?? reader.malformed(`0x${code.toString(16)} is no value type`);
}

function body(reader: Reader): { at: number; size: number } {
  const size = reader.leb();
  return { at: reader.slice(size).at, size };
}

function functionType(reader: Reader): Signature {
  const form = reader.byte();
  if (form !== FUNCTION_TYPE) reader.malformed(`type form 0x${form.toString(16)} (garbage collected types) isn't supported`);
  const parameters = reader.vector(() => valueType(reader));
  const results = reader.vector(() => valueType(reader));
  return [...parameters, "->", ...results].join(" ");
}

function limits(reader: Reader, imported: boolean): WasmMemory {
  const flags = reader.leb();
  const min = reader.leb();
  return { min, max: flags & 1 ? reader.leb() : null, imported };
}

/** Function names of a name section; a custom section never makes a module invalid, so a damaged one has none. */
function functionNames(reader: Reader): Map<number, string> {
  const names = new Map<number, string>();
  try {
    while (reader.at < reader.end) {
      const id = reader.byte();
      const subsection = reader.slice(reader.leb());
      if (id === 1) subsection.vector(() => names.set(subsection.leb(), subsection.name()));
    }
  } catch {
    return new Map();
  }
  return names;
}

/** A custom section never makes a module invalid. */
function optionalName(reader: Reader): string | null {
  try {
    return reader.name();
  } catch {
    return null;
  }
}

function checkMagic(reader: Reader): void {
  const [a, b, c, d] = reader.bytes;
  if (a !== 0x00 || b !== 0x61 || c !== 0x73 || d !== 0x6d) {
    const kind = a === 0x1f && b === 0x8b ? "gzip data" : a === 0x28 ? "WebAssembly text" : reader.end ? "something else" : "an empty file";
    fail("wasm-not-wasm", "this is not a WebAssembly module", { found: kind, expected: "a file that starts with \\0asm" });
  }
  reader.at = 8;
  if (reader.end < 8) reader.malformed("it ends within the header");
  if (reader.bytes[6] === 1) fail("wasm-component", "this is a WebAssembly component, not a core module", { fix: "build a core module: no Proxy-Wasm host loads components" });
  if (reader.bytes[4] !== 1) reader.malformed(`version ${reader.bytes[4]} is unknown`);
}

/**
 * Reads what a host cares about: imports and exports with their types, memories, start, custom sections and sizes.
 * It doesn't validate code; `WebAssembly.validate` does.
 *
 * @throws SelvedgeError `wasm-not-wasm`, `wasm-component` or `wasm-malformed`; for any bytes, never anything else
 */
export function readWasm(bytes: Uint8Array): WasmModule {
  const reader = new Reader(bytes, 0, bytes.length);
  checkMagic(reader);
  const module: WasmModule = { imports: [], exports: [], memories: [], start: null, customSections: [], functionNames: new Map(), sourceMappingUrl: null, codeSize: 0, dataSize: 0, functionCount: 0, functionSizes: [], functionOffsets: [] };
  let types: Signature[] = [];
  const functions: Signature[] = [];
  const typeAt = (section: Reader): Signature => types[section.leb()] ?? section.malformed("a function has a type that doesn't exist");

  while (reader.at < reader.end) {
    const id = reader.byte();
    const section = reader.slice(reader.leb());
    const size = section.end - section.at;
    if (id === 0) {
      const name = section.name();
      module.customSections.push({ name, size });
      if (name === "name") module.functionNames = functionNames(section);
      else if (name === "sourceMappingURL") module.sourceMappingUrl = optionalName(section);
    } else if (id === 1) types = section.vector(() => functionType(section));
    else if (id === 2) module.imports = section.vector(() => readImport(section));
    else if (id === 3) {
      const defined = section.vector(() => typeAt(section));
      module.functionCount = defined.length;
      functions.push(...defined);
    } else if (id === 5) module.memories.push(...section.vector(() => limits(section, false)));
    else if (id === 7) module.exports = section.vector(() => readExport(section));
    else if (id === 8) module.start = section.leb();
    else if (id === 10) {
      module.codeSize = size;
      const bodies = section.vector(() => body(section));
      module.functionSizes = bodies.map(({ size }) => size);
      module.functionOffsets = bodies.map(({ at }) => at);
    }
    else if (id === 11) module.dataSize = size;
  }
  return module;

  function readImport(section: Reader): WasmImport {
    const imported: WasmImport = { module: section.name(), name: section.name(), kind: externKind(section) };
    if (imported.kind === "function") functions.push((imported.signature = typeAt(section)));
    else if (imported.kind === "memory") module.memories.push(limits(section, true));
    else skipType(section, imported.kind);
    return imported;
  }

  function readExport(section: Reader): WasmExport {
    const exported: WasmExport = { name: section.name(), kind: externKind(section), index: section.leb() };
    if (exported.kind === "function") exported.signature = functions[exported.index] ?? section.malformed(`export ${exported.name} names a function that doesn't exist`);
    return exported;
  }
}

function skipType(section: Reader, kind: ExternKind): void {
  if (kind === "tag") section.byte();
  else valueType(section);
  if (kind === "table") limits(section, true);
  else section.leb(); // a global's mutability, a tag's type
}

function externKind(reader: Reader): ExternKind {
  const kind = reader.byte();
  return EXTERN_KINDS[kind] ?? reader.malformed(`0x${kind.toString(16)} is no kind of import or export`);
}

import { instantiateSync, type ASUtil } from "@assemblyscript/loader";
import { compileModule, readWasm } from "../../../harness/build/index.ts";

/** Exports of a test module by name; pointers of managed objects are numbers. */
export type Exports = ASUtil & Record<string, (...args: (number | bigint)[]) => number>;

export interface TestModule {
  exports: Exports;
  /** Hands bytes over as an `ArrayBuffer`. */
  bytes(data: Uint8Array | string): number;
  /** The text that an export returned. */
  text(pointer: number): string;
  /** The `ArrayBuffer` that an export returned. */
  data(pointer: number): Uint8Array;
  /** Frees what no global refers to. Not while a callback is open. */
  collect(): void;
}

/** The last one is for what must not be read over: see assembly/support.ts. */
const PAGES = 64;

const encoder = new TextEncoder();

/** Compiles a module of `test/unit/sdk/assembly`; every host call it could make answers `Ok` and does nothing. */
export async function loadModule(name: string): Promise<TestModule> {
  const wasm = await compileModule({ entry: `test/unit/sdk/assembly/${name}.ts`, options: { runtime: "minimal", initialMemory: PAGES, maximumMemory: PAGES + 1 } });
  const env: Record<string, () => number> = {};
  for (const { module, name } of readWasm(wasm).imports) if (module === "env" && name !== "abort") env[name] = () => 0;
  const { exports } = instantiateSync<Exports>(wasm, { env });
  const buffer = exports as unknown as { __newArrayBuffer(data: ArrayBuffer): number; __getArrayBuffer(pointer: number): ArrayBuffer };
  return {
    exports: exports as Exports,
    bytes: (data) => buffer.__newArrayBuffer(new Uint8Array(typeof data === "string" ? encoder.encode(data) : data).buffer),
    text: (pointer) => exports.__getString(pointer),
    data: (pointer) => new Uint8Array(buffer.__getArrayBuffer(pointer)),
    collect: () => exports.__collect(),
  };
}

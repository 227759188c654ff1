import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { readWasm } from "../../../harness/build/index.ts";
import { inspectModule } from "../../../harness/build/inspect.ts";
import { SelvedgeError } from "../../../harness/errors.ts";
import { compileWat } from "../../support/wat.ts";

const SAMPLE = `(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "limit" (global $limit i32))
  (import "env" "table" (table 1 8 funcref))
  (func $double (export "double") (param i64) (result i64) (i64.add (local.get 0) (local.get 0)))
  (func $nothing (export "nothing"))
  (memory (export "memory") 2 16)
  (global (export "answer") i32 (i32.const 42))
  (data (i32.const 8) "hello")
  (start $nothing))`;

/** Runs it; true when it returns or throws what a person can read, anything else escapes. */
function readable(read: () => unknown): boolean {
  try {
    read();
  } catch (error) {
    if (!(error instanceof SelvedgeError)) throw error;
  }
  return true;
}

describe("readWasm", () => {
  let sample: Uint8Array;
  beforeAll(async () => {
    sample = await compileWat(SAMPLE, { names: true });
  });

  it("reads imports and exports with their types, in order", () => {
    const module = readWasm(sample);
    expect(module.imports).toEqual([
      { module: "env", name: "proxy_log", kind: "function", signature: "i32 i32 i32 -> i32" },
      { module: "env", name: "limit", kind: "global" },
      { module: "env", name: "table", kind: "table" },
    ]);
    expect(module.exports).toEqual([
      { name: "double", kind: "function", index: 1, signature: "i64 -> i64" },
      { name: "nothing", kind: "function", index: 2, signature: "->" },
      { name: "memory", kind: "memory", index: 0 },
      { name: "answer", kind: "global", index: 1 },
    ]);
  });

  it("agrees with the engine's own reading", () => {
    const { WebAssembly } = globalThis as unknown as { WebAssembly: { Module: { new (bytes: Uint8Array): object; exports(module: object): unknown; imports(module: object): unknown } } };
    const module = new WebAssembly.Module(sample);
    const plain = (entries: object[]): object[] => entries.map((entry) => ({ ...entry, signature: undefined, index: undefined }));
    expect(plain(readWasm(sample).exports)).toEqual(plain(WebAssembly.Module.exports(module) as object[]));
    expect(plain(readWasm(sample).imports)).toEqual(plain(WebAssembly.Module.imports(module) as object[]));
  });

  it("reads memory limits, start, names and sizes", () => {
    const module = readWasm(sample);
    expect(module.memories).toEqual([{ min: 2, max: 16, imported: false }]);
    expect(module.start).toBe(2);
    expect(module.functionNames.get(1)).toBe("double");
    expect(module.customSections.map(({ name }) => name)).toEqual(["name"]);
    expect(module.functionCount).toBe(2);
    expect(module.functionSizes).toEqual([7, 2]); // locals, two reads, an addition, an end; locals, an end
    expect(module.codeSize).toBeGreaterThan(0);
    expect(module.dataSize).toBeGreaterThan(5);
  });

  it.each([
    ["nothing", [], "wasm-not-wasm", "an empty file"],
    ["text", [...Buffer.from("(module)")], "wasm-not-wasm", "WebAssembly text"],
    ["gzip", [0x1f, 0x8b, 8, 0], "wasm-not-wasm", "gzip data"],
    ["a component", [0, 0x61, 0x73, 0x6d, 0x0d, 0, 1, 0], "wasm-component", "component"],
    ["half a header", [0, 0x61, 0x73, 0x6d, 1], "wasm-malformed", "within the header"],
    ["a section that is too long", [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 100, 0], "wasm-malformed", "100 bytes are announced, 1 are left"],
    ["a list that can't fit", [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 0xff, 0xff, 0xff, 0xff, 0x0f], "wasm-malformed", "doesn't fit"],
    ["a function without a type", [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 3, 2, 1, 4], "wasm-malformed", "a type that doesn't exist"],
    ["an export of nothing", [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 7, 5, 1, 1, 0x61, 0, 9], "wasm-malformed", "export a names a function that doesn't exist"],
  ])("says what is wrong with %s", (_, bytes, code, text) => {
    expect(() => readWasm(Uint8Array.from(bytes))).toThrow(expect.objectContaining({ code }) as Error);
    expect(() => readWasm(Uint8Array.from(bytes))).toThrow(text);
  });

  it("never fails otherwise, whatever the bytes", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => readable(() => readWasm(bytes))));
    const magic = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => readable(() => inspectModule(Buffer.concat([magic, bytes])))));
  });

  it("never fails otherwise on a module that was changed or cut off", () => {
    const change = fc.record({ at: fc.nat(), to: fc.nat(255) });
    fc.assert(
      fc.property(fc.array(change, { minLength: 1, maxLength: 8 }), fc.nat(), (changes, end) => {
        const bytes = Uint8Array.from(sample);
        for (const { at, to } of changes) bytes[at % bytes.length] = to;
        return readable(() => inspectModule(bytes)) && readable(() => inspectModule(sample.subarray(0, end % sample.length)));
      }),
      { numRuns: 1000 },
    );
  });
});

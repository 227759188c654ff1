import fc from "fast-check";
import { describe, expect, it } from "vitest";
import wabtFactory from "wabt";
import { mergeData } from "../../../harness/build/data.ts";
import { readWasm } from "../../../harness/build/wasm.ts";

const wabt = await wabtFactory();

function assemble(wat: string): Uint8Array {
  const module = wabt.parseWat("test.wat", wat, { bulk_memory: true });
  try {
    return module.toBinary({ write_debug_names: false }).buffer;
  } finally {
    module.destroy();
  }
}

const escaped = (bytes: Uint8Array): string => [...bytes].map((byte) => `\\${byte.toString(16).padStart(2, "0")}`).join("");

function memoryOf(wasm: Uint8Array): Buffer {
  const instance = new WebAssembly.Instance(new WebAssembly.Module(Uint8Array.from(wasm)));
  return Buffer.from((instance.exports.memory as WebAssembly.Memory).buffer);
}

describe("merged data segments", () => {
  it("leave the memory as it was, and the code where it was", () => {
    const segment = fc.tuple(fc.integer({ min: 0, max: 20 }), fc.uint8Array({ minLength: 0, maxLength: 200 }));
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 50_000 }), fc.array(segment, { maxLength: 200 }), fc.func(fc.integer()), (start, list, order) => {
        let at = start;
        const texts = list.map(([gap, bytes]) => {
          at += gap;
          const text = `(data (i32.const ${at}) "${escaped(bytes)}")`;
          at += bytes.length;
          return text;
        });
        const shuffled = texts.map((text) => ({ text, key: order(text) })).sort((a, b) => a.key - b.key).map(({ text }) => text);
        const before = assemble(`(module (memory (export "memory") 2) (func (export "f") (memory.fill (i32.const 0) (i32.const 0) (i32.const 0))) ${shuffled.join(" ")})`);
        const after = mergeData(before);
        expect(memoryOf(after).equals(memoryOf(before))).toBe(true);
        expect(readWasm(after).functionOffsets).toEqual(readWasm(before).functionOffsets);
        expect(after.length).toBeLessThanOrEqual(before.length);
      }),
      { numRuns: 200 },
    );
  });

  it("are fewer", () => {
    const wasm = assemble(`(module (memory (export "memory") 1) ${Array.from({ length: 300 }, (_, i) => `(data (i32.const ${64 + i * 10}) "abcdefgh")`).join(" ")})`);
    expect(wasm.length - mergeData(wasm).length).toBeGreaterThan(300 * 3);
  });

  it.each([
    ["passive", '(data (i32.const 0) "a") (data "b")'],
    ["at a computed place", '(global $g (import "m" "g") i32) (data (global.get $g) "a") (data (i32.const 1) "b")'],
    ["on top of another", '(data (i32.const 0) "abc") (data (i32.const 1) "x")'],
    ["absent", ""],
  ])("stay as they are where one is %s", (_, data) => {
    const [head, rest] = data.startsWith("(global") ? [data.slice(0, data.indexOf("(data")), data.slice(data.indexOf("(data"))] : ["", data];
    const wasm = assemble(`(module ${head} (memory (export "memory") 1) ${rest})`);
    expect(mergeData(wasm)).toBe(wasm);
  });
});

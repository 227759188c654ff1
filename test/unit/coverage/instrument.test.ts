import { readFileSync } from "node:fs";
import binaryen from "binaryen";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { readSourceMap, segmentAt, type SourceMap } from "../../../harness/build/source-map.ts";
import { compile } from "../../../harness/build/compiler.ts";
import { readWasm } from "../../../harness/build/wasm.ts";
import { coverageOptions, instrument, linesRun } from "../../../harness/coverage/index.ts";
import { instructionsIn } from "../../../harness/coverage/code.ts";

const FILE = "test/unit/coverage/assembly/lines.ts";
const OTHER = "test/unit/coverage/assembly/other.ts";

let wasm: Uint8Array;
let map: SourceMap;
beforeAll(async () => {
  const compiled = await compile({ entry: FILE, name: "lines", options: { ...coverageOptions, sourceMap: true, use: ["abort="] } });
  wasm = compiled.wasm;
  map = readSourceMap(compiled.map!, "lines.wasm.map");
});

const own = (source: number): boolean => map.sources[source] === FILE || map.sources[source] === OTHER;
const instantiate = (code: Uint8Array): Record<string, (...args: number[]) => number> & Record<string, unknown> => new WebAssembly.Instance(new WebAssembly.Module(code), { env: { abort: () => {} } }).exports as never;

/** The calls that the marks in the fixture are about. */
function call(exports: ReturnType<typeof instantiate>): unknown[] {
  exports._initialize?.();
  const results: unknown[] = [exports.branches!(11), exports.branches!(1), exports.neverBoth!(1), exports.loops!(5), exports.early!(0), exports.inlines!(1), exports.choose!(0), exports.ternary!(1), exports.both!(0), exports.shapes!(0)];
  try {
    exports.trap!(0);
  } catch (error) {
    results.push((error as Error).message);
  }
  return results;
}

/** Lines by the mark that they end in. */
function marked(file: string, mark: string): number[] {
  return readFileSync(file, "utf8").split("\n").flatMap((line, index) => (line.endsWith(`// ${mark}`) ? [index + 1] : []));
}

describe("an instrumented module", () => {
  it("notes the lines that have run, no others, and knows those that could have", () => {
    const { code, lines } = instrument(wasm, map.segments, own);
    const exports = instantiate(code);
    call(exports);
    const run = new Set(linesRun(exports));
    for (const file of [FILE, OTHER]) {
      const of = (wanted: boolean): number[] => lines.flatMap(({ source, line }, index) => (map.sources[source] === file && run.has(index) === wanted ? [line] : [])).sort((a, b) => a - b);
      expect({ file, run: of(true), missed: of(false) }).toEqual({ file, run: marked(file, "+"), missed: marked(file, "-") });
    }
  });

  it("does what it did, with the same memory and the same exports besides its notes", () => {
    const { code } = instrument(wasm, map.segments, own);
    const [before, after] = [instantiate(wasm), instantiate(code)];
    expect(call(after)).toEqual(call(before));
    const [a, b] = [before, after].map((exports) => Buffer.from((exports.memory as unknown as WebAssembly.Memory).buffer));
    expect(b!.equals(a!)).toBe(true);
    expect(readWasm(code).exports.filter(({ name }) => !name.startsWith("selvedge.coverage."))).toEqual(readWasm(wasm).exports);
    expect(readWasm(code).memories).toEqual(readWasm(wasm).memories);
    const module = binaryen.readBinary(code);
    module.setFeatures(binaryen.Features.All);
    expect(module.validate()).toBe(1);
    module.dispose();
  });

  it("keeps notes apart in each of its instances", () => {
    const { code } = instrument(wasm, map.segments, own);
    const [one, two] = [instantiate(code), instantiate(code)];
    one.choose!(1);
    expect(linesRun(one).length).toBeGreaterThan(0);
    expect(linesRun(two)).toEqual([]);
  });

  it("has a source map of its own: a trap leads to the same place", () => {
    const { code, segments } = instrument(wasm, map.segments, own);
    const placeOfTrap = (bytes: Uint8Array, of: SourceMap["segments"]): unknown => {
      try {
        instantiate(bytes).trap!(0);
      } catch (error) {
        const [, offset] = /wasm-function\[\d+\]:0x([0-9a-f]+)/.exec((error as Error).stack!)!;
        const { source, line, col } = segmentAt(of, parseInt(offset!, 16))!;
        return { source, line, col };
      }
      return undefined;
    };
    expect(placeOfTrap(code, segments)).toEqual(placeOfTrap(wasm, map.segments));
    expect(placeOfTrap(code, segments)).toMatchObject({ line: readFileSync(FILE, "utf8").split("\n").findIndex((text) => text.includes("10 / x")) + 1 });
  });

  it("counts nothing, and is otherwise as it was, where no source is wanted", () => {
    const { code, lines } = instrument(wasm, map.segments, () => false);
    expect(lines).toEqual([]);
    expect(Buffer.from(code).equals(Buffer.from(wasm))).toBe(true);
  });
});

describe("walking through code", () => {
  // binaryen writes modules that use most of the instruction set; V8 and binaryen judge what comes out.
  it("works for any function that binaryen makes", () => {
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 60, maxLength: 400 }), (entropy) => {
        const module = randomModule(entropy);
        const functions = readWasm(module);
        const segments = functions.functionOffsets.flatMap((start, index) =>
          [...instructionsIn(module, start, start + functions.functionSizes[index]!)].map(({ at }, line) => ({ offset: at, source: 0, line: line + 1, col: 1 })));
        const { code } = instrument(module, segments, () => true);
        expect(WebAssembly.validate(code)).toBe(true);
      }),
      { numRuns: 30 },
    );
  });

  it("refuses an instruction that it doesn't know", () => {
    const bytes = Uint8Array.from([0, 0xfb, 0, 0x0b]);
    expect(() => [...instructionsIn(bytes, 0, 4)]).toThrow(/coverage-opcode/);
  });
});

/** A module of one function with one of each of a wide choice of instructions, by the entropy. */
function randomModule(entropy: Uint8Array): Uint8Array {
  const m = new binaryen.Module();
  m.setFeatures(binaryen.Features.All & ~binaryen.Features.GC);
  m.setMemory(1, 2, "memory");
  m.addGlobal("g", binaryen.i32, true, m.i32.const(0));
  m.addFunction("callee", binaryen.createType([binaryen.i32]), binaryen.i32, [], m.local.get(0, binaryen.i32));
  m.addTable("t", 1, 1);
  let at = 0;
  const byte = (): number => entropy[at++ % entropy.length]!;
  let depth = 0;
  const i32 = (): number => {
    if (++depth > 12) return m.i32.const(byte() * 7919 - 1_000_000);
    const choices: (() => number)[] = [
      () => m.i32.const((byte() << 24) | byte()),
      () => m.i32.add(i32(), i32()),
      () => m.i32.load8_u(byte() * 100, 1, i32()),
      () => m.i32.wrap(m.i64.add(m.i64.const(BigInt(byte()) * -81985529216486895n as never), m.i64.extend_u(i32()))),
      () => m.i32.trunc_s_sat.f64(m.f64.const(byte() / 3)),
      () => m.i32.trunc_u.f32(m.f32.const(byte())),
      () => m.if(i32(), i32(), i32()),
      () => m.block(`b${at}`, [m.br_if(`b${at}`, i32(), i32())], binaryen.i32),
      () => m.select(i32(), i32(), i32()),
      () => m.call("callee", [i32()], binaryen.i32),
      () => m.global.get("g", binaryen.i32),
      () => m.block(null, [m.global.set("g", i32()), m.memory.fill(i32(), m.i32.const(0), m.i32.const(1)), i32()], binaryen.i32),
      () => m.local.tee(0, i32(), binaryen.i32),
      () => m.memory.grow(i32()),
      () => m.memory.size(),
      () => m.i32x4.extract_lane(m.i32x4.add(m.v128.const([...entropy.slice(0, 16)]), m.i32x4.splat(i32())), byte() & 3),
      () => m.i8x16.extract_lane_u(m.i8x16.shuffle(m.i32x4.splat(i32()), m.i32x4.splat(i32()), Array.from({ length: 16 }, () => byte() & 31)), byte() & 15),
      () => m.i32.atomic.load(byte() * 4, m.i32.const(0)),
      () => m.i32.extend8_s(i32()),
    ];
    const made = choices[byte() % choices.length]!();
    depth--;
    return made;
  };
  const loop = m.loop("l", m.block(null, [m.local.set(0, i32()), m.br("l", m.i32.eqz(m.local.get(0, binaryen.i32)))]));
  const table = m.block("x", [m.block("y", [m.switch(["x", "y"], "x", i32())])]);
  m.addFunction("f", binaryen.createType([binaryen.i32, binaryen.i64]), binaryen.i32, [binaryen.v128, binaryen.f64], m.block(null, [loop, table, m.return(i32())]));
  m.addFunctionExport("f", "f");
  const code = m.emitBinary();
  m.dispose();
  return code;
}

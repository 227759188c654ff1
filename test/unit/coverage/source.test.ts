/** Source maps, functions in sources, and the offsets that lead there. */
import { readdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import * as assemblyscript from "assemblyscript";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { symbolizeLog } from "../../../harness/build/backtrace.ts";
import { buildFilter } from "../../../harness/build/index.ts";
import { functionsIn } from "../../../harness/build/source-functions.ts";
import { readSourceMap, segmentAt } from "../../../harness/build/source-map.ts";
import { Symbolizer } from "../../../harness/build/symbolize.ts";
import { readWasm } from "../../../harness/build/wasm.ts";
import { SelvedgeError } from "../../../harness/errors.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../../harness/tempdir.ts";

const DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

/** Written from ECMA-426, apart from the reader. */
function vlq(value: number): string {
  let rest = value < 0 ? -value * 2 + 1 : value * 2;
  let text = "";
  do {
    const low = rest % 32;
    rest = Math.floor(rest / 32);
    text += DIGITS[rest > 0 ? low + 32 : low];
  } while (rest > 0);
  return text;
}

describe("a source map", () => {
  const segment = fc.record({ offset: fc.nat(100_000), source: fc.option(fc.nat(2), { nil: undefined }), line: fc.integer({ min: 1, max: 9999 }), col: fc.integer({ min: 1, max: 500 }) });

  it("gives back what was written", () => {
    fc.assert(
      fc.property(fc.uniqueArray(segment, { selector: ({ offset }) => offset }), (unsorted) => {
        const segments = unsorted.sort((a, b) => a.offset - b.offset).map((each) => (each.source === undefined ? { ...each, line: 0, col: 0 } : each));
        let last = [0, 0, 0, 0];
        const mappings = segments.map(({ offset, source, line, col }) => {
          const now = source === undefined ? [offset, ...last.slice(1)] : [offset, source, line - 1, col - 1];
          const fields = now.map((value, index) => vlq(value - last[index]!));
          last = now;
          return (source === undefined ? fields.slice(0, 1) : fields).join("");
        });
        const map = readSourceMap(JSON.stringify({ version: 3, sources: ["a", "b", "c"], mappings: mappings.join(",") }), "m");
        expect(map.segments).toEqual(segments);
        for (const { offset, source } of segments) expect(segmentAt(map.segments, offset)?.source).toBe(source);
      }),
    );
  });

  it.each([
    ["", "JSON"],
    ["[]", "version 3"],
    ["null", "version 3"],
    ['{"version":2}', "version 3"],
    ['{"version":3,"sections":[]}', "index"],
    ['{"version":3,"sources":[]}', "mappings"],
    ['{"version":3,"sources":[],"mappings":"AAAA"}', "leads to source 0"],
    ['{"version":3,"sources":["a"],"mappings":"AA"}', "segment AA"],
    ['{"version":3,"sources":["a"],"mappings":"A?AA"}', "segment A?AA"],
    ['{"version":3,"sources":["a"],"mappings":"D"}', "negative"],
    ['{"version":3,"sources":["a"],"mappings":"AAAg"}', "segment AAAg"],
  ])("%s is refused", (text, found) => {
    expect(() => readSourceMap(text, "x.map")).toThrow(SelvedgeError);
    expect(() => readSourceMap(text, "x.map")).toThrow(found);
  });

  it("never fails in another way, whatever it is given", () => {
    fc.assert(fc.property(fc.oneof(fc.string(), fc.json(), fc.string().map((mappings) => JSON.stringify({ version: 3, sources: ["a"], mappings }))), (text) => {
      try {
        readSourceMap(text, "x.map");
      } catch (error) {
        expect(error).toBeInstanceOf(SelvedgeError);
      }
    }));
  });
});

describe("functions in a source", () => {
  const asc = assemblyscript as unknown as typeof assemblyscript & { NodeKind: Record<"FunctionDeclaration" | "MethodDeclaration", number> };

  /** What asc's own parser finds, for all of the filters' sources. */
  function parsed(text: string): { name: string; start: number; end: number }[] {
    const program = asc.newProgram(asc.newOptions());
    asc.parse(program, text, "x.ts", true);
    const source = (program as unknown as { sources: Node[] }).sources.find((each) => each.normalizedPath === "x.ts")!;
    const found: { name: string; start: number; end: number }[] = [];
    const seen = new Set<unknown>();
    const walk = (node: Node): void => {
      if (typeof node !== "object" || node === null || seen.has(node)) return;
      seen.add(node);
      if ((node.kind === asc.NodeKind.FunctionDeclaration || node.kind === asc.NodeKind.MethodDeclaration) && node.body && text[node.body.range.start] === "{") {
        const start = source.lineAt(node.range.start);
        found.push({ name: node.name.text, start, end: source.lineAt(node.range.end - 1) });
      }
      for (const [key, value] of Object.entries(node)) {
        if (key === "range" || key === "source") continue;
        for (const each of Array.isArray(value) ? value : [value]) if (typeof each === "object" && each !== null && "range" in each) walk(each as Node);
      }
    };
    for (const statement of source.statements) walk(statement);
    return found;
  }
  interface Node {
    kind: number;
    range: { start: number; end: number };
    name: { text: string };
    body?: Node;
    normalizedPath: string;
    statements: Node[];
    lineAt(position: number): number;
  }

  const files = readdirSync("filters", { recursive: true, encoding: "utf8" }).filter((name) => /assembly\/.*\.ts$/.test(name) && !name.includes("node_modules")).map((name) => join("filters", name));

  it.each(files)("are those that the compiler finds: %s", (file) => {
    const text = readFileSync(file, "utf8");
    const names = (list: { name: string; start: number; end: number }[]): string[] => list.map(({ name, end }) => `${name.replace(/^.*[#.:]/, "").replace("(anonymous)", "")}@${end}`).sort();
    expect(names(functionsIn(text))).toEqual(names(parsed(text)));
  });

  it("have the names of their classes, and survive what isn't code", () => {
    const text = 'class A<T> {\n  constructor() {}\n  static make(): A<i32> { return new A<i32>(); }\n  get x(): i32 {\n    return 1; // }\n  }\n  run(f: (a: i32) => i32): void {\n    if (f(1)) { let s = "{"; }\n  }\n}\nnamespace N {\n  export function f(): void { /* { */ }\n}\nrun((a: i32) => {\n  return a;\n});\n}}}';
    expect(functionsIn(text).map(({ name, start, end, empty }) => [name, start, end, empty])).toEqual([
      ["A#constructor", 2, 2, true], ["A.make", 3, 3, false], ["A#get:x", 4, 6, false], ["A#run", 7, 9, false], ["N.f", 12, 12, true], ["(anonymous)", 14, 16, false],
    ]);
    fc.assert(fc.property(fc.string({ unit: fc.constantFrom("{", "}", "(", ")", '"', "`", "/", "*", "\n", "function f", "class A", ";", "=>", "a", " ") }), (any) => void functionsIn(any)));
  });
});

describe("an offset", () => {
  let scratch: TemporaryDirectory;
  let file: string;
  beforeAll(async () => {
    scratch = temporaryDirectory("symbols");
    file = (await buildFilter({ entry: "test/envoy/fixtures/traps/assembly/index.ts", name: "traps", outDir: scratch.path, debug: true })).path;
  });
  afterAll(() => scratch.remove());

  const unreachableIn = (bytes: Uint8Array, symbolizer: Symbolizer): number => {
    // The only `unreachable` instruction of deep(), by the source map.
    const line = readFileSync("test/envoy/fixtures/traps/assembly/ways.ts", "utf8").split("\n").findIndex((text) => text === "  unreachable();") + 1;
    const { segments, sources } = symbolizer.map!;
    return segments.find((each) => each.source !== undefined && sources[each.source]!.endsWith("ways.ts") && each.line === line && bytes[each.offset] === 0)!.offset;
  };

  it("leads to function, file, line and column in a module without names, and in one with names the same", () => {
    const release = readFileSync(file);
    const offset = unreachableIn(release, new Symbolizer(release, file));
    const expected = { function: "deep", where: { file: "test/envoy/fixtures/traps/assembly/ways.ts", line: expect.any(Number) as number, col: 3 } };
    expect(new Symbolizer(release, file).symbolize(offset)).toEqual(expected);
    const debug = join(scratch.path, "traps.debug.wasm");
    // Its section sourceMappingURL leads to the release module's map.
    expect(new Symbolizer(readFileSync(debug), debug).symbolize(offset)).toEqual(expected);
  });

  it("outside of code leads nowhere", () => {
    const symbolizer = new Symbolizer(readFileSync(file), file);
    for (const offset of [0, 8, symbolizer.module.functionOffsets[0]! - 1, 1e6]) expect(symbolizer.symbolize(offset)).toBeUndefined();
  });

  it("is at least in a function, where there is no map or none that can be read", () => {
    const bytes = readFileSync(file);
    const offset = new Symbolizer(bytes, file).module.functionOffsets.at(-1)! + 1;
    const elsewhere = join(scratch.path, "elsewhere");
    expect(new Symbolizer(bytes, join(elsewhere, "x.wasm")).symbolize(offset)).toMatchObject({ function: expect.any(String) as string });
    renameSync(`${file}.map`, `${file}.kept`);
    writeFileSync(`${file}.map`, "{");
    expect(new Symbolizer(bytes, file).symbolize(offset)).not.toHaveProperty("where");
    renameSync(`${file}.kept`, `${file}.map`);
  });

  it("in a log is that of the module in whose functions it lies", () => {
    const bytes = readFileSync(file);
    const symbolizer = new Symbolizer(bytes, file);
    const offset = unreachableIn(bytes, symbolizer);
    const index = symbolizer.functionIndexAt(offset)!;
    const log = (at: number, fn: number): string => `[2026-01-01 10:00:00.000][1][error][wasm] [x.cc:1] Function: f failed: Uncaught RuntimeError: unreachable\nProxy-Wasm plugin in-VM backtrace:\n  0:  0x${at.toString(16)} - unknown(function index:${fn})\n[2026-01-01 10:00:01.000][1][info][main] [y.cc:1] more\n`;
    const other = new Symbolizer(readFileSync(join(scratch.path, "traps.debug.wasm")), join(scratch.path, "traps.debug.wasm"));
    expect(symbolizeLog(log(offset, index), [symbolizer])).toBe(log(offset, index).replace(`unknown(function index:${index})`, "deep (test/envoy/fixtures/traps/assembly/ways.ts:11:3)"));
    expect(symbolizeLog(log(offset, index), [other, symbolizer])).toContain("- deep (test/envoy/");
    // Of another build: saying nothing is better than saying something wrong.
    expect(symbolizeLog(log(offset, index + 1), [symbolizer])).toBe(log(offset, index + 1));
    expect(symbolizeLog("nothing here", [symbolizer])).toBe("nothing here");
  });

  it("is printed by Envoy because a release module has one name", () => {
    const { functionNames, imports } = readWasm(readFileSync(file));
    expect([...functionNames]).toEqual([[0, imports[0]!.name]]);
    expect(WebAssembly.validate(readFileSync(file))).toBe(true);
  });
});

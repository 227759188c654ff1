/** Header maps as the host serialises them. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadModule, type TestModule } from "./module.ts";

let module: TestModule;
beforeAll(async () => {
  module = await loadModule("pairs");
});

type Pair = readonly [string, string];

/** As proxy-wasm-cpp-host's pairs_util.cc: count, sizes, then each name and value with a NUL behind it. */
function serialise(pairs: readonly Pair[]): Uint8Array {
  const all = pairs.flat().map((text) => Buffer.from(text));
  const head = Buffer.alloc(4 + all.length * 4);
  head.writeUInt32LE(pairs.length);
  all.forEach((text, index) => head.writeUInt32LE(text.length, 4 + index * 4));
  return Buffer.concat([head, ...all.flatMap((text) => [text, Buffer.from([0])])]);
}

const copyPairs = (bytes: Uint8Array): Uint8Array => {
  const copy = module.data(module.exports.copyPairs!(module.bytes(bytes)));
  module.collect();
  return copy;
};

const headers = fc.array(fc.tuple(fc.string({ maxLength: 20 }), fc.string({ unit: "binary", maxLength: 40 })), { maxLength: 12 });

describe("header pairs", () => {
  it("come back as they were, empty and repeated ones included", () => {
    fc.assert(
      fc.property(headers, (pairs) => {
        expect(Buffer.from(copyPairs(serialise(pairs))).equals(serialise(pairs))).toBe(true);
      }),
      { numRuns: 500 },
    );
  });

  it("are none where the bytes are malformed, and nothing behind them is read", () => {
    const edit = fc.array(fc.tuple(fc.nat({ max: 60 }), fc.nat({ max: 255 })), { minLength: 1, maxLength: 5 });
    fc.assert(
      fc.property(headers, edit, fc.nat({ max: 40 }), (pairs, edits, cut) => {
        const bytes = serialise(pairs);
        for (const [at, value] of edits) if (at < bytes.length) bytes[at] = value;
        copyPairs(bytes.subarray(0, Math.max(0, bytes.length - cut))); // traps where it leaves them
      }),
      { numRuns: 2_000 },
    );
    for (const size of [0, 1, 3, 4, 8, 12, 64]) {
      expect(module.exports.count!(module.bytes(new Uint8Array(size).fill(255)))).toBe(0);
      expect(module.exports.count!(module.bytes(new Uint8Array(size)))).toBe(0);
    }
    const short = serialise([["a", "b"]]);
    expect(module.exports.count!(module.bytes(short))).toBe(1);
    expect(module.exports.count!(module.bytes(short.subarray(0, -1)))).toBe(0);
    const huge = Buffer.from(short);
    huge.writeUInt32LE(0xffffffff, 4);
    huge.writeUInt32LE(0xffffffff, 8);
    expect(module.exports.count!(module.bytes(huge))).toBe(0);
  });

  it("give every value of a repeated header", () => {
    const name = fc.constantFrom("x-a", "x-b", "x", "");
    fc.assert(
      fc.property(fc.array(fc.tuple(name, fc.string({ maxLength: 8 }).filter((text) => !text.includes("\n")))), name, (pairs, wanted) => {
        const values = module.text(module.exports.valuesOf!(module.bytes(serialise(pairs)), module.bytes(wanted)));
        expect(values).toBe(pairs.flatMap(([key, value]) => (key === wanted ? [`${value}\n`] : [])).join(""));
        module.collect();
      }),
    );
  });
});

describe("the request", () => {
  it.each([
    [[[":method", "GET"], [":path", "/a/b?c=d#e"], [":authority", "host:80"], ["path", "no"]], "[GET][/a/b?c=d#e][host:80][/a/b]"],
    [[[":scheme", "http"], [":path", "/"], [":pathx", "no"], [":methox", "no"], [":authorits", "no"]], "-[/]-[/]"],
    [[[":path", "*"], [":authority", ""]], "-[*][][*]"],
    [[[":path", "#"]], "-[#]-[]"],
    [[], "----"],
  ] as [Pair[], string][])("%j", (pairs, expected) => {
    expect(module.text(module.exports.pseudo!(module.bytes(serialise(pairs))))).toBe(expected);
  });
});

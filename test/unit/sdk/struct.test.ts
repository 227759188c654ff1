/** A configuration written as google.protobuf.Struct becomes the JSON that it was. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadModule, type TestModule } from "./module.ts";

let module: TestModule;
beforeAll(async () => {
  module = await loadModule("struct");
});

const json = (configuration: Uint8Array): string => {
  const answer = module.text(module.exports.json!(module.bytes(configuration)));
  module.collect();
  return answer;
};

type Json = null | boolean | number | string | Json[] | { [key: string]: Json };

const varint = (value: number): number[] => (value < 128 ? [value] : [(value % 128) + 128, ...varint(Math.floor(value / 128))]);
const field = (number: number, bytes: number[]): number[] => [...varint(number * 8 + 2), ...varint(bytes.length), ...bytes];
const double = (value: number): number[] => [...new Uint8Array(new Float64Array([value]).buffer)];
const text = (value: string): number[] => [...Buffer.from(value)];

/** struct.proto: Value. */
function value(of: Json): number[] {
  if (of === null) return [8, 0];
  if (typeof of === "number") return [17, ...double(of)];
  if (typeof of === "string") return field(3, text(of));
  if (typeof of === "boolean") return [32, of ? 1 : 0];
  return Array.isArray(of) ? field(6, of.flatMap((each) => field(1, value(each)))) : field(5, struct(of));
}

/** struct.proto: Struct, a map of key (1) and Value (2). */
const struct = (members: { [key: string]: Json }): number[] =>
  Object.entries(members).flatMap(([key, each]) => field(1, [...field(1, text(key)), ...field(2, value(each))]));

const string = fc.string({ unit: "binary", maxLength: 12 });
const key = string.filter((name) => name !== "__proto__");
const numbers = fc.oneof(fc.integer(), fc.nat({ max: 100_000_000 }).map((n) => n / 1000));
const values = fc.letrec<{ value: Json }>((tie) => ({
  value: fc.oneof({ depthSize: "small" }, string, numbers, fc.boolean(), fc.constant(null), fc.array(tie("value"), { maxLength: 4 }), fc.dictionary(key, tie("value"), { maxKeys: 4 })),
})).value;

describe("a Struct", () => {
  it("becomes the same document", () => {
    fc.assert(
      fc.property(fc.dictionary(key, values, { minKeys: 1, maxKeys: 4 }), (members) => {
        expect(JSON.parse(json(Uint8Array.from(struct(members))))).toEqual(JSON.parse(JSON.stringify(members)));
      }),
      { numRuns: 300 },
    );
  });

  it("that is damaged is left as it is, and never read past its end", () => {
    fc.assert(
      fc.property(fc.dictionary(key, values, { minKeys: 1, maxKeys: 3 }), fc.nat(), fc.nat({ max: 255 }), (members, at, byte) => {
        const bytes = Uint8Array.from(struct(members));
        bytes[at % bytes.length] = byte;
        expect(typeof json(bytes)).toBe("string");
      }),
      { numRuns: 300 },
    );
  });

  it("nested without end is no Struct", () => {
    let deep: Json = 1;
    for (let i = 0; i < 200; i++) deep = { a: deep };
    expect(json(Uint8Array.from(struct(deep as { [key: string]: Json })))).toMatch(/^\n/);
  });
});

describe("JSON", () => {
  it.each(["", "{}", '\n{"a": 1}', "\n\n{}", '\n{"namespace":"prod","policies":[]}\n', "[1]"])("stays what it is: %j", (source) => {
    expect(json(new TextEncoder().encode(source))).toBe(source);
  });
});

/** The protobuf wire format, as far as the SDK needs it. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadModule, type TestModule } from "./module.ts";

let module: TestModule;
beforeAll(async () => {
  module = await loadModule("proto");
});

const read = (message: Uint8Array): string => {
  const text = module.text(module.exports.read!(module.bytes(message)));
  module.collect();
  return text;
};

type Field = readonly [number, bigint | Uint8Array];
const number = fc.integer({ min: 1, max: 2 ** 29 - 1 });
const field: fc.Arbitrary<Field> = fc.oneof(
  fc.tuple(number, fc.bigInt({ min: 0n, max: 2n ** 64n - 1n })),
  fc.tuple(number, fc.uint8Array({ maxLength: 30 })),
  fc.tuple(number, fc.uint8Array({ minLength: 200, maxLength: 900 })),
);

const show = ([at, value]: Field): string => `${at}${typeof value === "bigint" ? `=${value}` : `:${Buffer.from(value).toString("hex")}`};`;

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  for (; value > 127n; value >>= 7n) bytes.push(Number(value & 127n) | 128);
  return Buffer.from([...bytes, Number(value)]);
}

/** An encoder of its own, by the format's definition. */
const encode = (fields: readonly Field[]): Buffer =>
  Buffer.concat(fields.flatMap(([at, value]) => (typeof value === "bigint" ? [varint(BigInt(at) << 3n), varint(value)] : [varint((BigInt(at) << 3n) | 2n), varint(BigInt(value.length)), value])));

describe("messages", () => {
  it("are written and read by the format's definition", () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 12 }), (fields) => {
        module.exports.begin!();
        for (const [at, value] of fields) {
          if (typeof value === "bigint") module.exports.varint!(at, value);
          else module.exports.bytes!(at, module.bytes(value));
        }
        const message = module.data(module.exports.finish!());
        expect(Buffer.from(message).equals(encode(fields))).toBe(true);
        expect(read(message)).toBe(fields.map(show).join(""));
      }),
    );
  });

  it("that are cut off or made up end the walk, and nothing behind them is read", () => {
    fc.assert(
      fc.property(fc.array(field, { maxLength: 4 }), fc.uint8Array({ maxLength: 12 }), fc.nat({ max: 30 }), (fields, noise, cut) => {
        const message = encode(fields);
        const whole = fields.map(show).join("");
        expect(read(message.subarray(0, Math.max(0, message.length - cut))).replace("!", "")).toSatisfy((text: string) => whole.startsWith(text));
        read(Buffer.concat([message, noise])); // traps where it leaves the message
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ["", ""],
    ["0801", "1=1;"],
    ["08", "!"],
    ["0a05616263", "!"],
    ["0a00", "1:;"],
    ["0affffffff0f", "!"],
    ["0affffffffffffffffff01", "!"],
    ["08ffffffffffffffffff01", "1=18446744073709551615;"],
    ["08ffffffffffffffffffff01", "!"],
    ["0d01020304", "!"], // fixed32: nothing here uses it
  ])("%s", (hex, expected) => expect(read(Buffer.from(hex, "hex"))).toBe(expected));
});

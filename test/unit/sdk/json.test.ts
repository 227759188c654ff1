/** The JSON reader against JSON.parse. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadModule, type TestModule } from "./module.ts";

let module: TestModule;
beforeAll(async () => {
  module = await loadModule("json");
});

const call = (name: string, text: string, ...more: bigint[]): string => {
  const answer = module.text(module.exports[name]!(module.bytes(text), ...more));
  module.collect();
  return answer;
};
const hex = (text: string): string => Buffer.from(text).toString("hex");
const bits = (value: number): string => {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, value);
  return view.getBigUint64(0).toString(16);
};

/** A value as the test module renders it. */
function render(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map((item, index) => `${index}:${render(item)};`).join("")}]`;
  if (typeof value === "object" && value !== null) return `{${Object.entries(value).map(([key, item]) => `${hex(key)}:${render(item)};`).join("")}}`;
  if (typeof value === "string") return `s${hex(value)}`;
  return typeof value === "number" ? `n${bits(value)}` : String(value);
}

/** Text as JSON has it, with escapes where nobody would need any. */
const escaped = (text: string): string =>
  [...text].map((char, index) => (index % 3 === 0 ? [...Array(char.length).keys()].map((at) => `\\u${char.charCodeAt(at).toString(16).padStart(4, "0")}`).join("") : JSON.stringify(char).slice(1, -1))).join("");

// Well-formed Unicode; `__proto__` would set the prototype of what JavaScript compares with.
const text = fc.string({ unit: "binary", maxLength: 12 });
const scalar = fc.oneof(text, fc.integer(), fc.boolean(), fc.constant(null), fc.nat({ max: 10_000 }).map((n) => n / 100));
const key = text.filter((name) => name !== "__proto__");
const documents = fc.letrec<{ value: unknown }>((tie) => ({
  value: fc.oneof<fc.Arbitrary<unknown>[]>({ depthSize: "small", withCrossShrink: true }, scalar, fc.array(tie("value"), { maxLength: 4 }), fc.dictionary(key, tie("value"), { maxKeys: 4 })),
})).value;

describe("documents", () => {
  it("reads what JSON.parse reads", () => {
    fc.assert(
      fc.property(documents, fc.constantFrom(undefined, 1, "\t"), (value, space) => {
        const source = JSON.stringify(value, null, space);
        expect(call("render", source)).toBe(render(JSON.parse(source)));
      }),
      { numRuns: 400 },
    );
  });

  it("decodes every escape", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 40 }), (value) => {
        const source = `"${escaped(value)}"`;
        expect(JSON.parse(source)).toBe(value);
        expect(call("render", source)).toBe(`s${hex(value)}`);
      }),
      { numRuns: 400 },
    );
    expect(call("render", String.raw`"\"\\\/\b\f\n\r\t\u00e9\uD83D\uDE00"`)).toBe(`s${hex('"\\/\b\f\n\r\té😀')}`);
  });

  it("accepts a damaged document if and only if JSON.parse does", () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.constantFrom("", ..."{}[]\",:\\/u019-+.eE tfn\n\u0001é")), { minLength: 1, maxLength: 4 });
    let accepted = 0;
    fc.assert(
      fc.property(documents, damage, (value, edits) => {
        let source = JSON.stringify(value);
        for (const [at, char] of edits) {
          const start = at % (source.length + 1);
          source = source.slice(0, start) + char + source.slice(start + (at % 3 === 0 ? 0 : 1));
        }
        // Half a surrogate pair has no bytes; and a lone \ud800 is refused where JSON.parse gives half a character.
        source = Buffer.from(source).toString();
        fc.pre(!hasLoneSurrogate(source));
        const valid = isJson(source);
        if (valid) accepted++;
        expect(call("check", source) === "", source).toBe(valid);
      }),
      { numRuns: 3_000 },
    );
    expect(accepted, "the damage leaves some documents valid").toBeGreaterThan(100);
  });

  it("refuses half a surrogate pair", () => {
    for (const source of [String.raw`"\ud800"`, String.raw`"\udc00"`, String.raw`"\ud800\u0041"`, String.raw`"\ud800x"`]) expect(call("check", source)).toContain("expected a valid string");
  });

  it("refuses what is nested too deep, and takes what just fits", () => {
    expect(call("check", "[".repeat(64) + "]".repeat(64))).toBe("");
    expect(call("check", "[".repeat(65) + "]".repeat(65))).toBe(`$${"[0]".repeat(64)}: found nested deeper than 64 levels, expected a flatter document`);
    expect(call("check", "[".repeat(60_000))).toContain("nested deeper");
    expect(call("check", '{"a":'.repeat(65))).toContain("nested deeper");
  });
});

function isJson(source: string): boolean {
  try {
    JSON.parse(source);
    return true;
  } catch {
    return false;
  }
}

function hasLoneSurrogate(source: string): boolean {
  try {
    return /[\ud800-\udfff]/.test([...JSON.stringify(JSON.parse(source))].filter((char) => char.length === 1).join("")) || /\\u[dD][89a-fA-F]/.test(source);
  } catch {
    return /\\u[dD][89a-fA-F]/.test(source);
  }
}

describe("numbers", () => {
  const number = (source: string): number => {
    const view = new DataView(new ArrayBuffer(8));
    view.setBigInt64(0, module.exports.number!(module.bytes(source)) as unknown as bigint);
    return view.getFloat64(0);
  };

  it("are exact for integers up to 2^53", () => {
    fc.assert(fc.property(fc.maxSafeInteger(), (value) => void expect(number(String(value))).toBe(value)));
    for (const value of [0, -0, 1, 2 ** 53, -(2 ** 53), 9_007_199_254_740_991]) expect(number(JSON.stringify(value))).toBe(JSON.parse(JSON.stringify(value)));
  });

  it("are exact where people write them: up to 15 digits, scaled by up to 22", () => {
    fc.assert(
      fc.property(fc.integer({ min: -(10 ** 15), max: 10 ** 15 }), fc.integer({ min: -22, max: 22 }), fc.nat({ max: 15 }), (digits, exponent, point) => {
        const sign = digits < 0 ? "-" : "";
        const all = String(Math.abs(digits)).padStart(point + 1, "0");
        const plain = point === 0 ? all : `${all.slice(0, -point)}.${all.slice(-point)}`;
        fc.pre(exponent - point >= -22);
        for (const source of [`${sign}${plain}`, `${sign}${plain}e${exponent}`, `${sign}${plain}E${exponent < 0 ? "" : "+"}${exponent}`]) expect(number(source), source).toBe(JSON.parse(source));
      }),
    );
  });

  it("are within rounding for any double", () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const source = JSON.stringify(value);
        const read = number(source);
        if (Math.abs(value) < 1e-290) expect(Math.abs(read - value)).toBeLessThan(1e-300);
        else expect(Math.abs(read / value - 1), source).toBeLessThan(1e-13);
      }),
    );
    expect(number("1e400")).toBe(Infinity);
    expect(number("1e-400")).toBe(0);
    expect(number(`1${"0".repeat(400)}`)).toBe(Infinity);
    expect(number(`0.${"0".repeat(400)}1`)).toBe(0);
  });

  it.each([
    ["12", 0n, 100n, "12"],
    ["-1", 0n, 100n, "$: found '-1', expected an integer from 0 to 100"],
    ["101", 0n, 100n, "$: found '101', expected an integer from 0 to 100"],
    ["1.5", 0n, 100n, "$: found '1.5', expected an integer from 0 to 100"],
    ["1e2", 0n, 100n, "100"],
    ["9007199254740992", 0n, 2n ** 63n - 1n, "9007199254740992"],
    ["9007199254740994", 0n, 2n ** 63n - 1n, "$: found '9007199254740994', expected an integer from 0 to 9007199254740992"],
    ["9223372036854775808", 0n, 2n ** 63n - 1n, "$: found '9223372036854775808', expected an integer from 0 to 9007199254740992"],
    ["-1e300", -(2n ** 63n), 0n, "$: found '-1e300', expected an integer from -9007199254740992 to 0"],
    ['"1"', 0n, 100n, "$: found '\"1\"', expected an integer"],
  ])("integer %s within %d and %d", (source, min, max, expected) => {
    expect(call("integer", source, min, max)).toBe(expected);
  });
});

describe("messages", () => {
  it.each([
    ['{"name":"a","arms":[{"name":"b","weight":1},{"weight":2,"name":"c"}],"shared":true}', `ok name=61 62=1=2 63 shared`],
    ['{"shared":null,"arms":[]}', "ok null"],
    ["", "$: found the end of the document, expected the configuration"],
    ["[]", "$: found an array, expected the configuration"],
    ["null", "$: found null, expected the configuration"],
    ['{"name":7}', "$.name: found '7', expected the rollout's name"],
    ['{"name":"a" "arms":[]}', "$.name: found '\"arms\":[]', expected ',' or '}'"],
    ['{"name":"a",}', "$.name: found '}', expected a value after ','"],
    ['{"name":"a",arms:[]}', "$: found 'arms:[]', expected a field name in double quotes"],
    ['{"name":"a","arms"}', "$.arms: found '}', expected ':'"],
    ['{"name":"a","name":"b"}', "$.name: found this field twice, expected each field once"],
    ['{"nmae":"a"}', "$.nmae: found an unknown field, expected one of name, arms, shared"],
    ['{"arms":{}}', "$.arms: found an object, expected a list of arms"],
    ['{"arms":[{"name":"b"},{"weight":101}]}', "$.arms[1].weight: found '101', expected an integer from 0 to 100"],
    ['{"arms":[{"weight":01}]}', "$.arms[0].weight: found '01', expected an integer"],
    ['{"arms":[{"weight":tru}]}', "$.arms[0].weight: found 'tru', expected an integer"],
    ['{"arms":[{}', "$.arms[0]: found the end of the document, expected ',' or ']'"],
    ['{"arms":[1,2]}', "$.arms[0]: found '1', expected an arm"],
    ['{"shared":"yes"}', "$.shared: found '\"yes\"', expected true or false"],
    ['{"name":"unterminated', "$.name: found the end of the document, expected a valid string"],
    ['{"name":"bad \\x escape"}', "$.name: found '\\x escape\"', expected a valid string"],
    ['{"name":"a"} trailing', "$: found 'trailing', expected the end of the document"],
  ])("%s", (source, expected) => {
    expect(call("configure", source)).toBe(expected);
  });

  it("say what is missing where there is no configuration at all", () => {
    expect(module.text(module.exports.nothing!())).toBe("$: found the end of the document, expected the configuration");
  });

  it("keep the first error, whatever follows", () => {
    expect(call("configure", '{"arms":[{"weight":-1},{"weight":-2}],"oops":1}')).toContain("$.arms[0].weight");
  });
});

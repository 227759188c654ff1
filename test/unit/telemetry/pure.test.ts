import { instantiateSync } from "@assemblyscript/loader";
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { compileModule } from "../../../harness/build/index.ts";

interface Raw {
  __newArrayBuffer(data: ArrayBuffer): number;
  __getArrayBuffer(pointer: number): ArrayBuffer;
  [name: string]: (...args: never[]) => number | bigint | ArrayBuffer;
}
let raw: Raw;
beforeAll(async () => {
  const wasm = await compileModule({ entry: "test/unit/telemetry/assembly/pure.ts", options: { runtime: "minimal" } });
  raw = instantiateSync(new WebAssembly.Module(wasm), {}).exports as unknown as Raw;
});

type Argument = string | Uint8Array | number | bigint | null;
function call(name: string, ...args: Argument[]): number | bigint {
  const pass = (arg: Argument): number | bigint => {
    if (arg === null) return 0;
    if (typeof arg === "number" || typeof arg === "bigint") return arg;
    return raw.__newArrayBuffer((typeof arg === "string" ? new TextEncoder().encode(arg) : arg).slice().buffer as ArrayBuffer);
  };
  return (raw[name] as unknown as (...args: (number | bigint)[]) => number | bigint)(...args.map(pass));
}
const bytes = (pointer: number | bigint): Uint8Array => new Uint8Array(raw.__getArrayBuffer(Number(pointer)));
const text = (pointer: number | bigint): string => new TextDecoder("utf-8", { fatal: true }).decode(bytes(pointer));

describe("label values", () => {
  const value = (given: string | Uint8Array): string => {
    const name = text(call("labelled", "m", "l", given));
    expect(name.startsWith("m.l=.") && name.endsWith(";")).toBe(true);
    return name.slice(5, -1);
  };

  it.each([
    ["reviews-v1", "reviews-v1"],
    ["prod/r/0", "prod/r/0"],
    ["", ""],
    ["a;b", "a_b"],
    ["a\nb\0c\x7fd\te", "a_b_c_d_e"],
    ["Größe €𝄞", "Größe €𝄞"],
    ["a\u0085b", "a__b"],
    ["x.route=.evil", "x.route_.evil"],
    ["a=b==.c=", "a=b=_.c="],
    ['"quoted\\', '"quoted\\'],
  ])("%j becomes %j", (given, expected) => {
    expect(value(given)).toBe(expected);
  });

  it("are cut at 128 bytes, never inside of a character", () => {
    expect(value("x".repeat(300))).toBe("x".repeat(128));
    expect(value(`x${"€".repeat(100)}`)).toBe(`x${"€".repeat(42)}`);
  });

  it("are valid UTF-8 that can't leave its place, whatever the bytes were", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (given) => {
      const safe = value(given); // decodes fatally
      expect(safe).not.toMatch(/[;\u0000-\u001f\u007f-\u009f]|=\./);
      expect(Buffer.byteLength(safe)).toBeLessThanOrEqual(128);
    }), { numRuns: 1000 });
  });

  it("stay as they are where nothing is wrong with them", () => {
    fc.assert(fc.property(fc.string({ unit: "binary", maxLength: 30 }), (given) => {
      fc.pre(!/[;\u0000-\u001f\u007f-\u009f]|=\./.test(given));
      expect(value(given)).toBe(given);
    }));
  });

  it("come back out of the name by the regex that stats_tags uses", () => {
    fc.assert(fc.property(fc.uint8Array({ maxLength: 60 }), (given) => {
      const name = `wasmcustom.${text(call("labelled", "requests_total", "route", given))}`;
      const match = /^wasmcustom\..*?(\.route=\.(.*?);)/.exec(name);
      expect(match?.[2]).toBe(value(given));
      expect(name.replace(match![1]!, "")).toBe("wasmcustom.requests_total");
    }));
  });
});

describe("values", () => {
  it("of methods are the nine known ones, case-sensitive, and one for the rest", () => {
    const known = ["GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"];
    known.forEach((method, id) => expect(call("method", method)).toBe(id));
    for (const other of ["get", "GETT", "", "BREW", "PROPFIND", null]) expect(call("method", other)).toBe(9);
  });

  it("of statuses are 100 to 599, exactly, and 0 for the rest", () => {
    fc.assert(fc.property(fc.oneof(fc.nat(1200).map(String), fc.string({ maxLength: 4 })), (status) => {
      const valid = /^[1-5][0-9][0-9]$/.test(status);
      expect(call("status", status)).toBe(valid ? Number(status) : 0);
    }));
    expect(call("status", null)).toBe(0);
  });

  it("of content lengths are digits, and nothing else", () => {
    fc.assert(fc.property(fc.oneof(fc.nat().map(String), fc.string({ maxLength: 18 }), fc.constantFrom("", "+1", "-1", "1e3", "0x1", " 1", "1 ", "1,1", "9".repeat(15), "9".repeat(16))), (given) => {
      expect(call("length", given)).toBe(/^[0-9]{1,15}$/.test(given) ? BigInt(given) : -1n);
    }));
    expect(call("length", null)).toBe(-1n);
  });
});

describe("the table of series", () => {
  it("keeps what a map would keep, up to its limit", () => {
    const key = fc.record({ source: fc.nat(40), destination: fc.nat(40), method: fc.nat(9), status: fc.constantFrom(0, 200, 404, 599) });
    fc.assert(fc.property(fc.array(key, { maxLength: 400 }), fc.integer({ min: 1, max: 300 }), (keys, limit) => {
      call("newTable", limit);
      const model = new Map<string, number>();
      keys.forEach((each, index) => {
        const name = JSON.stringify(each);
        const packed = call("seriesKey", each.source, each.destination, each.method, each.status);
        const known = model.get(name);
        if (known === undefined && model.size < limit) model.set(name, index + 1);
        expect(call("remember", packed, index + 1)).toBe(model.get(name) ?? 0);
      });
    }), { numRuns: 60 });
  });

  it("tells apart all that differs, up to the largest numbers", () => {
    const part = (max: number): fc.Arbitrary<number> => fc.oneof(fc.nat(max), fc.constantFrom(0, 1, max));
    const parts = fc.tuple(part((1 << 24) - 1), part((1 << 24) - 1), part(9), part(599));
    fc.assert(fc.property(parts, parts, (a, b) => {
      expect(call("seriesKey", ...a) === call("seriesKey", ...b)).toBe(a.join() === b.join());
      expect(call("seriesKey", ...a)).not.toBe(0n);
    }));
  });
});

describe("a table of names", () => {
  it("numbers them in the order of their arrival", () => {
    const name = fc.oneof(fc.string({ maxLength: 3 }), fc.string({ minLength: 4090, maxLength: 4100 }), fc.string({ unit: "binary", maxLength: 40 }));
    fc.assert(fc.property(fc.array(name, { maxLength: 80 }), fc.array(name, { maxLength: 10 }), (added, others) => {
      call("newNames");
      const model: string[] = [];
      for (const each of added) {
        expect(call("find", each)).toBe(model.indexOf(each));
        if (!model.includes(each)) model.push(each);
        expect(call("add", each)).toBe(model.indexOf(each));
      }
      for (const other of others) expect(call("find", other)).toBe(model.indexOf(other));
      model.forEach((each, number) => expect(Buffer.from(bytes(call("at", number))).equals(Buffer.from(each))).toBe(true));
    }), { numRuns: 60 });
  });
});

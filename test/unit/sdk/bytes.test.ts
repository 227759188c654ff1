/** Views of bytes, and what is read out of them. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadModule, type TestModule } from "./module.ts";

let module: TestModule;
let call: (name: string, ...args: (Uint8Array | string | number)[]) => number;
beforeAll(async () => {
  module = await loadModule("bytes");
  call = (name, ...args) => {
    module.collect();
    // Pinned, because each argument is allocated while the ones before are in no global.
    return module.exports[name]!(...args.map((arg) => (typeof arg === "number" ? arg : module.bytes(arg))));
  };
});

const bytes = fc.uint8Array({ maxLength: 40, max: 3 });
const starts = (a: Uint8Array, b: Uint8Array): boolean => Buffer.from(a).subarray(0, b.length).equals(b);

describe("views", () => {
  it("compare by content, and read nothing behind their end", () => {
    fc.assert(
      fc.property(bytes, bytes, fc.boolean(), (a, b, equal) => {
        if (equal) b = a.slice();
        expect(call("same", a, b)).toBe(Number(Buffer.from(a).equals(b)));
        const n = Math.min(a.length, b.length);
        expect(call("equals", a, b, n)).toBe(Number(starts(a, b.subarray(0, n))));
      }),
      { numRuns: 500 },
    );
    expect(call("absent", "")).toBe(1);
    expect(call("absent", "x")).toBe(1);
  });

  it("find prefixes, suffixes, single bytes and parts", () => {
    fc.assert(
      fc.property(bytes, bytes, fc.nat({ max: 42 }), fc.nat({ max: 4 }), (text, other, at, byte) => {
        for (const affix of [other, text.subarray(0, at), text.subarray(text.length - Math.min(at, text.length))]) {
          expect(call("starts", text, affix)).toBe(Number(starts(text, affix)));
          expect(call("ends", text, affix)).toBe(Number(starts(text.slice().reverse(), affix.slice().reverse())));
        }
        expect(call("find", text, byte, at)).toBe(text.indexOf(byte, at));
        const to = Math.min(at, text.length);
        expect([...module.data(call("part", text, Math.floor(to / 2), to))]).toEqual([...text.subarray(Math.floor(to / 2), to)]);
      }),
      { numRuns: 500 },
    );
  });

  it("hold UTF-8", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 30 }), (text) => {
        expect(module.text(module.exports.roundTrip!(module.exports.__newString(text)))).toBe(text);
        expect(Buffer.from(module.data(module.exports.encoded!(module.exports.__newString(text)))).toString()).toBe(text);
        module.collect();
      }),
      { numRuns: 500 },
    );
    expect(Buffer.from(module.data(module.exports.ascii!(module.exports.__newString("abort: out of memory"), 8))).toString()).toBe("abort: o");
  });
});

describe("peers", () => {
  it.each([
    ["spiffe://cluster.local/ns/prod/sa/frontend", "spiffe://cluster.local/ns/prod/sa/frontend|cluster.local|prod|frontend"],
    ["spiffe://td/ns/n/sa/s", "spiffe://td/ns/n/sa/s|td|n|s"],
    ["spiffe://td", "spiffe://td|td|-|-"],
    ["spiffe://td/", "spiffe://td/|td|-|-"],
    ["spiffe://td/workload/web", "spiffe://td/workload/web|td|-|-"],
    ["spiffe://td/ns/prod", "spiffe://td/ns/prod|td|-|-"],
    ["spiffe://td/ns/prod/sa", "spiffe://td/ns/prod/sa|td|-|-"],
    ["spiffe://td/ns/prod/sa/a/b", "spiffe://td/ns/prod/sa/a/b|td|-|-"],
    ["spiffe://td/ns/prod/sb/a", "spiffe://td/ns/prod/sb/a|td|-|-"],
    ["spiffe://td/sa/a/ns/prod", "spiffe://td/sa/a/ns/prod|td|-|-"],
    ["spiffe://td/x/ns/prod/sa/a", "spiffe://td/x/ns/prod/sa/a|td|-|-"],
    ["https://example.com/ns/prod/sa/a", "https://example.com/ns/prod/sa/a|-|-|-"],
    ["SPIFFE://td/ns/prod/sa/a", "SPIFFE://td/ns/prod/sa/a|-|-|-"],
    ["spiffe:/", "spiffe:/|-|-|-"],
    ["", "-|-|-|-"],
  ])("%s", (uri, expected) => {
    expect(module.text(call("single", uri))).toBe(expected);
    expect(module.text(call("list", uri))).toBe(expected);
  });

  it("reads a list as Envoy prints it, and never chooses among several", () => {
    expect(module.text(call("list", "-"))).toBe("-|-|-|-");
    expect(module.text(call("list", "spiffe://td/ns/a/sa/b,spiffe://td/ns/c/sa/d"))).toBe("ambiguous");
    expect(module.text(call("list", "spiffe://td/ns/a/sa/b,"))).toBe("ambiguous");
    expect(module.text(call("list", "spiffe://td/ns/a/sa/b"))).toContain("|td|a|b");
  });
});

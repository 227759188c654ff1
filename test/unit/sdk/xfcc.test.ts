/** The peer from x-forwarded-client-cert, where its writer is trusted. */
import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { encodePairs } from "../../../harness/host/pairs.ts";
import { loadModule, type TestModule } from "./module.ts";

let module: TestModule;
beforeAll(async () => {
  module = await loadModule("xfcc");
});

const read = (lines: string[], single: boolean): string => {
  const pairs = encodePairs([["a", "URI=x"], ...lines.map((line): [string, string] => ["x-forwarded-client-cert", line])]);
  return module.text(module.exports.read!(module.bytes(pairs), single ? 1 : 0));
};
const web = "spiffe://td/ns/prod/sa/web";
const api = "spiffe://td/ns/prod/sa/api";

describe("x-forwarded-client-cert", () => {
  it.each<[string, string[], string, string]>([
    // lines, the only element, the last one
    ["no header", [], "-", "-"],
    ["what Envoy writes", [`By=spiffe://td/edge;Hash=0a1b;Subject="CN=web,O=\\"x;y\\"";URI=${web};DNS=a`], web, web],
    ["a certificate without URI", ["Hash=0a;URI="], "-", "-"],
    ["a key in any case", [`uRi=${web}`], web, web],
    ["quotes around", [`URI="${web}"`], web, web],
    ["several elements", [`URI=${api},Hash=1;URI=${web}`], "ambiguous", web],
    ["several elements with a space", [`URI=${api}, URI=${web}`], "ambiguous", web],
    ["several lines", [`URI=${api}`, `URI=${web}`], "ambiguous", web],
    ["several URIs", [`URI=${web};URI=${api}`], "ambiguous", "ambiguous"],
    ["the same URI twice", [`URI=${web};URI=${web}`], "ambiguous", "ambiguous"],
    ["several URIs in an earlier element", [`URI=a;URI=b,URI=${web}`], "ambiguous", "ambiguous"],
    ["no URI", ["Hash=0a"], "ambiguous", "ambiguous"],
    ["no URI in the last element", [`URI=${web},Hash=1`], "ambiguous", "ambiguous"],
    ["nothing", [""], "ambiguous", "ambiguous"],
    ["no pair", ["URI"], "ambiguous", "ambiguous"],
    ["a quote that isn't closed", [`URI="${web}`], "ambiguous", "ambiguous"],
    ["something behind a quote", [`Subject="x"y;URI=${web}`], "ambiguous", "ambiguous"],
    ["a quote within", [`Subject=x";URI=${web}`], "ambiguous", "ambiguous"],
    ["an escape in the URI", [`URI="spiffe://td\\/x"`], "ambiguous", "ambiguous"],
    ["a separator at the end", [`URI=${web};`], "ambiguous", "ambiguous"],
    ["a URI within a subject", [`Subject=";URI=${api}";URI=${web}`], web, web],
    ["another key that ends alike", [`XURI=${api};URI=${web}`], web, web],
    ["JSON", [`[{"uri":["${web}"]}]`], "ambiguous", "ambiguous"],
  ])("%s", (_, lines, single, last) => {
    expect([read(lines, true), read(lines, false)]).toEqual([single, last]);
  });

  it("reads back what is written", () => {
    const quoted = fc.string({ unit: fc.constantFrom("a", ",", ";", "=", '"', "\\", " "), maxLength: 8 }).map((text) => `"${text.replace(/["\\]/g, "\\$&")}"`);
    const plain = fc.string({ unit: fc.constantFrom("a", "=", "\\", " ", ":", "/"), maxLength: 8 });
    const pair = fc.tuple(fc.constantFrom("By", "Hash", "Subject", "DNS", "Cert"), fc.oneof(quoted, plain)).map(([key, value]) => `${key}=${value}`);
    const element = fc.tuple(fc.array(pair, { maxLength: 3 }), fc.constantFrom(web, api, ""), fc.array(pair, { maxLength: 3 }));
    fc.assert(fc.property(fc.array(element, { minLength: 1, maxLength: 3 }), (elements) => {
      const text = elements.map(([before, uri, behind]) => [...before, `URI=${uri}`, ...behind].join(";")).join(",");
      const expected = elements.at(-1)![1] || "-";
      expect([read([text], true), read([text], false)]).toEqual([elements.length > 1 ? "ambiguous" : expected, expected]);
    }), { numRuns: 2_000 });
  });

  it("never traps", () => {
    const text = fc.string({ unit: fc.constantFrom("a", ",", ";", "=", '"', "\\", " ", "URI=", "uri="), maxLength: 12 });
    fc.assert(fc.property(fc.array(text, { maxLength: 3 }), fc.boolean(), (lines, single) => {
      read(lines, single);
    }), { numRuns: 5_000 });
  });
});

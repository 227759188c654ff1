import fc from "fast-check";
import { beforeAll, describe, expect, it } from "vitest";
import { loadPure, type Pure } from "./module.ts";

let pure: Pure;
beforeAll(async () => {
  pure = await loadPure();
});

describe("cookies", () => {
  it.each([
    ["session=abc", "abc"],
    ["a=1; session=abc; b=2", "abc"],
    ["a=1;session=abc", "abc"],
    ["a=1;\t session = abc \t;", "abc"],
    ['session="abc"', "abc"],
    ['session="', '"'],
    ["session=a=b==", "a=b=="],
    ["session=first; session=second", "first"],
    ["session=; session=second", "second"],
    ['session=""; session=second', "second"],
    ["Session=no", null],
    ["xsession=no; sessionx=no", null],
    ["session", null],
    ["=session", null],
    ["a=session=x", null],
    ["a=1; ; ;=; session=abc", "abc"],
    ["", null],
  ])("%j", (header, expected) => {
    expect(pure.cookie(header, "session")).toBe(expected);
  });

  const name = fc.stringMatching(/^[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,12}$/);
  // cookie-octet of RFC 6265, section 4.1.1
  const value = fc.stringMatching(/^[!#-+\--:<-[\]-~]{1,20}$/);

  it("are found among any others", () => {
    const others = fc.array(fc.tuple(name, value), { maxLength: 6 });
    fc.assert(fc.property(others, name, value, others, fc.constantFrom(";", "; "), fc.boolean(), (before, wanted, found, after, separator, quoted) => {
      const pairs = [...before.filter(([each]) => each !== wanted), [wanted, quoted ? `"${found}"` : found], ...after];
      expect(pure.cookie(pairs.map((pair) => pair.join("=")).join(separator), wanted)).toBe(found);
    }));
  });

  it("read the same as a plain split and trim would, whatever the header holds", () => {
    const piece = fc.oneof(fc.constantFrom(";", "=", " ", "\t", '"', "a", "ab", "é"), fc.string({ unit: "binary", maxLength: 3 }));
    fc.assert(fc.property(fc.array(piece, { maxLength: 24 }).map((pieces) => pieces.join("")), fc.constantFrom("a", "ab"), (header, wanted) => {
      const trim = (text: string): string => text.replace(/^[ \t]+|[ \t]+$/g, "");
      const values = header
        .split(";")
        .filter((pair) => pair.includes("=") && trim(pair.slice(0, pair.indexOf("="))) === wanted)
        .map((pair) => trim(pair.slice(pair.indexOf("=") + 1)))
        .map((text) => (text.length >= 2 && text.startsWith('"') && text.endsWith('"') ? text.slice(1, -1) : text));
      expect(pure.cookie(header, wanted)).toBe(values.find((text) => text !== "") ?? null);
    }), { numRuns: 1000 });
  });
});

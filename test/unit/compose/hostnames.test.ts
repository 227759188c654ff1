import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compareHostnames, covers, intersect, mostSpecific } from "../../../harness/compose/hostnames.ts";

const label = fc.constantFrom("a", "b", "example", "com");
const host = fc.oneof(
  fc.constant("*"),
  fc.tuple(fc.constantFrom("", "*."), fc.array(label, { minLength: 1, maxLength: 4 })).map(([star, labels]) => star + labels.join(".")),
);

describe("host names", () => {
  it.each([
    ["*", "a.b", "a.b"],
    ["a.b", "a.b", "a.b"],
    ["a.b", "a.c", undefined],
    ["*.example.com", "test.example.com", "test.example.com"],
    ["*.example.com", "foo.test.example.com", "foo.test.example.com"],
    ["*.example.com", "example.com", undefined],
    ["*.example.com", "badexample.com", undefined],
    ["test.example.com", "*.example.com", "test.example.com"],
    ["*.example.com", "*.test.example.com", "*.test.example.com"],
    ["*.example.com", "*.com", "*.example.com"],
    ["*.a.com", "*.b.com", undefined],
  ])("%s and %s meet in %s", (a, b, expected) => {
    expect(intersect(a, b)).toBe(expected);
    expect(intersect(b, a)).toBe(expected);
  });

  it("cover each other as their matching says", () => {
    const matches = (pattern: string, name: string): boolean =>
      pattern === "*" || pattern === name || (pattern.startsWith("*.") && name.endsWith(pattern.slice(1)) && name.length > pattern.length - 1);
    fc.assert(
      fc.property(host, host, fc.array(label, { minLength: 1, maxLength: 5 }), (a, b, labels) => {
        const name = labels.join(".");
        const both = intersect(a, b);
        expect(matches(a, name) && matches(b, name)).toBe(both !== undefined && matches(both, name));
        if (covers(a, b) && matches(b, name)) expect(matches(a, name)).toBe(true);
      }),
    );
  });

  it("have a total order that puts the more specific first", () => {
    fc.assert(
      fc.property(host, host, host, (a, b, c) => {
        expect(Math.sign(compareHostnames(a, b))).toBe(-Math.sign(compareHostnames(b, a)) + 0);
        if (compareHostnames(a, b) === 0) expect(a).toBe(b);
        if (compareHostnames(a, b) <= 0 && compareHostnames(b, c) <= 0) expect(compareHostnames(a, c)).toBeLessThanOrEqual(0);
        if (a !== b && covers(a, b)) expect(compareHostnames(b, a)).toBeLessThan(0);
      }),
    );
  });

  it("find the most specific of several", () => {
    expect(mostSpecific(["*", "*.com", "*.example.com", "a.example.com"], "b.example.com")).toBe("*.example.com");
    expect(mostSpecific(["a.com"], "b.com")).toBeUndefined();
  });
});

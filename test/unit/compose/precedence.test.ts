import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { comparePrecedence, type Candidate } from "../../../harness/compose/precedence.ts";
import type { RouteMatch } from "../../../harness/compose/schema/httproute.ts";

const candidate = (match: RouteMatch, rest: Partial<Candidate> = {}): Candidate => ({ hostname: "*", match, route: "ns/r", rule: 0, index: 0, ...rest });

const before = (a: Candidate, b: Candidate): void => {
  expect(comparePrecedence(a, b)).toBeLessThan(0);
  expect(comparePrecedence(b, a)).toBeGreaterThan(0);
};
const prefix = (value: string): RouteMatch => ({ path: { type: "PathPrefix", value } });
const header = (name: string) => ({ name, value: "x" });

describe("precedence of matches", () => {
  it("puts Exact before RegularExpression before PathPrefix", () => {
    before(candidate({ path: { type: "Exact", value: "/a" } }), candidate({ path: { type: "RegularExpression", value: "/long.*er" } }));
    before(candidate({ path: { type: "RegularExpression", value: "/a" } }), candidate(prefix("/a/much/longer")));
  });
  it("puts the longer prefix first, a trailing slash not counted", () => {
    before(candidate(prefix("/ab")), candidate(prefix("/a")));
    expect(comparePrecedence(candidate(prefix("/a/")), candidate(prefix("/a")))).toBe(0);
    before(candidate({ ...prefix("/a"), method: "GET" }), candidate(prefix("/a/")));
  });
  it("puts a method before headers before query parameters", () => {
    before(candidate({ ...prefix("/a"), method: "GET" }), candidate({ ...prefix("/a"), headers: [header("x"), header("y")] }));
    before(candidate({ headers: [header("x")] }), candidate({ queryParams: [header("x"), header("y")] }));
    before(candidate({ headers: [header("x"), header("y")] }), candidate({ headers: [header("x")] }));
    before(candidate({ queryParams: [header("x"), header("y")] }), candidate({ queryParams: [header("x")] }));
  });
  it("counts a header that stands twice once", () => {
    expect(comparePrecedence(candidate({ headers: [header("X"), header("x")] }), candidate({ headers: [header("x")] }))).toBe(0);
  });
  it("puts the host name before everything", () => {
    before(candidate(prefix("/"), { hostname: "a.com" }), candidate({ path: { type: "Exact", value: "/abc" } }, { hostname: "*.com" }));
  });
  it("breaks ties by age, then namespace/name, then place", () => {
    const at = (created: string | undefined, route: string, rule = 0) => candidate({}, { created, route, rule });
    before(at("2026-01-01T00:00:00Z", "z/z"), at("2026-01-02T00:00:00Z", "a/a"));
    before(at("2026-01-02T00:00:00Z", "z/z"), at(undefined, "a/a"));
    before(at(undefined, "a/a", 9), at(undefined, "a/b", 0));
    before(at(undefined, "a/a", 0), at(undefined, "a/a", 1));
  });

  it("is a total order", () => {
    const match: fc.Arbitrary<RouteMatch> = fc.record(
      {
        path: fc.record({ type: fc.constantFrom("Exact" as const, "PathPrefix" as const, "RegularExpression" as const), value: fc.constantFrom("/", "/a", "/a/", "/ab", "/a/b") }),
        method: fc.constantFrom("GET" as const, "POST" as const),
        headers: fc.array(fc.constantFrom("a", "A", "b").map(header), { maxLength: 3 }),
        queryParams: fc.array(fc.constantFrom("a", "A", "b").map(header), { maxLength: 3 }),
      },
      { requiredKeys: [] },
    );
    const any = fc.record({
      hostname: fc.constantFrom("*", "*.com", "a.com"),
      match,
      created: fc.constantFrom(undefined, "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", "2027-01-01T00:00:00Z"),
      route: fc.constantFrom("a/a", "a/b"),
      rule: fc.nat(2),
      index: fc.nat(2),
    });
    fc.assert(
      fc.property(any, any, any, (a, b, c) => {
        expect(Math.sign(comparePrecedence(a, b)) + Math.sign(comparePrecedence(b, a))).toBe(0);
        if (comparePrecedence(a, b) <= 0 && comparePrecedence(b, c) <= 0) expect(comparePrecedence(a, c)).toBeLessThanOrEqual(0);
        // Two places of one route never tie, so the order of routes never depends on the order of files.
        if (comparePrecedence(a, b) === 0) expect([a.route, a.rule, a.index]).toEqual([b.route, b.rule, b.index]);
      }),
      { numRuns: 1000 },
    );
  });
});

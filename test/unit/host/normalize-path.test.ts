import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { normalizePath } from "../../../harness/host/normalize-path.ts";

const REDIRECT = { escapedSlashes: "UNESCAPE_AND_REDIRECT" } as const;
const normal = (path: string) => normalizePath(path, REDIRECT);

describe("as Envoy 1.40 does it", () => {
  it.each([
    ["/../a", "/a"], ["/a/./b", "/a/b"], ["//a///b", "/a/b"], ["/a/..", "/"], ["/a/.", "/a/"], ["/a/%2e%2E/b", "/b"], ["/a%2eb", "/a.b"], ["/a/...", "/a/..."], ["/a%", "/a%"], ["/a%zz", "/a%zz"], ["/a\\b", "/a/b"], ["/a?b=../c", "/a?b=../c"],
    ["/a%252fb", "/a%252fb"], ["/ab//?//", "/ab/?//"], ["//", "//"], ["/..;/a", "/a"], ["/b/.;x/a", "/b/a"], ["/b/..;", "/"], ["/b/%2e%2e;q/a", "/b/..;q/a"], ["/b\\..;x/../c", "/b/c"], ["/%7Ea%41", "/~aA"], ["/a<\"^`{|}>", "/a%3C%22%5E%60%7B%7C%7D%3E"],
    ["/a/%2e%2E/b", "/b"], ["/a/.%2e/b", "/b"], ["/a/;x/../b", "/a/b"], ["/a/..;x=1/b", "/b"], ["/a/..;", "/"], ["/a/.;/..;a/b", "/b"], ["/a;v=1/../b", "/b"],
    ["/%2e%2e;x/b", "/..;x/b"], ["/a/%2e;", "/a/.;"], ["/a/%2e%2e%3b/b", "/a/..%3b/b"], ["/a/...;/b", "/a/...;/b"],
    ["/a/%41b", "/a/Ab"], ["/%7Eb", "/~b"], ["/a/%zz", "/a/%zz"], ["/a/%", "/a/%"], ["/a/%c3%A9", "/a/%c3%A9"], ["/a/%252e/b", "/a/%252e/b"], ["/a/b%20c", "/a/b%20c"],
    ["/p\"q", "/p%22q"], ["/p^q", "/p%5Eq"], ["/p`q", "/p%60q"], ["/p{q|}", "/p%7Bq%7C%7D"], ["/p[q]", "/p[q]"], ["/p*q", "/p*q"], ["/a\\..\\b", "/b"],
    ["/a/./", "/a/"], ["/a/..", "/"], ["/a//b/", "/a/b/"], ["/..", "/"], ["/a?b=/../c", "/a?b=/../c"],
  ])("%s", (path, expected) => {
    expect(normal(path)).toEqual({ path: expected, action: "continue" });
  });

  it.each([["/a%2Fb?x=%2f", "/a/b?x=%2f"], ["/a%5cb", "/a/b"], ["/%2f", "//"], ["/x/..%2fy", "/y"], ["/x/%2e%2E%2fy", "/y"], ["/b/..;%2fc", "/c"]])("%s is asked for again", (path, expected) => {
    expect(normal(path)).toEqual({ path: expected, action: "redirect" });
    expect(normalizePath(path, { escapedSlashes: "REJECT_REQUEST" }).action).toBe("reject");
  });

  it.each(["/a#b", "/a?b#c", "/a%00b", "/a b", "/\x7f", "/é"])("%j is refused", (path) => {
    expect(normal(path).action).toBe("reject");
  });
});

describe("whatever comes", () => {
  const path = fc.array(fc.constantFrom("/", "//", ".", "..", "a", "%2e", "%2E", "%2f", "%5C", "\\", ";", ";x", "%", "%41", "?", "#", "<", "~", "é"), { maxLength: 14 }).map((pieces) => `/${pieces.join("")}`);

  it("no dot segment and no double slash gets through, but where Envoy lets one through", () => {
    fc.assert(
      fc.property(path, (given) => {
        const { path: result } = normal(given);
        if (result === undefined) return;
        const [before] = result.split("?");
        expect(before).toMatch(/^\//);
        expect(before).not.toMatch(/\/\.\.?(\/|$)|\\|#/);
        if (before !== "//") expect(before).not.toContain("//");
      }),
      { numRuns: 3000 },
    );
  });

  it("what is asked for again is taken as it is then", () => {
    fc.assert(
      fc.property(path, (given) => {
        const first = normal(given);
        // Parameters of dot segments that were escaped appear only after the first round, as in Envoy.
        if (first.path === undefined || /\.;/.test(first.path)) return;
        expect(normal(first.path)).toEqual({ path: first.path, action: "continue" });
      }),
      { numRuns: 3000 },
    );
  });

  it("the query stays as it is", () => {
    fc.assert(
      fc.property(path, fc.stringMatching(/^[a-z%.2f/\\=&]{0,12}$/), (given, query) => {
        if (given.includes("?")) return;
        const { path: result } = normal(`${given}?${query}`);
        if (result !== undefined) expect(result.slice(result.indexOf("?"))).toBe(`?${query}`);
      }),
    );
  });
});

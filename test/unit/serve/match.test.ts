import { describe, expect, it } from "vitest";
import { HeaderMap } from "../../../harness/host/index.ts";
import { FilterState } from "../../../harness/host/stream-info.ts";
import { compileRoutes } from "../../../harness/serve/router/match.ts";
import { compileRegex, fullMatch } from "../../../harness/serve/router/regex.ts";
import { finalizeRequest, finalizeResponse, redirectTo } from "../../../harness/serve/router/rewrite.ts";
import type { RouteConfig } from "../../../harness/serve/schema/routes.ts";

const direct = (name: string, match: RouteConfig["match"], more: Partial<RouteConfig> = {}): RouteConfig => ({ name, match, direct_response: { status: 200 }, ...more });

function finder(routes: RouteConfig[], domains = ["*"]) {
  return compileRoutes({ name: "t", ignore_port_in_host_matching: true, virtual_hosts: [{ name: "v", domains, routes }] });
}

function request(path: string, headers: Record<string, string | string[]> = {}): HeaderMap {
  return HeaderMap.from({ ":authority": "x.example", ":path": path, ":method": "GET", ":scheme": "http", "x-forwarded-proto": "http", ...headers }, "request");
}

const state = (arm?: string): FilterState => {
  const made = new FilterState();
  if (arm !== undefined) made.set("wasm.selvedge_arm", FilterState.objectOf(arm));
  return made;
};

describe("paths", () => {
  const find = finder([direct("exact", { path: "/p" }), direct("pattern", { safe_regex: { regex: "/re/[0-9]+" } }), direct("long", { path_separated_prefix: "/p/q" }), direct("short", { path_separated_prefix: "/p" }), direct("all", { prefix: "/z" })]);
  it.each([["/p", "exact"], ["/p?x", "exact"], ["/p/", "short"], ["/p/q", "long"], ["/p/q/r", "long"], ["/p/qr", "short"], ["/pq", undefined], ["/re/12", "pattern"], ["/re/12?x", "pattern"], ["/re/12/", undefined], ["/zz", "all"], ["/P", undefined]])("%s → %s", (path, name) => {
    expect(find(request(path), state())?.name).toBe(name);
  });
});

describe("what a match asks for besides", () => {
  const find = finder([
    direct("method", { prefix: "/", headers: [{ name: ":method", string_match: { exact: "PUT" } }] }),
    direct("headers", { prefix: "/", headers: [{ name: "x-h", string_match: { exact: "1" } }, { name: "x-i", string_match: { safe_regex: { regex: "[ab]+" } } }] }),
    direct("query", { prefix: "/", query_parameters: [{ name: "v", string_match: { exact: "a%20b" } }] }),
    direct("arm", { prefix: "/", filter_state: [{ key: "wasm.selvedge_arm", string_match: { exact: "canary" } }] }),
  ]);
  it.each<[string, HeaderMap, string | undefined, string | undefined]>([
    ["a method", request("/", { ":method": "PUT" }), undefined, "method"],
    ["headers", request("/", { "x-h": "1", "x-i": "ab" }), undefined, "headers"],
    ["one value of several", request("/", { "x-h": ["2", "1"], "x-i": "a" }), undefined, "headers"],
    ["not two in one", request("/", { "x-h": "1,1", "x-i": "a" }), undefined, undefined],
    ["not the half of it", request("/", { "x-h": "1" }), undefined, undefined],
    ["a parameter, as it was written", request("/?v=a%20b"), undefined, "query"],
    ["not another spelling", request("/?v=a+b"), undefined, undefined],
    ["the first of its name", request("/?v=1&v=a%20b"), undefined, undefined],
    ["filter state", request("/"), "canary", "arm"],
    ["another arm", request("/"), "stable", undefined],
    ["no header's word for it", request("/", { "wasm.selvedge_arm": "canary" }), undefined, undefined],
  ])("%s", (_, headers, arm, name) => {
    expect(find(headers, state(arm))?.name).toBe(name);
  });
});

describe("virtual hosts", () => {
  const table = compileRoutes({
    name: "t",
    ignore_port_in_host_matching: true,
    virtual_hosts: ["*", "*.example.com", "*.b.example.com", "a.example.com", "[::1]"].map((domain) => ({ name: domain, domains: [domain], routes: [direct(domain, { prefix: "/" })] })),
  });
  it.each([["a.example.com", "a.example.com"], ["A.Example.COM:8443", "a.example.com"], ["c.example.com", "*.example.com"], ["x.b.example.com", "*.b.example.com"], ["example.com", "*"], [".example.com", "*"], ["", "*"], ["[::1]:80", "[::1]"], ["[::1]", "[::1]"]])("%j → %s", (host, name) => {
    expect(table(request("/", { ":authority": host }), state())?.name).toBe(name);
  });

  it("none, where none takes any host", () => {
    expect(finder([direct("r", { prefix: "/" })], ["a.example"])(request("/"), state())).toBeUndefined();
  });
});

describe("changes", () => {
  const routed = (path: string, route: Partial<RouteConfig>, match: RouteConfig["match"] = { path_separated_prefix: "/foo" }) => {
    const headers = request(path, { ":authority": "x.example:80", "x-gone": "1", "x-set": "0", "x-add": "0" });
    return { headers, route: finder([{ name: "r", match, ...route }])(headers, state())! };
  };
  it.each([["/foo/bar?q", { prefix_rewrite: "/xyz" }, "/xyz/bar?q"], ["/foo", { prefix_rewrite: "/xyz" }, "/xyz"], ["/foo//bar?q", { regex_rewrite: { pattern: { regex: "^/foo/*" }, substitution: "/" } }, "/bar?q"], ["/foo/a?q", { regex_rewrite: { pattern: { regex: "^/.*$" }, substitution: "/w\\\\1$&" } }, "/w\\1$&?q"]])("%s", (path, rewrite, expected) => {
    const { headers, route } = routed(path, { route: { cluster: "c", ...rewrite } });
    finalizeRequest(route, headers);
    expect(headers.get(":path")).toBe(expected);
  });

  it("headers: removed, replaced, added; a doubled per cent sign is one", () => {
    const add = (key: string, value: string, append_action: "APPEND_IF_EXISTS_OR_ADD" | "OVERWRITE_IF_EXISTS_OR_ADD") => ({ header: { key, value }, append_action });
    const { headers, route } = routed("/foo", { route: { cluster: "c", host_rewrite_literal: "in.example" }, request_headers_to_remove: ["x-gone"], request_headers_to_add: [add("x-set", "50%%", "OVERWRITE_IF_EXISTS_OR_ADD"), add("x-add", "1", "APPEND_IF_EXISTS_OR_ADD")], response_headers_to_remove: ["server"] });
    finalizeRequest(route, headers);
    expect([headers.get(":authority"), headers.getAll("x-gone"), headers.getAll("x-set"), headers.getAll("x-add")]).toEqual(["in.example", [], ["50%"], ["0", "1"]]);
    const response = HeaderMap.from({ ":status": "200", server: "s" }, "response");
    finalizeResponse(route, response);
    expect(response.get("server")).toBeUndefined();
  });

  it.each<[string, NonNullable<RouteConfig["redirect"]>, string]>([
    ["scheme", { scheme_redirect: "https", response_code: "FOUND" }, "https://x.example/foo/a?q"],
    ["port", { scheme_redirect: "https", port_redirect: 8443, response_code: "FOUND" }, "https://x.example:8443/foo/a?q"],
    ["host and path", { host_redirect: "n.example", path_redirect: "/new", response_code: "FOUND" }, "http://n.example/new?q"],
    ["prefix", { prefix_rewrite: "/bar", response_code: "FOUND" }, "http://x.example:80/bar/a?q"],
  ])("redirects: %s", (_, redirect, location) => {
    const { headers, route } = routed("/foo/a?q", { redirect });
    expect(redirectTo(route, redirect, headers)).toEqual({ status: 302, location });
  });
});

describe("patterns", () => {
  it.each([["[0-9]{2,}", "12", true], ["a.c", "a\nc", false], ["a.c", "abc", true], ["\\s", "\u00a0", false], ["[\\s]", " ", true], ["\\Aa\\z", "a", true], ["a{x", "a{x", true], ["[a[b]", "[", true], ["a\\/b", "a/b", true], ["a\\-b", "a-b", true], ["(?:a|b)c", "bc", true], ["a|b", "ab", false], ["}", "}", true]])("%s on %j: %s", (pattern, text, expected) => {
    expect(fullMatch(pattern)(text)).toBe(expected);
  });

  it.each(["(?i)a", "(?P<n>a)", "(?=a)", "\\pL", "[[:alpha:]]", "\\1", "\\Qa\\E", "[]a]", "\\", "(", "a**"])("%s is refused, not guessed", (pattern) => {
    expect(compileRegex(pattern).problem).toBeTypeOf("string");
  });
});

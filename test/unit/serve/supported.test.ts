import { describe, expect, it } from "vitest";
import { admit, type RawRequest } from "../../../harness/serve/admit.ts";
import { unsupported } from "../../../harness/serve/supported.ts";
import { backend, codes, compose, doc, gateway, ref } from "../compose/support.ts";

const HTTP = gateway("listeners:\n  - { name: http, port: 8080, protocol: HTTP }");
const route = (rules: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: prod }
spec:
  parentRefs: [{ name: gw }]
  rules:
${rules.replace(/^/gm, "    ")}`;
const composed = (rules = `- backendRefs: [${ref("a")}]`) => {
  const { config, findings } = compose(doc(HTTP, backend("a"), route(rules)), { adminPort: 0 });
  expect(codes(findings)).toEqual([]);
  return config as unknown as { [key: string]: unknown; static_resources: { listeners: { filter_chains: { filters: { name: string; typed_config: Record<string, unknown> }[] }[] }[]; clusters: Record<string, unknown>[] } };
};
const manager = (config: ReturnType<typeof composed>) => config.static_resources.listeners[0]!.filter_chains[0]!.filters.at(-1)!.typed_config;

describe("what is served", () => {
  it("all that compose writes for rules of every kind", () => {
    expect(
      unsupported(
        composed(`- matches: [{ path: { type: RegularExpression, value: "/v[0-9]+/.*" } }, { path: { type: Exact, value: /x }, method: POST, headers: [{ name: a, value: b }], queryParams: [{ name: q, type: RegularExpression, value: "1+" }] }]
  filters:
    - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-a, value: "100%" }], remove: [x-b] } }
    - { type: RequestMirror, requestMirror: { backendRef: ${ref("a")}, percent: 5 } }
  timeouts: { request: 10s, backendRequest: 2s }
  retry: { codes: [500], attempts: 2, backoff: 50ms }
  backendRefs: [${ref("a")}]
- matches: [{ path: { value: /old } }]
  filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, port: 8443, path: { type: ReplaceFullPath, replaceFullPath: /new } } }]
- matches: [{ path: { value: /nothing } }]`),
      ),
    ).toEqual([]);
  });

  it.each<[string, (config: ReturnType<typeof composed>) => void, RegExp]>([
    ["an unknown field", (config) => (config.tracing = {}), /doesn't know `tracing` in the configuration/],
    ["an unknown field deep down", (config) => (manager(config).via = "x"), /doesn't know `via` in static_resources\/listeners\/0/],
    ["paths that stay as they come", (config) => (manager(config).normalize_path = false), /normalize_path is something else/],
    ["another load balancer", (config) => (config.static_resources.clusters[0]!.lb_policy = "RING_HASH"), /lb_policy is something else/],
    ["a missing field", (config) => delete manager(config).merge_slashes, /lacks `merge_slashes`/],
    ["another filter", (config) => (manager(config).http_filters as unknown[]).unshift({ name: "envoy.filters.http.lua", typed_config: { "@type": "type.googleapis.com/x" } }), /http_filters\/0/],
  ])("%s is refused", (_, change, message) => {
    const config = composed();
    change(config);
    const findings = unsupported(config);
    expect(findings.length).toBeGreaterThan(0);
    expect(findings.every(({ code, severity }) => code === "host-engine-unsupported" && severity === "error")).toBe(true);
    expect(findings.map((finding) => finding.message).join("\n")).toMatch(message);
  });

  it("a pattern that JavaScript reads differently is refused", () => {
    const [finding] = unsupported(composed(`- matches: [{ path: { type: RegularExpression, value: "(?i)/x" } }]\n  backendRefs: [${ref("a")}]`));
    expect(finding).toMatchObject({ code: "host-engine-unsupported", found: "(?i)/x" });
  });
});

describe("what gets in", () => {
  const OPTIONS = { escapedSlashes: "UNESCAPE_AND_REDIRECT", maxHeaders: 5, maxHeaderBytes: 100, tls: false, peerAddress: "198.51.100.7", nodeAddress: "192.0.2.1" } as const;
  const of = (pairs: [string, string][], more: Partial<RawRequest> = {}) => admit({ protocol: "HTTP/1.1", method: "GET", target: "/x", pairs, ...more }, OPTIONS);
  it("says itself where a request comes from", () => {
    const { headers } = of([["Host", "a"], ["X-Forwarded-For", "9.9.9.9"], ["X-Forwarded-Proto", "https"], ["x-envoy-original-path", "/y"]]);
    expect(headers!.toList()).toEqual([[":authority", "a"], [":path", "/x"], [":method", "GET"], [":scheme", "http"], ["x-forwarded-for", "9.9.9.9,198.51.100.7"], ["x-forwarded-proto", "http"], ["x-envoy-external-address", "198.51.100.7"]]);
  });

  it.each<[string, [string, string][], Partial<RawRequest>, number]>([
    ["an underscore", [["Host", "a"], ["x_y", "1"]], {}, 400],
    ["two hosts", [["Host", "a"], ["host", "a"]], {}, 400],
    ["no host", [], {}, 400],
    ["too many headers", [["Host", "a"], ...Array.from({ length: 5 }, (): [string, string] => ["b", "1"])], {}, 431],
    ["too much of them", [["Host", "a"], ["b", "x".repeat(100)]], {}, 431],
    ["HTTP/1.0", [["Host", "a"]], { protocol: "HTTP/1.0" }, 426],
    ["https without TLS", [["Host", "a"]], { target: "https://a/x" }, 403],
    ["a path that isn't one", [["Host", "a"]], { target: "x" }, 400],
    ["an authority and another host", [["host", "b"]], { protocol: "HTTP/2", authority: "a" }, 400],
    ["taking out what the proxy says", [["Host", "a"], ["Connection", "x-forwarded-for"]], {}, 400],
    ["CONNECT", [["Host", "a"]], { method: "CONNECT", target: "a:443" }, 404],
    ["an escaped slash", [["Host", "a"]], { target: "/a%2fb" }, 307],
  ])("not %s", (_, pairs, more, status) => {
    expect(of(pairs, more).refusal?.status).toBe(status);
  });
});

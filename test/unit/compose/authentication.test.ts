/** RequestAuthentication: what is written for Envoy, where it holds, and what is refused. */
import { describe, expect, it } from "vitest";
import { issuer } from "../../support/tokens.ts";
import { authorization, backend, codes, compose, doc, GATEWAY, places, plugin, ref, route, SIMPLE } from "./support.ts";

const { jwks } = issuer();
const authentication = (spec: string, meta = "name: jwt, namespace: prod"): string => `
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: { ${meta} }
spec:
${spec.replace(/^/gm, "  ")}
`;
const rule = (more = "", keys = `jwks: '${jwks}'`): string => `{ issuer: https://idp, ${keys}${more && `, ${more}`} }`;
const rules = (...list: string[]): string => `jwtRules: [${list.join(", ")}]`;
const simple = (...documents: string[]): ReturnType<typeof compose> => compose(doc(SIMPLE, authorization("rules: [{}]"), ...documents), { systemAuthorities: "/ca.pem" });

interface Filter {
  name: string;
  typed_config: { providers: Record<string, Record<string, unknown>>; requirement_map: Record<string, unknown>; config?: unknown };
}
interface Route {
  name: string;
  typed_per_filter_config?: Record<string, { requirement_name: string }>;
}

/** Everything with a field of this name, anywhere. */
function all<T>(value: unknown, name: string): T[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, each]) => [...(key === name ? [each as T] : []), ...all<T>(each, name)]);
}
const filters = (result: ReturnType<typeof compose>): Filter[] => all<Filter[]>(result.config, "http_filters")[0]!;
const jwt = (result: ReturnType<typeof compose>): Filter["typed_config"] => filters(result).find(({ name }) => name === "envoy.filters.http.jwt_authn")!.typed_config;
const requirement = (result: ReturnType<typeof compose>): Record<string, string | undefined> =>
  Object.fromEntries(all<Route[]>(result.config, "routes").flat().map((each) => [each.name, each.typed_per_filter_config?.["envoy.filters.http.jwt_authn"]?.requirement_name]));

describe("a rule", () => {
  it("becomes a provider, as istiod writes it", () => {
    const result = simple(authentication(rules(rule("audiences: [a], forwardOriginalToken: true, outputPayloadToHeader: x-p, outputClaimToHeaders: [{ header: x-s, claim: sub }], fromHeaders: [{ name: x-t, prefix: 'T ' }], fromParams: [t], fromCookies: [c], spaceDelimitedClaims: [scope, teams]"))));
    expect(codes(result.findings)).toEqual([]);
    expect(jwt(result)).toMatchObject({
      providers: {
        "prod/jwt/0": {
          issuer: "https://idp", audiences: ["a"], local_jwks: { inline_string: jwks }, forward: true, forward_payload_header: "x-p",
          claim_to_headers: [{ header_name: "x-s", claim_name: "sub" }], from_headers: [{ name: "x-t", value_prefix: "T " }], from_params: ["t"], from_cookies: ["c"],
          payload_in_metadata: "payload", normalize_payload_in_metadata: { space_delimited_claims: ["scope", "permission", "teams"] },
        },
      },
      requirement_map: { "prod/jwt": { requires_any: { requirements: [{ provider_name: "prod/jwt/0" }, { allow_missing: {} }] } } },
      bypass_cors_preflight: true,
    });
    expect(jwt(result)).not.toHaveProperty("rules");
  });

  it("stands ahead of authorization", () => {
    const result = simple(authentication(rules(rule())));
    expect(filters(result).map(({ name }) => name)).toEqual(["envoy.filters.http.jwt_authn", "selvedge.edge.prod.gw", "envoy.filters.http.router"]);
  });

  it("fetches keys over verified TLS, ahead of requests, and says what that means", () => {
    const result = simple(authentication(rules(rule("timeout: 2s", "jwksUri: 'https://idp.example/keys'"))));
    expect(codes(result.findings)).toEqual([]);
    expect(codes(result.findings, "warning")).toContain("authentication-remote-keys");
    expect(jwt(result).providers["prod/jwt/0"]).toMatchObject({
      remote_jwks: { http_uri: { uri: "https://idp.example/keys", cluster: "jwks/idp.example:443", timeout: "2s" }, async_fetch: { fast_listener: true } },
    });
    const cluster = all<Record<string, unknown>[]>(result.config, "clusters")[0]!.find(({ name }) => name === "jwks/idp.example:443")!;
    expect(JSON.stringify(cluster)).toContain('"sni":"idp.example"');
    expect(all(cluster, "match_typed_subject_alt_names")[0]).toEqual([{ san_type: "DNS", matcher: { exact: "idp.example" } }]);
    expect(all(cluster, "trusted_ca")).toHaveLength(1);
  });

  it.each([
    [rules("{ issuer: '' , jwks: x }"), "wrong-value"],
    [rules("{ jwks: x }"), "missing-field"],
    [rules("{ issuer: a }"), "authentication-keys"],
    [rules(rule("jwksUri: 'https://a/b'")), "authentication-keys"],
    [rules(rule("", "jwks: nope")), "authentication-keys"],
    [rules(rule("", "jwks: '{}'")), "authentication-keys"],
    [rules(rule("", `jwks: '{"keys":[]}'`)), "authentication-keys"],
    [rules(rule("", `jwks: '{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}'`)), "authentication-keys"],
    [rules(rule("", `jwks: '{"keys":[{"kty":"EC","d":"x"}]}'`)), "authentication-keys"],
    [rules(rule("", "jwksUri: 'http://idp.example/keys'")), "wrong-value"],
    [rules(rule("", "jwksUri: 'https://user:pw@idp.example/keys'")), "wrong-value"],
    [rules(rule("", "jwksUri: 'https://192.0.2.1/keys'")), "wrong-value"],
    [rules(rule("", "jwksUri: nope")), "wrong-value"],
    [rules(rule("outputPayloadToHeader: ':path'")), "wrong-value"],
    [rules(rule("outputClaimToHeaders: [{ header: Host, claim: sub }]")), "wrong-value"],
    [rules(rule("fromHeaders: []")), "wrong-value"],
    [rules(rule("timeout: 5")), "wrong-type"],
    [rules(rule("extractOnly: true")), "unknown-field"],
    ["selector: { matchLabels: { app: a } }\ntargetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: gw }]", "policy-target"],
    ["targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: nope }]", "target-missing"],
  ])("is refused: %s", (spec, code) => {
    const result = simple(authentication(spec));
    expect(codes(result.findings)).toContain(code);
    expect(places(result.findings).every((place) => /@\d+:\d+$/.test(place))).toBe(true);
    expect(result.config).toBeUndefined();
  });
});

describe("attachment", () => {
  const two = (...documents: string[]): ReturnType<typeof compose> => compose(doc(
    GATEWAY, backend("a", "app: a"), backend("b", "app: b"), authorization("rules: [{}]"),
    route(`- { matches: [{ path: { value: /a } }], backendRefs: [${ref("a")}] }\n- { backendRefs: [${ref("b")}] }`), ...documents,
  ));
  const forA = "selector: { matchLabels: { app: a } }";
  it.each<[string, string[], (string | undefined)[]]>([
    ["a selector", [authentication(`${forA}\n${rules(rule())}`)], ["prod/jwt", undefined]],
    ["the namespace", [authentication(rules(rule()))], ["prod/jwt", "prod/jwt"]],
    ["another namespace", [authentication(rules(rule()), "name: jwt, namespace: dev"), authentication(`${forA}\n${rules(rule())}`)], ["prod/jwt", undefined]],
    ["the root namespace, joined", [authentication(rules(rule()), "name: root, namespace: istio-system"), authentication(`${forA}\n${rules(rule())}`)], ["istio-system/root prod/jwt", "istio-system/root"]],
    ["a Backend", [authentication(`targetRefs: [{ group: gateway.envoyproxy.io, kind: Backend, name: b }]\n${rules(rule())}`)], [undefined, "prod/jwt"]],
    ["the Gateway", [authentication(`targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: gw }]\n${rules(rule())}`)], ["prod/jwt", "prod/jwt"]],
  ])("by %s", (_, documents, expected) => {
    const result = two(...documents);
    expect(codes(result.findings)).toEqual([]);
    const found = requirement(result);
    expect([found["prod/r/0"], found["prod/r/1"]]).toEqual(expected);
  });

  it("joins rules of several RequestAuthentications: any of them", () => {
    const result = two(authentication(rules(rule()), "name: root, namespace: istio-system"), authentication(rules(rule(), rule())));
    expect(jwt(result).requirement_map).toEqual({
      "istio-system/root prod/jwt": { requires_any: { requirements: [{ provider_name: "istio-system/root/0" }, { provider_name: "prod/jwt/0" }, { provider_name: "prod/jwt/1" }, { allow_missing: {} }] } },
    });
  });

  it.each<[string, string[], string, "error" | "warning"]>([
    ["at the Gateway and behind it", [authentication(`targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: gw }]\n${rules(rule())}`), authentication(rules(rule()), "name: two, namespace: prod")], "authentication-twice", "error"],
    ["to nothing", [authentication(rules(rule()), "name: jwt, namespace: dev")], "policy-unattached", "warning"],
    ["without rules", [authentication("{}")], "authentication-empty", "warning"],
  ])("%s is told", (_, documents, code, severity) => expect(codes(two(...documents).findings, severity)).toContain(code));

  it("is not complained of where it is right", () => {
    const result = two(authentication(rules(rule())), authorization("rules: [{ from: [{ source: { requestPrincipals: ['*'] } }] }]", "name: q, namespace: prod"));
    expect([...codes(result.findings), ...codes(result.findings, "warning")]).toEqual([]);
  });
});

describe("values that look at tokens", () => {
  const check = (body: string): string[] => codes(simple(authentication(rules(rule())), authorization(`rules: [{ ${body} }]`, "name: q, namespace: prod")).findings);
  it.each<[string, string[]]>([
    ["from: [{ source: { requestPrincipals: ['https://idp/*', '*/alice', '*', 'a/b'] } }]", []],
    ["from: [{ source: { requestPrincipals: [idp] } }]", ["authorization-value"]],
    ["from: [{ source: { requestPrincipals: ['*/a*'] } }]", ["authorization-value"]],
    ["when: [{ key: request.auth.principal, values: [idp] }]", ["authorization-value"]],
    ["when: [{ key: 'request.auth.claims[a][b]', values: ['x*'] }]", []],
    ["when: [{ key: 'request.auth.claims[a', values: [x] }]", ["authorization-condition"]],
    ["when: [{ key: 'experimental.envoy.filters.a.b[c]', values: ['[x]', '[y*]'] }]", []],
    ["when: [{ key: 'experimental.envoy.filters.a.b[c]', values: ['[x]', y] }]", ["authorization-condition"]],
    ["when: [{ key: 'experimental.envoy.filters.a.b[c]', values: ['[]'] }]", ["authorization-value"]],
  ])("%s", (body, expected) => expect(check(body)).toEqual(expected));
});

it("reads the identity from x-forwarded-client-cert if asked to, which Backends don't get", () => {
  const result = compose(doc(SIMPLE, authorization("rules: [{}]")), { identity: "xfcc" });
  expect((plugin(result) as { identity: unknown }).identity).toEqual({ xfcc: "single" });
  expect(all(result.config, "forward_client_cert_details")).toEqual(["SANITIZE_SET"]);
  expect(all(result.config, "set_current_client_cert_details")).toEqual([{ uri: true }]);
  expect(all<{ request_headers_to_remove: string[] }>(result.config, "route_config")[0]!.request_headers_to_remove).toEqual(["x-forwarded-client-cert"]);
});

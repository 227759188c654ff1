/** What `selvedge check` says about policies that are understood and hardly meant. */
import { describe, expect, it } from "vitest";
import { MUTUAL, ONE_SIDED, codes, lint, policy } from "./support.ts";

const deny = (operation: string): string => policy("d", `{ action: DENY, rules: [{ to: [{ operation: ${operation} }] }] }`);
const allow = (operation: string): string => policy("a", `{ rules: [{ to: [{ operation: ${operation} }] }] }`);
const from = (action: string, source: string): string => policy("p", `{ action: ${action}, rules: [{ from: [{ source: ${source} }] }] }`);

describe("lint says", () => {
  it("where a value stands", () => {
    expect(lint(MUTUAL, deny('{ methods: [GET, post], notPaths: ["/a", "b"] }'))).toEqual([
      'error method-case policies.yaml:5:68 "post"',
      'warning path-never-matches policies.yaml:5:92 "b"',
    ]);
  });

  it.each([
    ["a template that denies", deny('{ paths: ["/admin/{**}"] }'), ["warning deny-template"]],
    ["an exact path that denies", deny('{ paths: ["/admin"] }'), ["warning path-boundary"]],
    ["a prefix that denies", deny('{ paths: ["/admin/*"] }'), ["warning path-boundary"]],
    ["a suffix that denies", deny('{ paths: ["*.php"] }'), ["warning path-suffix"]],
    ["an exact path that an ALLOW leaves out", allow('{ paths: ["/*"], notPaths: ["/admin"] }'), ["warning path-boundary"]],
    ["a path that normalisation removes, denied", deny('{ paths: ["/a//b*"] }'), ["error path-never-matches"]],
    ["a path with a query, allowed", allow('{ paths: ["/a?b=c"] }'), ["warning path-never-matches"]],
    ["a host without its port form, denied", deny('{ hosts: [a.example] }'), ["warning host-port"]],
    ["a host without its port form, allowed", allow('{ hosts: ["*.a.example"] }'), ["warning host-port"]],
    ["a prefix of a host, allowed", allow('{ hosts: ["shop.*"] }'), ["warning host-prefix"]],
    ["a method in lower case", allow('{ methods: [get] }'), ["warning method-case"]],
    ["a URL for a host", deny('{ hosts: ["https://a.example/x"] }'), ["error host-form"]],
    ["a blank at an end", from("DENY", '{ namespaces: ["dev "] }'), ["error value-blank"]],
    ["a line's end in a path", allow('{ paths: ["/a\\n"] }'), ["warning value-blank"]],
    ["a header that can't be", policy("p", '{ action: DENY, rules: [{ when: [{ key: "request.headers[x role]", values: [a] }] }] }'), ["error header-name"]],
    ["the backend's port", deny('{ ports: ["9000"] }'), ["error port-unknown"]],
    ["a principal with its scheme", from("DENY", '{ principals: ["spiffe://cluster.local/ns/dev/sa/a"] }'), ["error principal-form"]],
    ["a principal that is none of a workload", from("ALLOW", '{ principals: [frontend] }'), ["warning principal-form"]],
    ["no tokens in a list of principals", from("ALLOW", '{ namespaces: ["prod"] }'), []],
  ])("%s", (_, document, expected) => {
    expect(codes(MUTUAL, document)).toEqual(expected);
  });

  it("a server name where there is no TLS", () => {
    const plain = ONE_SIDED.replace("port: 8443, protocol: HTTPS, tls: { certificateRefs: [{ name: node }] }", "port: 8080, protocol: HTTP");
    const sni = policy("p", '{ action: DENY, rules: [{ when: [{ key: connection.sni, values: [a.example] }] }] }');
    expect(codes(plain, sni)).toEqual(["error sni-without-tls"]);
    expect(codes(ONE_SIDED, sni)).toEqual([]);
  });

  it("nothing more about addresses that are refused, and doesn't stumble over them", () => {
    expect(codes(MUTUAL, from("DENY", '{ ipBlocks: ["10.0.0.0/33", example.com, "010.0.0.1"], notIpBlocks: ["10.0.0.0/99"] }'), from("DENY", '{ ipBlocks: ["10.0.0.0/8", "::/129"] }').replace("name: p", "name: q"))).toEqual([]);
  });

  it.each([
    ["both forms of a path", deny('{ paths: ["/admin", "/admin/*"] }')],
    ["the root", deny('{ paths: ["/*"] }')],
    ["a template that allows", allow('{ paths: ["/a/{*}"] }')],
    ["both forms of a host", deny('{ hosts: [a.example, "a.example:*"] }')],
    ["any host", deny('{ hosts: ["*"] }')],
    ["the listener's port", deny('{ ports: ["8443"] }')],
    ["workloads", from("DENY", '{ principals: ["cluster.local/ns/dev/sa/a", "*/ns/test/sa/b"] }')],
  ])("nothing about %s", (_, document) => {
    expect(codes(MUTUAL, document)).toEqual([]);
  });
});

describe("lint knows that a caller may be nobody", () => {
  it.each([
    ["DENY by name", from("DENY", "{ namespaces: [dev] }"), "warning deny-without-mtls"],
    ["ALLOW but some", from("ALLOW", '{ notPrincipals: ["cluster.local/ns/dev/sa/a"] }'), "warning allow-without-mtls"],
    ["ALLOW by name", from("ALLOW", "{ serviceAccounts: [a] }"), "warning principal-without-mtls"],
  ])("%s", (_, document, expected) => {
    expect(codes(ONE_SIDED, document)).toEqual([expected]);
    expect(codes(MUTUAL, document)).toEqual([]);
  });

  it("requiring a certificate by a DENY is fine", () => {
    expect(codes(ONE_SIDED, from("DENY", '{ notPrincipals: ["*"] }'))).toEqual([]);
  });
});

describe("lint knows that only a RequestAuthentication verifies tokens", () => {
  const authentication = (spec = "{ jwtRules: [{ issuer: a, jwks: '{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}' }] }"): string =>
    `---\napiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: { name: jwt, namespace: prod }\nspec: ${spec}\n`;
  const required = from("DENY", '{ notRequestPrincipals: ["*"] }');

  it.each<[string, string[], string[]]>([
    ["an ALLOW of tokens", [from("ALLOW", '{ requestPrincipals: ["*"] }')], ["warning token-never-there"]],
    ["a DENY of tokens", [from("DENY", '{ requestPrincipals: ["a/*"] }')], ["error token-never-there"]],
    ["a DENY by a claim, or by method", [policy("p", '{ action: DENY, rules: [{ when: [{ key: "request.auth.claims[a]", values: [b] }] }] }')], ["error token-never-there"]],
    ["a DENY of which one source asks for no token", [policy("p", '{ action: DENY, rules: [{ from: [{ source: { namespaces: [dev] } }, { source: { requestPrincipals: ["*"] } }] }] }')], ["warning token-never-there"]],
    ["a DENY without a token", [required], ["warning token-always-missing"]],
    ["an AUDIT", [from("AUDIT", '{ requestPrincipals: ["*"] }')], []],
    ["a RequestAuthentication without keys", [required, authentication("{}")], ["warning token-always-missing"]],
    ["a RequestAuthentication of another workload", [required, authentication("{ selector: { matchLabels: { app: other } }, jwtRules: [{ issuer: a, jwks: '{}' }] }")], ["warning token-always-missing"]],
    ["tokens that are verified and required", [required, authentication()], []],
    ["tokens that are verified and allowed", [from("ALLOW", '{ requestPrincipals: ["a/*"] }'), authentication()], []],
    ["tokens that are verified and not required", [policy("p", "{ rules: [{ to: [{ operation: { methods: [GET] } }] }] }"), authentication()], ["warning token-not-required"]],
    ["tokens that are verified and only watched", [from("AUDIT", '{ requestPrincipals: ["*"] }'), authentication()], ["warning token-not-required"]],
  ])("%s", (_, documents, expected) => {
    expect(codes(MUTUAL, ...documents)).toEqual(expected);
  });

  it("says where", () => {
    expect(lint(MUTUAL, from("DENY", '{ requestPrincipals: ["a/*"] }'))).toEqual(["error token-never-there policies.yaml:5:52"]);
  });
});

describe("lint finds rules that decide nothing", () => {
  const rules = (...list: string[]): string => policy("a", `{ rules: [${list.join(", ")}] }`);
  const on = (operation: string): string => `{ to: [{ operation: ${operation} }] }`;

  it.each([
    ["a narrower path", [on('{ paths: ["/a*"] }'), on('{ paths: ["/ab/*", "/a"] }')], ["warning rule-shadowed"]],
    ["a path of a list of patterns and paths", [on('{ paths: ["/x", "/a*"] }'), on('{ paths: ["/ab", "/x"] }')], ["warning rule-shadowed"]],
    ["an address among networks", ['{ when: [{ key: remote.ip, values: ["192.0.2.1", "2001:db8::/32"] }] }', '{ when: [{ key: remote.ip, values: ["2001:DB8:0::7", "192.0.2.1/32"] }] }'], ["warning rule-shadowed"]],
    ["one method more asked", [on('{ methods: [GET] }'), on('{ methods: [GET], paths: ["/a"] }')], ["warning rule-shadowed"]],
    ["the same twice", [on('{ methods: [GET] }'), on('{ methods: [GET] }')], ["warning rule-shadowed"]],
    ["a network in another", ['{ when: [{ key: remote.ip, values: ["10.0.0.0/8"] }] }', '{ when: [{ key: remote.ip, values: ["10.2.0.0/16"] }] }'], ["warning rule-shadowed"]],
    ["a header in another case", ['{ when: [{ key: "request.headers[X-A]", values: ["*"] }] }', '{ when: [{ key: "request.headers[x-a]", values: ["1"] }] }'], ["warning rule-shadowed"]],
    ["what it excludes itself", [on('{ methods: [GET], notMethods: ["G*"] }')], ["warning rule-never-matches"]],
    ["two values of one attribute", ['{ from: [{ source: { namespaces: [a] } }], when: [{ key: source.namespace, values: [b] }] }'], ["warning rule-never-matches"]],
    ["what a later rule widens", [on('{ paths: ["/ab*"] }'), on('{ paths: ["/a*"] }')], ["warning rule-shadowed"]],
    ["two that overlap", [on('{ paths: ["/a*"], methods: [GET] }'), on('{ paths: ["/ab*"], methods: [GET, PUT] }')], []],
    ["an exclusion that the narrower lacks", [on('{ paths: ["/a*"], notMethods: [PUT] }'), on('{ paths: ["/ab*"] }')], []],
    ["an exclusion that can't concern it", [on('{ paths: ["/a*"], notMethods: [PUT] }'), on('{ paths: ["/ab*"], methods: [GET] }')], ["warning rule-shadowed"]],
    ["two values of a header, which may have both", ['{ when: [{ key: "request.headers[a]", values: ["1"] }, { key: "request.headers[a]", values: ["2"] }] }'], []],
  ])("%s", (_, list, expected) => {
    expect(codes(MUTUAL, rules(...list))).toEqual(expected);
  });

  it("an ALLOW under a DENY", () => {
    expect(codes(MUTUAL, policy("a", "{ rules: [{ from: [{ source: { namespaces: [prod] } }] }] }"), policy("d", "{ action: DENY, rules: [{}] }"))).toEqual(["warning rule-unreachable"]);
  });

  it("not where the other is on trial, or guards less", () => {
    const narrow = policy("a", "{ rules: [{ from: [{ source: { namespaces: [prod] } }] }] }");
    expect(codes(MUTUAL, narrow, policy("d", "{ action: DENY, rules: [{}] }", '{ istio.io/dry-run: "true" }'))).toEqual([]);
    expect(codes(MUTUAL, narrow, policy("d", "{ action: DENY, selector: { matchLabels: { app: other } }, rules: [{}] }"))).toEqual([]);
  });

  it("a DENY that contradicts itself is an error", () => {
    expect(codes(MUTUAL, deny('{ methods: [GET], notMethods: [GET] }'))).toEqual(["error rule-never-matches"]);
  });

  it("among thousands of policies", () => {
    const many = Array.from({ length: 3000 }, (_, i) => policy(`p${i}`, `{ rules: [{ from: [{ source: { principals: ["cluster.local/ns/n/sa/${i}"] } }], to: [{ operation: { paths: ["/p${i}/*"] } }] }] }`));
    const twin = policy("twin", '{ rules: [{ from: [{ source: { principals: ["cluster.local/ns/n/sa/7"] } }], to: [{ operation: { paths: ["/p7/*"], methods: [GET] } }] }] }');
    expect(codes(MUTUAL, ...many, twin)).toEqual(["warning rule-shadowed"]);
  });
});

describe("connections and providers", () => {
  const DOCUMENTS = (spec: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: prod }
spec:
  gatewayClassName: selvedge
  listeners: [{ name: db, port: 5432, protocol: TCP }, { name: http, port: 8080, protocol: HTTP }]
---
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: { name: t, namespace: prod }
spec: { parentRefs: [{ name: gw, sectionName: db }], rules: [{ backendRefs: [{ group: gateway.envoyproxy.io, kind: Backend, name: db }] }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: prod }
spec: { parentRefs: [{ name: gw, sectionName: http }], rules: [{ backendRefs: [{ group: gateway.envoyproxy.io, kind: Backend, name: b }] }] }
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: { name: db, namespace: prod, labels: { app: db } }
spec: { endpoints: [{ ip: { address: 127.0.0.1, port: 9000 } }] }
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: { name: b, namespace: prod, labels: { app: b } }
spec: { endpoints: [{ ip: { address: 127.0.0.1, port: 9001 } }] }
---
apiVersion: selvedge.dev/v1alpha1
kind: ExtensionProvider
metadata: { name: ext, namespace: prod }
spec: { envoyExtAuthzHttp: { backendRef: { group: gateway.envoyproxy.io, kind: Backend, name: b }${spec} } }
`;
  const rules = (action: string, operation: string, app?: string): string => policy("p", `{ action: ${action}, ${app ? `selector: { matchLabels: { app: ${app} } }, ` : ""}rules: [{ to: [{ operation: ${operation} }] }] }`);

  it.each<[string, string, string[]]>([
    ["an ALLOW with a method that holds for connections", rules("ALLOW", "{ methods: [GET] }"), ["warning http-fields-on-tcp"]],
    ["a DENY with a path", rules("DENY", '{ notPaths: ["/healthz*"] }', "db"), ["warning http-fields-on-tcp"]],
    ["the same behind requests only", rules("ALLOW", "{ methods: [GET] }", "b"), []],
    ["a port of the listener", rules("ALLOW", '{ ports: ["5432"] }', "db"), []],
    ["the port of another listener", rules("ALLOW", '{ ports: ["8080"] }', "db"), ["warning port-unknown"]],
    ["CUSTOM that holds for connections", policy("p", "{ action: CUSTOM, provider: { name: ext }, rules: [{}] }"), ["warning custom-on-tcp"]],
  ])("%s", (_, text, expected) => expect(codes(DOCUMENTS(""), text)).toEqual(expected));

  it("a provider that fails open", () => {
    expect(lint(DOCUMENTS(", failOpen: true"))[0]).toMatch(/^warning custom-fails-open node.yaml:/);
  });
});

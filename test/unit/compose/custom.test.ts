/** ExtensionProviders and the CUSTOM policies that name them. */
import { describe, expect, it } from "vitest";
import { authorization, backend, clusters, codes, compose, doc, GATEWAY, hcm, plugin, ref, route, SIMPLE } from "./support.ts";

const provider = (spec: string, name = "ext", namespace = "prod"): string => `
apiVersion: selvedge.dev/v1alpha1
kind: ExtensionProvider
metadata: { name: ${name}, namespace: ${namespace} }
spec: ${spec}
`;
const AUTHORIZER = backend("auth", "app: auth");
const HTTP = provider(`{ envoyExtAuthzHttp: { backendRef: ${ref("auth")} } }`);
const custom = (more = "rules: [{}]", name = "p", of = "ext"): string => authorization(`action: CUSTOM\nprovider: { name: ${of} }\n${more}`, `name: ${name}, namespace: prod`);
const filters = (...documents: string[]) => hcm(compose(doc(SIMPLE, AUTHORIZER, ...documents))).http_filters;
const found = (...documents: string[]): string[] => codes(compose(doc(SIMPLE, AUTHORIZER, ...documents)).findings);

describe("a CUSTOM policy", () => {
  it("puts its provider behind authorization, for what isn't marked as nobody's", () => {
    const [edge, ext, router] = filters(HTTP, custom());
    expect([edge.name, ext.name, router.name]).toEqual(["selvedge.edge.prod.gw", "selvedge.custom.ext", "envoy.filters.http.router"]);
    const { xds_matcher: matcher, extension_config: inner } = ext.typed_config;
    expect(matcher.matcher_tree.input.typed_config.key).toBe("wasm.selvedge_custom");
    expect(Object.keys(matcher.matcher_tree.exact_match_map.map)).toEqual(["-"]);
    expect(inner.typed_config).toMatchObject({ status_on_error: { code: 403 }, clear_route_cache: false, http_service: { server_uri: { cluster: "ext_authz/ext", timeout: "5s" } } });
    expect(inner.typed_config.failure_mode_allow).toBeUndefined();
  });

  it("tells the filter which providers there are", () => {
    expect(plugin(compose(doc(SIMPLE, AUTHORIZER, HTTP, custom()))).authz.custom).toEqual({ filterState: "selvedge_custom", providers: ["ext"] });
  });

  it("leaves out a provider that nobody names", () => {
    expect(filters(HTTP)).toHaveLength(2);
  });

  it("has several providers each skip what is marked for another", () => {
    const two = doc(GATEWAY, backend("a"), backend("b", "app: b"), AUTHORIZER, route(`- { matches: [{ path: { value: /b } }], backendRefs: [${ref("b")}] }\n- backendRefs: [${ref("a")}]`), HTTP, provider(`{ envoyExtAuthzGrpc: { backendRef: ${ref("auth")}, failOpen: true, statusOnError: "503" } }`, "rpc"), custom("selector: { matchLabels: { app: app } }\nrules: [{}]"), custom("selector: { matchLabels: { app: b } }\nrules: [{}]", "q", "rpc"));
    const [, ext, rpc] = hcm(compose(two)).http_filters;
    expect(Object.keys(ext.typed_config.xds_matcher.matcher_tree.exact_match_map.map)).toEqual(["-", "rpc"]);
    expect(Object.keys(rpc.typed_config.xds_matcher.matcher_tree.exact_match_map.map)).toEqual(["-", "ext"]);
    expect(rpc.typed_config.extension_config.typed_config).toMatchObject({ failure_mode_allow: true, status_on_error: { code: 503 }, grpc_service: { envoy_grpc: { cluster_name: "ext_authz/rpc", authority: "auth.prod" } } });
    expect(clusters(compose(two)).find(({ name }) => name === "ext_authz/rpc").typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"].explicit_http_config).toHaveProperty("http2_protocol_options");
  });

  it("passes on what the provider sees and may change", () => {
    const [, ext] = filters(provider(`{ envoyExtAuthzHttp: { service: prod/auth.prod.svc.cluster.local, port: 9000, pathPrefix: /check, includeRequestHeadersInCheck: [x-a, "x-b-*"], headersToUpstreamOnAllow: ["*-id"], headersToDownstreamOnDeny: [x-why], includeAdditionalHeadersInCheck: { x-from: edge }, includeRequestBodyInCheck: { maxRequestBytes: 10, allowPartialMessage: true } } }`), custom());
    expect(ext.typed_config.extension_config.typed_config).toMatchObject({
      allowed_headers: { patterns: [{ exact: "x-a" }, { prefix: "x-b-" }] },
      with_request_body: { max_request_bytes: 10, allow_partial_message: true },
      http_service: { path_prefix: "/check", authorization_request: { headers_to_add: [{ key: "x-from", value: "edge" }] }, authorization_response: { allowed_upstream_headers: { patterns: [{ suffix: "-id" }] }, allowed_client_headers: { patterns: [{ exact: "x-why" }] } } },
    });
  });
});

describe("refused", () => {
  it.each<[string, string[], string[]]>([
    ["a provider that isn't there", [custom()], ["authorization-provider"]],
    ["no provider", [HTTP, authorization("action: CUSTOM\nrules: [{}]")], ["authorization-provider"]],
    ["a provider for another action", [HTTP, authorization("provider: { name: ext }\nrules: [{}]")], ["authorization-provider"]],
    ["two for one workload", [HTTP, provider(`{ envoyExtAuthzHttp: { backendRef: ${ref("auth")} } }`, "other"), custom(), custom("rules: [{}]", "q", "other")], ["authorization-provider"]],
    ["two, at the gateway and behind it", [HTTP, provider(`{ envoyExtAuthzHttp: { backendRef: ${ref("auth")} } }`, "other"), custom(), custom("targetRef: { group: gateway.networking.k8s.io, kind: Gateway, name: gw }\nrules: [{}]", "q", "other")], ["authorization-provider"]],
    ["CUSTOM on trial", [HTTP, authorization("action: CUSTOM\nprovider: { name: ext }\nrules: [{}]", 'name: p, namespace: prod, annotations: { istio.io/dry-run: "true" }')], ["authorization-dry-run"]],
    ["AUDIT on trial", [authorization("action: AUDIT\nrules: [{}]", 'name: p, namespace: prod, annotations: { istio.io/dry-run: "true" }')], ["authorization-dry-run"]],
    ["CUSTOM without rules", [HTTP, custom("")], ["authorization-rules"]],
    ["a provider of both kinds", [provider(`{ envoyExtAuthzHttp: { backendRef: ${ref("auth")} }, envoyExtAuthzGrpc: { backendRef: ${ref("auth")} } }`)], ["wrong-value"]],
    ["a provider that is nowhere", [provider("{ envoyExtAuthzHttp: {} }")], ["wrong-value"]],
    ["a service without a Backend", [provider("{ envoyExtAuthzHttp: { service: nobody } }")], ["route-backend-missing"]],
    ["a port that its endpoints don't have", [provider("{ envoyExtAuthzHttp: { service: auth.prod, port: 1 } }")], ["wrong-value"]],
    ["two of one name", [HTTP, backend("auth").replaceAll("namespace: prod", "namespace: other"), provider(`{ envoyExtAuthzHttp: { backendRef: ${ref("auth")} } }`, "ext", "other")], ["duplicate-resource"]],
    ["clearRouteCache", [provider(`{ envoyExtAuthzHttp: { backendRef: ${ref("auth")}, clearRouteCache: true } }`)], ["wrong-value"]],
  ])("%s", (_, documents, expected) => expect(found(...documents)).toEqual(expected));
});

/** TCP and TLS listeners, TCPRoutes, and the policies that hold for them. */
import { describe, expect, it } from "vitest";
import { authorization, backend, carrier, certificates, clusters, codes, compose, doc, gateway, listeners, ref, route } from "./support.ts";

const TCP = gateway("listeners:\n  - { name: db, port: 5432, protocol: TCP }");
const TLS = (): string => doc(gateway('listeners:\n  - { name: a, port: 5432, protocol: TLS, hostname: a.test, tls: { certificateRefs: [{ name: cert }] } }\n  - { name: b, port: 5432, protocol: TLS, tls: { certificateRefs: [{ name: cert }] } }'), carrier(`${certificates()}/node`));
const tcpRoute = (backends: string, name = "t", parent = "name: gw"): string => `
apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: { name: ${name}, namespace: prod }
spec: { parentRefs: [{ ${parent} }], rules: [{ backendRefs: [${backends}] }] }
`;
const allow = authorization("selector: { matchLabels: { app: app } }\nrules: [{ to: [{ operation: { ports: ['5432'] } }] }]");
const chain = (result: ReturnType<typeof compose>, index = 0) => listeners(result)[0].filter_chains[index];
const names = (result: ReturnType<typeof compose>, index = 0): string[] => chain(result, index).filters.map(({ name }: { name: string }) => name);

describe("a TCP listener", () => {
  it("leads to its backend, and needs no filter where no policy attaches", () => {
    const result = compose(doc(TCP, backend("a"), tcpRoute(ref("a"))));
    expect(names(result)).toEqual(["envoy.filters.network.set_filter_state", "envoy.filters.network.tcp_proxy"]);
    expect(chain(result).filters.at(-1).typed_config).toMatchObject({ cluster: "tcp/prod/a" });
    expect(clusters(result).map(({ name, typed_extension_protocol_options: http }) => [name, http])).toEqual([["tcp/prod/a", undefined]]);
    expect(result.plugins).toEqual([]);
    expect(codes(result.findings, "warning")).toEqual(["workload-unprotected"]);
  });

  it("is guarded by a network filter of its own", () => {
    const result = compose(doc(TCP, backend("a"), tcpRoute(ref("a")), allow), { capabilities: { authz: ["proxy_on_new_connection", "proxy_close_stream", "proxy_on_request_headers", "proxy_set_property", "proxy_log"] } });
    expect(names(result)).toEqual(["envoy.filters.network.set_filter_state", "selvedge.tcp.prod.gw.db", "envoy.filters.network.tcp_proxy"]);
    const { "@type": type, config } = chain(result).filters[1].typed_config;
    expect(type).toBe("type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm");
    expect(config).toMatchObject({ root_id: "authz", failure_policy: "FAIL_RELOAD" });
    expect(Object.keys(config.vm_config.capability_restriction_config.allowed_capabilities)).toEqual(["proxy_close_stream", "proxy_log", "proxy_on_new_connection"]);
    expect(JSON.parse(result.plugins[0]!.json)).toMatchObject({ protocol: "tcp", namespace: "prod", labels: { app: "app" }, targets: ["Backend/a", "Service/a", "TCPRoute/t"], identity: { filterState: "selvedge.peer" } });
  });

  it("splits connections by weight, natively", () => {
    const result = compose(doc(TCP, backend("a"), backend("b"), tcpRoute(`${ref("a", "weight: 9")}, ${ref("b")}, ${ref("a", "weight: 0")}`)));
    expect(chain(result).filters.at(-1).typed_config.weighted_clusters.clusters).toEqual([{ name: "tcp/prod/a", weight: 9 }, { name: "tcp/prod/b", weight: 1 }]);
  });

  it("closes without a route, and says so", () => {
    const result = compose(TCP);
    expect(names(result).at(-1)).toBe("envoy.filters.network.direct_response");
    expect(codes(result.findings, "warning")).toEqual(["listener-without-route"]);
  });
});

describe("a TLS listener", () => {
  it("has a chain for each server name, without ALPN, and connects once the handshake is done", () => {
    const result = compose(doc(TLS(), backend("a"), tcpRoute(ref("a"))));
    expect([chain(result, 0).filter_chain_match, chain(result, 1).filter_chain_match]).toEqual([{ server_names: ["a.test"] }, undefined]);
    expect(chain(result).transport_socket.typed_config.common_tls_context.alpn_protocols).toBeUndefined();
    expect(chain(result).filters.at(-1).typed_config).toMatchObject({ upstream_connect_mode: "ON_DOWNSTREAM_TLS_HANDSHAKE", max_early_data_bytes: 32_768 });
  });
});

describe("refused", () => {
  const B = backend("a");
  it.each<[string, string, string[]]>([
    ["an HTTPRoute on a TCP listener", doc(TCP, B, route(`- backendRefs: [${ref("a")}]`)), ["route-not-allowed"]],
    ["a TCPRoute on an HTTP listener", doc(gateway("listeners:\n  - { name: http, port: 80, protocol: HTTP }"), B, tcpRoute(ref("a"))), ["route-not-allowed"]],
    ["two routes on one listener", doc(TCP, B, tcpRoute(ref("a")), tcpRoute(ref("a"), "u")), ["route-conflict"]],
    ["a host name on a TCP listener", doc(gateway("listeners:\n  - { name: db, port: 5432, protocol: TCP, hostname: a.test }"), B, tcpRoute(ref("a"))), ["wrong-value"]],
    ["TLS settings on a TCP listener", doc(gateway("listeners:\n  - { name: db, port: 5432, protocol: TCP, tls: { certificateRefs: [{ name: c }] } }"), B, tcpRoute(ref("a"))), ["wrong-value"]],
    ["a TLS listener without a certificate", doc(gateway("listeners:\n  - { name: db, port: 5432, protocol: TLS }"), B, tcpRoute(ref("a"))), ["missing-field"]],
    ["several rules", doc(TCP, B, tcpRoute(ref("a")).replace("] }] }", `] }, { backendRefs: [${ref("a")}] }] }`)), ["wrong-value"]],
    ["a backend that isn't there", doc(TCP, tcpRoute(ref("a"))), ["route-backend-missing"]],
    ["a policy for some of the backends", doc(TCP, B, backend("b", "app: b"), tcpRoute(`${ref("a")}, ${ref("b")}`), allow), ["policy-splits-arms"]],
    ["a provider of gRPC", doc(TCP, B, tcpRoute(ref("a")), `
apiVersion: selvedge.dev/v1alpha1
kind: ExtensionProvider
metadata: { name: ext, namespace: prod }
spec: { envoyExtAuthzGrpc: { backendRef: ${ref("a")} } }
`, authorization("action: CUSTOM\nprovider: { name: ext }\nrules: [{}]")), ["unsupported-field"]],
  ])("%s", (_, text, expected) => expect(codes(compose(text).findings)).toEqual(expected));
});

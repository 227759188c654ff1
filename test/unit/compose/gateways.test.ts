import { readFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { backend, carrier, certificates, codes, compose, clusters, doc, GATEWAY, gateway, hcm, listeners, ref, route, SIMPLE } from "./support.ts";

let pki: string;
beforeAll(() => {
  pki = certificates();
});

const https = (rest = "", spec = "") =>
  gateway(`${spec}listeners:\n  - name: s\n    port: 8443\n    protocol: HTTPS\n    tls: { certificateRefs: [{ name: cert }]${rest} }`);
const secure = (gatewayText: string, directory = join(pki, "node")) =>
  compose(doc(gatewayText, carrier(directory), backend("a"), route(`- backendRefs: [${ref("a")}]`)));
const tlsOf = (result: ReturnType<typeof compose>, chain = 0) => listeners(result)[0].filter_chains[chain].transport_socket.typed_config;

describe("sockets", () => {
  it("bind to all addresses unless the Gateway names some", () => {
    expect(listeners(compose(SIMPLE))[0].address.socket_address).toEqual({ address: "0.0.0.0", port_value: 8080 });
    const [listener] = listeners(compose(SIMPLE.replace("  listeners:", '  addresses: [{ value: 127.0.0.1 }, { value: "::1" }]\n  listeners:')));
    expect(listener.address.socket_address.address).toBe("127.0.0.1");
    expect(listener.additional_addresses[0].address.socket_address.address).toBe("::1");
  });
  it("are listed with what a caller needs", () => {
    expect(compose(SIMPLE).listeners).toEqual([{ name: "prod/gw/8080", address: "0.0.0.0", port: 8080, protocol: "HTTP", mutualTls: false, hostnames: [] }]);
  });
  it("bound every buffer", () => {
    const result = compose(SIMPLE);
    expect(listeners(result)[0].per_connection_buffer_limit_bytes).toBe(32768);
    expect(clusters(result)[0].per_connection_buffer_limit_bytes).toBe(32768);
  });
});

describe("TLS", () => {
  it("terminates with files, TLS 1.2 or newer, h2 first; without authorities no client certificate is asked for", () => {
    const tls = tlsOf(secure(https()));
    expect(tls.common_tls_context.tls_certificates).toEqual([
      { certificate_chain: { filename: join(pki, "node/tls.crt") }, private_key: { filename: join(pki, "node/tls.key") } },
    ]);
    expect(tls.common_tls_context.tls_params).toEqual({ tls_minimum_protocol_version: "TLSv1_2" });
    expect(tls.common_tls_context.alpn_protocols).toEqual(["h2", "http/1.1"]);
    expect(tls.require_client_certificate).toBe(false);
  });
  const validation = "{ caCertificateRefs: [{ kind: ConfigMap, group: '', name: cert }] }";
  it.each([
    ["the Gateway's default", "", `tls: { frontend: { default: { validation: ${validation} } } }\n`],
    ["the port's", "", `tls: { frontend: { default: {}, perPort: [{ port: 8443, tls: { validation: ${validation} } }] } }\n`],
    ["the listener's older field", `, frontendValidation: ${validation}`, ""],
  ])("requires client certificates by %s validation", (_, rest, spec) => {
    const result = secure(https(rest, spec));
    expect(tlsOf(result)).toMatchObject({
      require_client_certificate: true,
      common_tls_context: { validation_context: { trusted_ca: { filename: join(pki, "node/ca.crt") } } },
    });
    expect(result.listeners[0]!.mutualTls).toBe(true);
  });
  it("refuses to let clients in without one", () => {
    const text = https("", `tls: { frontend: { default: { validation: { mode: AllowInsecureFallback, caCertificateRefs: [{ name: cert }] } } } }\n`);
    expect(codes(secure(text).findings)).toContain("wrong-value");
  });
  it("takes inline data, base64 or text", () => {
    const pem = join(pki, "node");
    const [crt, key] = ["tls.crt", "tls.key"].map((name) => JSON.stringify(readText(join(pem, name))));
    const secret = (body: string) => `apiVersion: v1\nkind: Secret\nmetadata: { name: cert, namespace: prod }\n${body}`;
    const plain = compose(doc(https(), secret(`stringData: { tls.crt: ${crt}, tls.key: ${key} }`), backend("a"), route(`- backendRefs: [${ref("a")}]`)));
    const encoded = compose(doc(https(), secret(`data: { tls.crt: ${base64(crt!)}, tls.key: ${base64(key!)} }`), backend("a"), route(`- backendRefs: [${ref("a")}]`)));
    expect(tlsOf(plain).common_tls_context.tls_certificates[0].certificate_chain.inline_string).toContain("BEGIN CERTIFICATE");
    expect(plain.yaml).toBe(encoded.yaml);
  });
  it("puts the peer's identity into filter state unless told otherwise, once for each connection", () => {
    const text = doc(https(), carrier(join(pki, "node")), backend("a"), route(`- backendRefs: [${ref("a")}]`));
    const filters = listeners(compose(text))[0].filter_chains[0].filters;
    expect(filters.map((each: { name: string }) => each.name)).toEqual(["envoy.filters.network.set_filter_state", "envoy.filters.network.http_connection_manager"]);
    expect(filters[0].typed_config.on_downstream_tls_handshake[0]).toMatchObject({ object_key: "selvedge.peer", factory_key: "envoy.string" });
    expect(listeners(compose(text, { identity: "connection" }))[0].filter_chains[0].filters).toHaveLength(1);
    expect(JSON.parse(compose(text).plugins[0]!.json).identity).toEqual({ filterState: "selvedge.peer" });
  });

  it("merges listeners of one port by server name", () => {
    const two = gateway(
      ["a.example.com", "*.example.com", ""].map((host, i) => `${i === 0 ? "listeners:\n" : ""}  - { name: l${i}, port: 8443, protocol: HTTPS${host ? `, hostname: "${host}"` : ""}, tls: { certificateRefs: [{ name: cert }] } }`).join("\n"),
    );
    const chains = listeners(secure(two))[0].filter_chains;
    expect(chains.map((each: { filter_chain_match?: object }) => each.filter_chain_match)).toEqual([{ server_names: ["a.example.com"] }, { server_names: ["*.example.com"] }, undefined]);
    expect(hcm(secure(two), 0, 0).route_config.virtual_hosts.map((each: { domains: string[] }) => each.domains)).toEqual([["a.example.com"]]);
  });

  it.each([
    ["a listener without tls", () => secure(gateway("listeners:\n  - { name: s, port: 1, protocol: HTTPS }")), "missing-field"],
    ["tls on HTTP", () => secure(https().replace("HTTPS", "HTTP")), "wrong-value"],
    ["Passthrough", () => secure(https(", mode: Passthrough")), "wrong-value"],
    ["options", () => secure(https(", options: { a: b }")), "unsupported-field"],
    ["another protocol", () => secure(https().replace("HTTPS", "TCP")), "wrong-value"],
    ["a Secret that isn't there", () => secure(https().replace("name: cert", "name: nope")), "certificate-missing"],
    ["a directory that isn't there", () => secure(https(), join(pki, "nope")), "certificate-missing"],
    ["a Secret elsewhere", () => secure(https().replace("name: cert", "name: cert, namespace: dev")), "cross-namespace-reference"],
    ["a ConfigMap as certificate", () => secure(https().replace("name: cert", "name: cert, kind: ConfigMap")), "reference-unsupported"],
    ["a Secret without a key", () => compose(doc(https(), "apiVersion: v1\nkind: Secret\nmetadata: { name: cert, namespace: prod }\nstringData: { tls.crt: x }")), "certificate-missing"],
    ["text that is no certificate", () => compose(doc(https(), "apiVersion: v1\nkind: Secret\nmetadata: { name: cert, namespace: prod }\nstringData: { tls.crt: x, tls.key: y }")), "certificate-invalid"],
  ])("refuses %s", (_, make, code) => {
    const result = make();
    expect(codes(result.findings)).toContain(code);
    expect(result.config).toBeUndefined();
    expect(result.findings.every((each) => each.where?.line !== undefined)).toBe(true);
  });
  it("refuses a key that belongs to another certificate, without quoting it", () => {
    const mixed = { crt: readText(join(pki, "node/tls.crt")), key: readText(join(pki, "client/tls.key")) };
    const result = compose(doc(https(), `apiVersion: v1\nkind: Secret\nmetadata: { name: cert, namespace: prod }\nstringData:\n  tls.crt: ${JSON.stringify(mixed.crt)}\n  tls.key: ${JSON.stringify(mixed.key)}`));
    const finding = result.findings.find((each) => each.code === "certificate-invalid")!;
    expect(finding.message).toBe("tls.key of Secret prod/cert is not the key of tls.crt of Secret prod/cert");
    expect(JSON.stringify(result.findings)).not.toContain("PRIVATE");
  });
  it("doesn't look at files where told so", () => {
    const text = doc(https(), carrier("certs/node"), backend("a"), route(`- backendRefs: [${ref("a")}]`));
    const result = compose(text, { readFiles: false });
    expect(tlsOf(result).common_tls_context.tls_certificates[0].private_key.filename).toBe(join(result.dir, "certs/node/tls.key"));
    const relative = compose(text, { readFiles: false, baseDir: "/" });
    expect(tlsOf(relative).common_tls_context.tls_certificates[0].private_key.filename).toBe(join(relative.dir, "certs/node/tls.key").slice(1));
  });
});

describe("two listeners on one port", () => {
  const conflict = (...texts: string[]) => compose(doc(...texts)).findings.filter((each) => each.code === "listener-conflict");
  const pair = (a: string, b: string) => gateway(`listeners:\n  - { name: a, port: 80, ${a} }\n  - { name: b, port: 80, ${b} }`);
  it.each([
    ["of one host", "protocol: HTTP", "protocol: HTTP", "two listeners on one port: b and a both take 80 without a hostname"],
    ["of one name", "protocol: HTTP, hostname: x.y", "protocol: HTTP, hostname: x.y", "two listeners on one port: b and a both take 80 for x.y"],
    ["of two protocols", "protocol: HTTP", "protocol: HTTPS, hostname: x.y, tls: { certificateRefs: [{ name: c }] }", "two listeners on one port: b and a both take 80 with different protocols (HTTPS, HTTP)"],
  ])("%s", (_, a, b, message) => {
    const [finding] = conflict(pair(a, b));
    expect(finding).toMatchObject({ message, severity: "error", where: { line: 8 } });
  });
  it("is fine where host names tell them apart", () => {
    expect(conflict(pair("protocol: HTTP", "protocol: HTTP, hostname: x.y"))).toEqual([]);
  });
  it("of two Gateways, or with Envoy's admin endpoint", () => {
    const other = GATEWAY.replace("name: gw", "name: other");
    expect(conflict(GATEWAY, other)[0]!.message).toBe("two listeners on one port: 0.0.0.0:8080 is taken by Gateway prod/gw");
    expect(conflict(GATEWAY, other.replace("8080", "8081"))).toEqual([]);
    const at = (address: string, text: string) => text.replace("  listeners:", `  addresses: [{ value: ${address} }]\n  listeners:`);
    expect(conflict(at("127.0.0.1", GATEWAY), at("127.0.0.2", other))).toEqual([]);
    expect(conflict(at("127.0.0.1", GATEWAY), other)).toHaveLength(1);
    expect(conflict(GATEWAY.replace("8080", "9901"))[0]!.message).toContain("Envoy's admin endpoint");
  });
  it("of one name in a Gateway", () => {
    expect(conflict(gateway("listeners:\n  - { name: a, port: 80, protocol: HTTP }\n  - { name: a, port: 81, protocol: HTTP }"))).toHaveLength(1);
  });
  it("is no matter of other ports", () => {
    expect(listeners(compose(doc(gateway("listeners:\n  - { name: a, port: 81, protocol: HTTP }\n  - { name: b, port: 80, protocol: HTTP }")))).map((each) => each.name)).toEqual(["prod/gw/80", "prod/gw/81"]);
  });
});

describe("BackendTLSPolicy", () => {
  const policy = (validation: string, name = "p", target = "a") => `
apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: { name: ${name}, namespace: prod }
spec:
  targetRefs: [{ group: gateway.envoyproxy.io, kind: Backend, name: ${target} }]
  validation: { ${validation} }
`;
  const ca = "caCertificateRefs: [{ group: '', kind: ConfigMap, name: cert }]";
  const make = (...policies: string[]) => compose(doc(SIMPLE, carrier(join(pki, "node")), ...policies), { systemAuthorities: "/etc/some.pem" });
  const tls = (result: ReturnType<typeof compose>) => clusters(result)[0].transport_socket.typed_config;

  it("starts TLS with SNI and checks the name against the authority", () => {
    expect(tls(make(policy(`${ca}, hostname: up.example`)))).toMatchObject({
      sni: "up.example",
      common_tls_context: {
        alpn_protocols: ["http/1.1"],
        validation_context: {
          trusted_ca: { filename: join(pki, "node/ca.crt") },
          match_typed_subject_alt_names: [{ san_type: "DNS", matcher: { exact: "up.example" } }],
        },
      },
    });
  });
  it("checks other names instead, and the system's authorities", () => {
    const made = tls(make(policy("wellKnownCACertificates: System, hostname: up.example, subjectAltNames: [{ type: URI, uri: 'spiffe://td/x' }, { type: Hostname, hostname: b.example }]")));
    expect(made.common_tls_context.validation_context).toEqual({
      trusted_ca: { filename: "/etc/some.pem" },
      match_typed_subject_alt_names: [{ san_type: "URI", matcher: { exact: "spiffe://td/x" } }, { san_type: "DNS", matcher: { exact: "b.example" } }],
    });
  });
  it("shows the Gateway's client certificate, to these backends only", () => {
    const withClient = SIMPLE.replace("  listeners:", "  tls: { backend: { clientCertificateRef: { name: cert } } }\n  listeners:");
    const result = compose(doc(withClient, carrier(join(pki, "client")), policy(`${ca}, hostname: up.example`)));
    expect(tls(result).common_tls_context.tls_certificates).toHaveLength(1);
    expect(clusters(result)[0].name).toBe("prod/a@prod/gw");
    expect(clusters(compose(doc(withClient, carrier(join(pki, "client")))))[0].name).toBe("prod/a");
  });
  it.each([
    ["neither authority", ["hostname: a"], "wrong-value"],
    ["both", [`${ca}, wellKnownCACertificates: System, hostname: a`], "wrong-value"],
    ["no host name", [ca], "missing-field"],
    ["a missing ConfigMap", [`${ca.replace("cert }", "nope }")}, hostname: a`], "certificate-missing"],
    ["a name of another type", [`${ca}, hostname: a, subjectAltNames: [{ type: URI, hostname: b }]`], "wrong-value"],
    ["options", [`${ca}, hostname: a, options: {}`], "unknown-field"],
  ])("refuses %s", (_, [validation], code) => expect(codes(make(policy(validation!)).findings)).toContain(code));
  it("refuses two for one Backend, and one for none", () => {
    expect(codes(make(policy(`${ca}, hostname: a`), policy(`${ca}, hostname: b`, "q")).findings)).toEqual(["policy-conflict"]);
    expect(codes(make(policy(`${ca}, hostname: a`, "p", "zzz")).findings)).toEqual(["route-backend-missing"]);
  });
});

it("needs a Gateway", () => {
  expect(codes(compose(backend("a")).findings)).toEqual(["gateway-missing"]);
});

function readText(file: string): string {
  return readFileSync(file, "utf8");
}
function base64(json: string): string {
  return Buffer.from(JSON.parse(json) as string).toString("base64");
}

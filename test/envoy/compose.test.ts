/** What compose writes, in a real Envoy: it is accepted, and it routes as Gateway API says. */
import { readFileSync, writeFileSync } from "node:fs";
import { createServer, request as httpRequest, type IncomingHttpHeaders, type Server } from "node:http";
import { request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { composeEnvoy, loadPolicies, type ComposeOptions, type Composition } from "../../harness/compose/index.ts";
import { findEnvoy, startEnvoy, validateConfig, type EnvoyBinary, type RunningEnvoy } from "../../harness/envoy/index.ts";
import { authorization, backend, carrier, certificates, doc, folder, gateway, ref } from "../unit/compose/support.ts";
import { compileWat } from "../support/wat.ts";

/** Does what the canary filter does, on demand: the header x-arm becomes the arm. And shows peer and route. */
const MODULE = `(module
  (import "env" "proxy_get_header_map_value" (func $header (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property" (func $get (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_set_property" (func $set (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_add_header_map_value" (func $add (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_call_foreign_function" (func $call (param i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 4096))
  (data (i32.const 64) "x-arm") (data (i32.const 80) "selvedge_arm") (data (i32.const 96) "clear_route_cache")
  (data (i32.const 128) "filter_state\\00selvedge.peer") (data (i32.const 160) "x-peer")
  (data (i32.const 176) "xds\\00route_name") (data (i32.const 192) "x-route")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32)
    global.get $free
    global.get $free local.get 0 i32.add i32.const 8 i32.add i32.const 0xfff8 i32.and i32.const 4096 i32.or global.set $free)
  (func (export "proxy_on_context_create") (param i32 i32))
  (func $clear i32.const 0 i64.const 0 i64.store)
  ;; property path and size, header name and size, header map
  (func $show (param i32 i32 i32 i32 i32)
    call $clear
    (if (i32.eqz (call $get (local.get 0) (local.get 1) (i32.const 0) (i32.const 4)))
      (then (drop (call $add (local.get 4) (local.get 2) (local.get 3) (i32.load (i32.const 0)) (i32.load (i32.const 4)))))))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    call $clear
    (if (i32.eqz (call $header (i32.const 0) (i32.const 64) (i32.const 5) (i32.const 0) (i32.const 4)))
      (then
        (drop (call $set (i32.const 80) (i32.const 12) (i32.load (i32.const 0)) (i32.load (i32.const 4))))
        (drop (call $call (i32.const 96) (i32.const 17) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 4)))))
    (call $show (i32.const 128) (i32.const 26) (i32.const 160) (i32.const 6) (i32.const 0))
    i32.const 0)
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32)
    (call $show (i32.const 176) (i32.const 14) (i32.const 192) (i32.const 7) (i32.const 2))
    i32.const 0))`;

interface Reply {
  status: number;
  headers: IncomingHttpHeaders;
  /** What the upstream saw; undefined where Envoy answered itself. */
  seen?: { server: string; path: string; headers: Record<string, string> };
}

let envoy: EnvoyBinary;
let modules: string;
const servers: Server[] = [];
const ports: Record<string, number> = {};

beforeAll(async () => {
  envoy = await findEnvoy({ containers: false });
  modules = folder({});
  const bytes = await compileWat(MODULE);
  for (const name of ["edge", "authz", "canary", "telemetry"]) writeFileSync(join(modules, `${name}.wasm`), bytes);
  for (const name of ["a", "b", "c"]) {
    const server = createServer((incoming, answer) => {
      answer.setHeader("x-upstream", name);
      answer.end(JSON.stringify({ server: name, path: incoming.url, headers: incoming.headers }));
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    ports[name] = (server.address() as AddressInfo).port;
    servers.push(server);
  }
});
afterAll(() => {
  for (const server of servers) server.close();
});

const upstream = (name: string, labels = "app: app"): string => backend(name, labels).replace("9000", String(ports[name]));

function composed(text: string, options: Partial<ComposeOptions> = {}): Composition {
  const result = composeEnvoy(loadPolicies(folder({ "p.yaml": text })), { moduleDir: modules, adminPort: 0, ...options });
  expect(result.findings.filter((each) => each.severity === "error")).toEqual([]);
  // Ports are the system's choice here: tests run beside each other.
  for (const listener of (result.config!.static_resources as { listeners: { address: { socket_address: { port_value: number; address: string } } }[] }).listeners) {
    Object.assign(listener.address.socket_address, { port_value: 0, address: "127.0.0.1" });
  }
  return result;
}

async function serve(text: string, options?: Partial<ComposeOptions>): Promise<RunningEnvoy> {
  return startEnvoy({ config: composed(text, options).config as never, envoy, concurrency: 1, logLevel: "warn" });
}

function send(port: number, path: string, options: { headers?: Record<string, string>; method?: string; tls?: string; name?: string } = {}): Promise<Reply> {
  const { headers = {}, method = "GET", tls, name } = options;
  const pki = certificates();
  const secure = tls === undefined ? {} : { ca: readFileSync(join(pki, "ca.crt")), servername: name ?? "localhost", ...(tls === "" ? {} : { cert: readFileSync(join(pki, tls, "tls.crt")), key: readFileSync(join(pki, tls, "tls.key")) }) };
  return new Promise((resolve, reject) => {
    const made = (tls === undefined ? httpRequest : httpsRequest)({ host: "127.0.0.1", port, path, method, headers, agent: false, ...secure, checkServerIdentity: () => undefined }, (answer) => {
      let body = "";
      answer.setEncoding("utf8").on("data", (part: string) => (body += part)).on("end", () => {
        resolve({ status: answer.statusCode!, headers: answer.headers, ...(answer.headers["x-upstream"] ? { seen: JSON.parse(body) as Reply["seen"] } : {}) });
      });
    });
    made.on("error", reject).end();
  });
}

const HTTP = (extra = ""): string => gateway(`listeners:\n  - { name: http, port: 8080, protocol: HTTP }${extra}`);
const rules = (yaml: string, name = "r", hostnames = ""): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: prod }
spec:
  parentRefs: [{ name: gw }]
  ${hostnames}
  rules:
${yaml.replace(/^/gm, "    ")}
`;

describe("Envoy accepts", () => {
  const everything = (): string => {
    const pki = certificates();
    return doc(
      gateway(`tls:
  backend: { clientCertificateRef: { name: cert } }
  frontend: { default: { validation: { caCertificateRefs: [{ kind: ConfigMap, group: "", name: cert }] } } }
listeners:
  - { name: plain, port: 8080, protocol: HTTP }
  - { name: own, port: 8443, protocol: HTTPS, hostname: a.example.com, tls: { certificateRefs: [{ name: cert }] } }
  - { name: any, port: 8443, protocol: HTTPS, tls: { certificateRefs: [{ name: cert }] } }`),
      carrier(join(pki, "node")),
      upstream("a", "app: x, version: v1"),
      upstream("b", "app: x, version: v2"),
      backend("dotted.name", "app: h2", "appProtocols: [gateway.envoyproxy.io/h2c]").replace("{ ip: { address: 127.0.0.1, port: 9000 } }", "{ fqdn: { hostname: localhost, port: 9000 } }"),
      backend("socket", "app: ws", "appProtocols: [kubernetes.io/ws]"),
      `apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: { name: t, namespace: prod }
spec:
  targetRefs: [{ group: gateway.envoyproxy.io, kind: Backend, name: dotted.name }]
  validation: { hostname: up.example, caCertificateRefs: [{ group: "", kind: ConfigMap, name: cert }], subjectAltNames: [{ type: URI, uri: "spiffe://td/x" }] }`,
      rules(`- name: split
  matches: [{ path: { type: RegularExpression, value: "/v[0-9]+/.*" } }, { path: { type: Exact, value: /x }, method: POST, headers: [{ name: a, value: b }, { name: c, type: RegularExpression, value: ".+" }], queryParams: [{ name: q, value: "1" }] }]
  filters:
    - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-a, value: "100%" }], remove: [x-b] } }
    - { type: ResponseHeaderModifier, responseHeaderModifier: { add: [{ name: x-a, value: "b" }] } }
    - { type: RequestMirror, requestMirror: { backendRef: ${ref("socket")}, percent: 5 } }
  timeouts: { request: 10s, backendRequest: 2s }
  retry: { codes: [500, 503], attempts: 2, backoff: 50ms }
  backendRefs: [${ref("a", "weight: 90")}, ${ref("b", "weight: 10")}]
- name: rewrite
  matches: [{ path: { value: /foo } }]
  filters: [{ type: URLRewrite, urlRewrite: { hostname: in.example, path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }]
  backendRefs: [${ref("dotted.name")}]
- name: redirect
  matches: [{ path: { value: /old } }]
  filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, port: 8443, statusCode: 308, path: { type: ReplaceFullPath, replaceFullPath: /new } } }]
- name: socket
  matches: [{ path: { value: /ws } }]
  backendRefs: [${ref("socket")}]
- name: nothing
  matches: [{ path: { value: /nothing } }]`),
      authorization("{}"),
      `apiVersion: selvedge.dev/v1alpha1
kind: CanaryPolicy
metadata: { name: c, namespace: prod }
spec: { targetRef: { group: gateway.networking.k8s.io, kind: HTTPRoute, name: r, sectionName: split }, stickiness: { keys: [{ header: x-user }] } }`,
      `apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: t, namespace: prod }
spec: { accessLogging: [{ providers: [{ name: envoy }] }] }`,
    );
  };
  it.each<[string, Partial<ComposeOptions>]>([
    ["everything at once", {}],
    ["separate modules", { modules: "separate" }],
    ["identity in filter state", { identity: "filter_state" }],
    ["a heap limit", { heapBytes: 500_000_000 }],
  ])("%s", async (_, options) => {
    expect(await validateConfig(composed(everything(), options).config as never, { envoy })).toEqual([]);
  });

  it("5,000 policies", async () => {
    const many = Array.from({ length: 5000 }, (_, i) => authorization(`rules: [{ from: [{ source: { principals: ["cluster.local/ns/prod/sa/w${i}"] } }], to: [{ operation: { methods: ["GET"], paths: ["/api/v1/r${i}/*"] } }] }]`, `name: p${i}, namespace: prod`));
    const result = composed(doc(HTTP(), upstream("a"), rules(`- backendRefs: [${ref("a")}]`), ...many));
    expect(await validateConfig(result.config as never, { envoy })).toEqual([]);
  });
});

describe("requests", () => {
  let running: RunningEnvoy;
  let port: number;
  beforeAll(async () => {
    const text = doc(
      HTTP(),
      upstream("a"),
      upstream("b"),
      upstream("c"),
      rules(`- name: exact
  matches: [{ path: { type: Exact, value: /p } }]
  backendRefs: [${ref("a")}]
- name: short
  matches: [{ path: { value: / } }]
  backendRefs: [${ref("c")}]
- name: long
  matches: [{ path: { value: /p/ } }]
  backendRefs: [${ref("b")}]
- name: method
  matches: [{ path: { value: /m }, method: POST }, { path: { value: /m }, headers: [{ name: X-H, value: "1" }, { name: x-i, value: "2" }] }]
  backendRefs: [${ref("a")}]
- name: pattern
  matches: [{ path: { type: RegularExpression, value: "/re/[0-9]+" } }]
  backendRefs: [${ref("a")}]
- name: query
  matches: [{ path: { value: /q }, queryParams: [{ name: v, value: "2" }] }]
  backendRefs: [${ref("a")}]
- name: split
  matches: [{ path: { value: /split } }]
  backendRefs: [${ref("a", "weight: 99, filters: [{ type: ResponseHeaderModifier, responseHeaderModifier: { set: [{ name: x-which, value: stable }] } }]")}, ${ref("b")}]
- name: foo
  matches: [{ path: { value: /foo } }]
  filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /xyz } } }]
  backendRefs: [${ref("a")}]
- name: strip
  matches: [{ path: { value: /strip } }]
  filters: [{ type: URLRewrite, urlRewrite: { hostname: in.example, path: { type: ReplacePrefixMatch, replacePrefixMatch: / } } }]
  backendRefs: [${ref("a")}]
- name: full
  matches: [{ path: { value: /full } }]
  filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplaceFullPath, replaceFullPath: /whole } } }]
  backendRefs: [${ref("a")}]
- name: headers
  matches: [{ path: { value: /headers } }]
  filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-set, value: "50%" }], add: [{ name: x-add, value: two }], remove: [x-gone] } }]
  backendRefs: [${ref("a")}]
- name: moved
  matches: [{ path: { value: /moved } }]
  filters: [{ type: RequestRedirect, requestRedirect: { scheme: https, path: { type: ReplacePrefixMatch, replacePrefixMatch: /there } } }]
- name: none
  matches: [{ path: { value: /none } }]
- name: zero
  matches: [{ path: { value: /zero } }]
  backendRefs: [${ref("a", "weight: 0")}]`),
      rules(`- backendRefs: [${ref("b")}]`, "own", "hostnames: [own.example]"),
    );
    running = await serve(text);
    port = await running.port("prod/gw/8080");
  });
  afterAll(() => running?.stop());

  it.each([
    ["/p", "a"],
    ["/p?q=1", "a"],
    ["/p/", "b"],
    ["/p/x", "b"],
    ["/px", "c"],
    ["/m", "c"],
    ["/re/42", "a"],
    ["/re/42/x", "c"],
    ["/q?v=2", "a"],
    ["/q?v=3", "c"],
    ["/other", "c"],
  ])("%s goes to %s", async (path, server) => expect((await send(port, path)).seen?.server).toBe(server));

  it("match method and headers", async () => {
    expect((await send(port, "/m", { method: "POST" })).seen?.server).toBe("a");
    expect((await send(port, "/m", { headers: { "x-h": "1", "x-i": "2" } })).seen?.server).toBe("a");
    expect((await send(port, "/m", { headers: { "x-h": "1" } })).seen?.server).toBe("c");
  });
  it("match the host without its port, and forward it with", async () => {
    const { seen } = await send(port, "/p", { headers: { host: "own.example:8443" } });
    expect(seen).toMatchObject({ server: "b", headers: { host: "own.example:8443" } });
  });
  it.each([
    ["/foo/bar", "/xyz/bar"],
    ["/foo", "/xyz"],
    ["/foo/", "/xyz/"],
    ["/strip/bar", "/bar"],
    ["/strip", "/"],
    ["/strip/", "/"],
    ["/strip/bar?a=b", "/bar?a=b"],
    ["/full/a/b?c=d", "/whole?c=d"],
  ])("%s arrives as %s", async (from, to) => expect((await send(port, from)).seen?.path).toBe(to));
  it("change host and headers, % taken literally", async () => {
    expect((await send(port, "/strip")).seen?.headers.host).toBe("in.example");
    const { seen } = await send(port, "/headers", { headers: { "x-set": "one", "x-add": "one", "x-gone": "one" } });
    expect(seen?.headers).toMatchObject({ "x-set": "50%", "x-add": "one, two" });
    expect(seen?.headers["x-gone"]).toBeUndefined();
  });
  it("are redirected", async () => {
    const { status, headers } = await send(port, "/moved/x?y=z", { headers: { host: "h.example:8080" } });
    expect([status, headers.location]).toEqual([302, "https://h.example:443/there/x?y=z"]);
  });
  it.each(["/none", "/zero"])("%s answers 500", async (path) => expect((await send(port, path)).status).toBe(500));

  it("follow the arm that a filter chose, else the stable one", async () => {
    const stable = await send(port, "/split");
    expect([stable.seen?.server, stable.headers["x-which"], stable.headers["x-route"]]).toEqual(["a", "stable", "prod/r/split"]);
    const canary = await send(port, "/split", { headers: { "x-arm": "b" } });
    expect([canary.seen?.server, canary.headers["x-which"], canary.headers["x-route"]]).toEqual(["b", undefined, "prod/r/split/b"]);
    expect((await send(port, "/split", { headers: { "x-arm": "nonsense" } })).seen?.server).toBe("a");
  });

  it.each([
    ["//p", "/p"],
    ["/x/../p", "/p"],
    ["/x/%2e%2e/p", "/p"],
    ["/./p", "/p"],
  ])("%s reaches filters and upstream as %s", async (from, to) => expect((await send(port, from)).seen?.path).toBe(to));
  it.each(["/x%2fp", "/x%5cp", "/..%2fp"])("%s is sent back to be asked for again", async (path) => {
    const { status, seen } = await send(port, path);
    expect(seen).toBeUndefined();
    expect([307, 400]).toContain(status);
  });
  it("with an ambiguous header are refused", async () => {
    expect((await send(port, "/p", { headers: { x_role: "admin" } })).status).toBe(400);
    expect((await send(port, "/p", { headers: Object.fromEntries(Array.from({ length: 120 }, (_, i) => [`x-${i}`, "1"])) })).status).toBe(431);
  });
  it("can't tell Envoy what to do, nor who they are", async () => {
    const { seen } = await send(port, "/p", { headers: { "x-envoy-upstream-rq-timeout-ms": "1", "x-envoy-retry-on": "5xx", "x-envoy-internal": "true", "x-forwarded-client-cert": "By=me" } });
    expect(Object.keys(seen!.headers).filter((name) => /^x-envoy-(up|retry|internal)|client-cert/.test(name))).toEqual([]);
  });
  it("get no header that names Envoy", async () => {
    const { headers } = await send(port, "/p");
    expect(Object.keys(headers).filter((name) => name.startsWith("x-envoy") || name === "server")).toEqual([]);
  });
});

describe("TLS", () => {
  let running: RunningEnvoy;
  let port: number;
  beforeAll(async () => {
    running = await serve(
      doc(
        gateway(`tls: { frontend: { default: { validation: { caCertificateRefs: [{ kind: ConfigMap, group: "", name: cert }] } } } }
listeners:
  - { name: own, port: 8443, protocol: HTTPS, hostname: "*.example.com", tls: { certificateRefs: [{ name: cert }] } }
  - { name: any, port: 8443, protocol: HTTPS, tls: { certificateRefs: [{ name: cert }] } }`),
        carrier(join(certificates(), "node")),
        upstream("a"),
        upstream("b"),
        rules(`- backendRefs: [${ref("a")}]`).replace("name: gw", "name: gw, sectionName: any"),
        rules(`- backendRefs: [${ref("b")}]`, "o").replace("name: gw", "name: gw, sectionName: own"),
      ),
      { identity: "filter_state" },
    );
    port = await running.port("prod/gw/8443");
  });
  afterAll(() => running?.stop());

  it("tells filters who the peer is", async () => {
    const { seen } = await send(port, "/", { tls: "client" });
    expect(seen).toMatchObject({ server: "a", headers: { "x-peer": "spiffe://cluster.local/ns/prod/sa/client" } });
  });
  it("refuses a client without a certificate", async () => {
    await expect(send(port, "/", { tls: "" })).rejects.toThrow();
  });
  it("picks the listener by server name, and keeps its routes apart", async () => {
    expect((await send(port, "/", { tls: "client", name: "x.example.com", headers: { host: "x.example.com" } })).seen?.server).toBe("b");
    expect((await send(port, "/", { tls: "client", name: "x.example.com", headers: { host: "elsewhere.org" } })).status).toBe(404);
  });
});

/** A node as a platform team runs it: composed with a PolicyBundle, started offline, fetching over TLS, keeping what it took. */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import { connect, createServer, type AddressInfo, type Server } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { buildAll } from "../../harness/build/index.ts";
import { seal } from "../../harness/bundle/envelope.ts";
import { keepBundles } from "../../harness/bundle/keep.ts";
import { pack } from "../../harness/bundle/pack.ts";
import { stateFile } from "../../harness/bundle/state.ts";
import { trustOf, type TrustOptions } from "../../harness/bundle/trust.ts";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import { findEnvoy, startEnvoy, type EnvoyBinary, type RunningEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { issue } from "../support/certificates.ts";
import { signer, stranger, type Pair } from "../unit/bundle/support.ts";
import { policyOn, tcpRoute, workload } from "../support/resources.ts";
import { carrier, doc, folder, ref } from "../unit/compose/support.ts";

const scratch = temporaryDirectory("signed-node");
const now = (): number => Math.floor(Date.now() / 1000);
let binary: EnvoyBinary;
const backends: Server[] = [];
let port = 0;

/** What decides in a version: the path of requests, and whether connections are let in. */
const decisions = (path: string, connections: boolean): string => doc(
  policyOn("web", `rules: [{ to: [{ operation: { paths: [${path}] } }] }]`),
  policyOn("db", `rules: [{ from: [{ source: { ipBlocks: [${connections ? "127.0.0.0/8" : "192.0.2.1"}] } }] }]`),
);

const node = (source: number, rest = ""): string => doc(
  carrier(join(scratch.path, "server"), "ca"),
  `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: prod }
spec:
  gatewayClassName: selvedge
  addresses: [{ value: 127.0.0.1 }]
  listeners: [{ name: http, port: 7001, protocol: HTTP }, { name: db, port: 7002, protocol: TCP }]`,
  workload("web", port), workload("db", port), workload("bundles", source),
  `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: web, namespace: prod }
spec: { parentRefs: [{ name: gw, sectionName: http }], rules: [{ backendRefs: [${ref("web")}] }] }`,
  tcpRoute("db"),
  `apiVersion: gateway.networking.k8s.io/v1
kind: BackendTLSPolicy
metadata: { name: bundles, namespace: prod }
spec:
  targetRefs: [{ group: gateway.envoyproxy.io, kind: Backend, name: bundles }]
  validation: { hostname: bundles.test, caCertificateRefs: [{ group: "", kind: ConfigMap, name: ca }] }`,
  `apiVersion: selvedge.dev/v1alpha1
kind: PolicyBundle
metadata: { name: signed, namespace: prod }
spec:
  keys:
    - |
${signer.publicKey.export({ type: "spki", format: "pem" }).toString().trim().replace(/^/gm, "      ")}
  source: { backendRef: ${ref("bundles")}, path: "/{audience}.json", interval: 1s, timeout: 1s }${rest}`,
);

const bundle = (version: number, path: string, connections: boolean, by: Pair = signer): string => {
  const { payload } = pack(loadPolicies(folder({ "node.yaml": node(1), "policies.yaml": decisions(path, connections) })), { node: "edge-1", version, expires: now() + 3600 });
  return JSON.stringify(seal(payload, [{ key: by.privateKey }]));
};

/** Serves one bundle over TLS, or breaks off whoever connects. Its port stays its own all the while. */
class Source {
  body = "";
  asked: string[] = [];
  #secure: SecureServer | undefined;
  readonly #server = createServer((socket) => {
    socket.on("error", () => {});
    if (this.#secure) this.#secure.emit("connection", socket);
    else socket.destroy();
  });

  async listen(): Promise<void> {
    await new Promise<void>((done) => this.#server.listen(0, "127.0.0.1", done));
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  up(identity: string): void {
    this.down();
    const read = (file: string): Buffer => readFileSync(join(scratch.path, identity, file));
    this.#secure = createSecureServer({ key: read("tls.key"), cert: read("tls.crt") }, (request, answer) => {
      this.asked.push(`${request.headers.host}${request.url}`);
      answer.setHeader("connection", "close").end(this.body);
    });
  }

  down(): void {
    this.#secure?.closeAllConnections();
    this.#secure = undefined;
  }

  close(): void {
    this.down();
    this.#server.close();
  }
}

beforeAll(async () => {
  issue(scratch.path, { server: "DNS:bundles.test" });
  mkdirSync(join(scratch.path, "elsewhere"));
  issue(join(scratch.path, "elsewhere"), { server: "DNS:bundles.test" });
  binary = await findEnvoy({ containers: false });
  await buildAll({ outDir: join(scratch.path, "dist"), only: ["authz", "edge", "telemetry"] });
  await source.listen();
  // HTTP enough for requests, and a greeting for connections.
  const server = createServer((socket) => socket.on("error", () => {}).on("data", () => socket.end("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi")));
  backends.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  port = (server.address() as AddressInfo).port;
}, 240_000);

const source = new Source();
const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const each of cleanups.splice(0).reverse()) await each();
  source.down();
});
afterAll(() => {
  for (const each of backends) each.close();
  source.close();
  scratch.remove();
});

interface Started {
  envoy: RunningEnvoy;
  findings: string[];
  web: (path: string) => Promise<number>;
  db: () => Promise<boolean>;
}

async function start(dir: string, options: TrustOptions, modules: "fused" | "separate" = "fused"): Promise<Started> {
  const policies = loadPolicies(dir);
  const trusted = trustOf(policies, { node: "edge-1", ...options })!;
  const composition = composeEnvoy(policies, { moduleDir: join(scratch.path, "dist"), modules, adminPort: 0, signing: trusted.signing });
  expect(composition.findings.filter(({ severity }) => severity === "error")).toEqual([]);
  const config = JSON.parse(JSON.stringify(composition.config).replace(/"port_value":700\d/g, '"port_value":0')) as never;
  const envoy = await startEnvoy({ config, envoy: binary, concurrency: 2, logLevel: "warn" });
  cleanups.push(() => envoy.stop());
  if (options.state !== undefined) cleanups.push(keepBundles({ running: envoy, composition, trusted, state: options.state, onTrouble: () => {}, intervalMs: 200 }));
  const [http, tcp] = [await envoy.port("prod/gw/7001"), await envoy.port("prod/gw/7002")];
  return {
    envoy,
    findings: trusted.findings.map(({ code }) => code),
    web: (path) => new Promise((resolve, reject) => get({ host: "127.0.0.1", port: http, path, agent: false }, (answer) => resolve(answer.resume().statusCode!)).on("error", reject)),
    db: () => new Promise((resolve) => {
      let answer = "";
      const socket = connect(tcp, "127.0.0.1", () => socket.write("GET / HTTP/1.1\r\n\r\n"));
      socket.on("data", (chunk) => (answer += chunk.toString())).on("error", () => {}).on("close", () => resolve(answer.includes("200 OK")));
    }),
  };
}

async function eventually(check: () => Promise<void>): Promise<void> {
  for (const end = Date.now() + 30_000; ; await sleep(100)) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

describe.each(["fused", "separate"] as const)("a node with modules %s", (modules) => {
  it("starts offline, follows its source over TLS, and keeps the last good bundle", async () => {
    const dir = folder({ "node.yaml": node(source.port) });
    const first = join(dir, "first.json");
    writeFileSync(first, bundle(1, "/one", true));
    const { envoy, web, db } = await start(dir, { bundles: [first] }, modules);
    expect([await web("/one"), await web("/two"), await db()]).toEqual([200, 403, true]);

    source.body = bundle(2, "/two", false);
    source.up("server");
    await eventually(async () => expect([await web("/one"), await web("/two"), await db()]).toEqual([403, 200, false]));
    expect(new Set(source.asked)).toEqual(new Set(["bundles.test/edge-1.json"]));

    source.body = bundle(3, "/three", true, stranger);
    const rejected = async (reason: string) => [...(await envoy.admin.stats(`bundle_rejections_total\\.reason=\\.${reason}`)).values()].reduce((sum, each) => sum + each, 0);
    await eventually(async () => expect(await rejected("signature")).toBeGreaterThan(0));
    // A server that the node's authority doesn't vouch for isn't listened to, whatever it serves.
    source.body = bundle(4, "/four", true);
    const before = await rejected("unreachable");
    source.up("elsewhere/server");
    await eventually(async () => expect(await rejected("unreachable")).toBeGreaterThan(before));
    expect([await web("/two"), await web("/three"), await web("/four"), await db()]).toEqual([200, 403, 403, false]);
    source.up("server");
    await eventually(async () => expect([await web("/four"), await db()]).toEqual([200, true]));
  });
});

it("what a node took survives its restart without a network, and nothing older is taken after it", async () => {
  source.body = bundle(2, "/two", false);
  source.up("server");
  const dir = folder({ "node.yaml": node(source.port) });
  const state = join(dir, "state");
  const first = join(dir, "first.json");
  writeFileSync(first, bundle(1, "/one", true));
  const options = { bundles: [first], state };
  await start(dir, options);
  await eventually(() => Promise.resolve(expect(readFileSync(stateFile(state, "edge-1"), "utf8")).toBe(source.body)));
  for (const each of cleanups.splice(0).reverse()) await each();

  source.body = bundle(1, "/one", true);
  const again = await start(dir, options);
  expect(again.findings).toEqual(["bundle-older"]);
  await eventually(async () => expect([...(await again.envoy.admin.stats("bundle_rejections_total\\.reason=\\.version")).values()].some((each) => each > 0)).toBe(true));
  expect([await again.web("/two"), await again.web("/one"), await again.db()]).toEqual([200, 403, false]);
});

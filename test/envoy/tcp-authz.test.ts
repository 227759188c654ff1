/** Policies on connections, from Gateway and TCPRoute to bytes: real TLS sockets with the real filter, through a real Envoy and through the host engine. */
import { execFileSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { connect as tcpConnect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { connect as tlsConnect, type ConnectionOptions } from "node:tls";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { buildFilter } from "../../harness/build/index.ts";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import type { RunningEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { startBoth, type Engines } from "./fixtures/engines.ts";
import { carrier, doc, folder, ref } from "../unit/compose/support.ts";

const scratch = temporaryDirectory("tcp-authz");
const servers: Server[] = [];
let engines: Engines;
/** The one under test, and its ports by listener. */
let engine: RunningEnvoy;
let ports: Record<string, number> = {};
/** What reached the backend, and how many connections it saw. */
let received = "";
let connections = 0;

function issue(names: Record<string, string>): void {
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: scratch.path, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=ca");
  for (const [name, san] of Object.entries(names)) {
    mkdirSync(join(scratch.path, name));
    openssl("req", ...key, "-keyout", `${name}/tls.key`, "-out", `${name}/req`, "-subj", `/CN=${name}`);
    writeFileSync(join(scratch.path, name, "ext"), `subjectAltName=${san}\n`);
    openssl("x509", "-req", "-in", `${name}/req`, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", `${name}/ext`, "-out", `${name}/tls.crt`);
    writeFileSync(join(scratch.path, name, "ca.crt"), readFileSync(join(scratch.path, "ca.crt")));
  }
}

const authorization = (name: string, spec: string): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: prod }
spec: { selector: { matchLabels: { app: ${name.split("-")[0]} } }, ${spec} }`;

const backend = (name: string, port: number): string => `apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: { name: ${name}, namespace: prod, labels: { app: ${name} } }
spec: { endpoints: [{ ip: { address: 127.0.0.1, port: ${port} } }] }`;

const tcpRoute = (listener: string, backends: string[]): string => `apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: { name: ${listener}, namespace: prod }
spec: { parentRefs: [{ name: gw, sectionName: ${listener} }], rules: [{ backendRefs: [${backends.map((each) => ref(each)).join(", ")}] }] }`;

/** The client speaks first to `db`, `plain` and `wide`; the server to `mail`. */
const policies = (echo: number, greeting: number): string => doc(
  carrier(join(scratch.path, "node")),
  `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: prod }
spec:
  gatewayClassName: selvedge
  addresses: [{ value: 127.0.0.1 }]
  tls: { frontend: { default: { validation: { caCertificateRefs: [{ kind: ConfigMap, name: cert }] } }, perPort: [{ port: 7004, tls: {} }] } }
  listeners:
    - { name: db, port: 7001, protocol: TLS, hostname: db.test, tls: { certificateRefs: [{ name: cert }] } }
    - { name: mail, port: 7002, protocol: TLS, tls: { certificateRefs: [{ name: cert }] } }
    - { name: plain, port: 7003, protocol: TCP }
    - { name: open, port: 7004, protocol: TLS, tls: { certificateRefs: [{ name: cert }] } }
    - { name: wide, port: 7005, protocol: TCP }
    - { name: greeter, port: 7006, protocol: TCP }
    - { name: sni, port: 7007, protocol: TLS, tls: { certificateRefs: [{ name: cert }] } }
    - { name: empty, port: 7008, protocol: TCP }`,
  backend("db", echo), backend("mail", greeting), backend("plain", echo), backend("open", echo), backend("wide", echo), backend("greeter", greeting), backend("sni", echo), backend("sni2", echo).replace("app: sni2", "app: sni"),
  tcpRoute("db", ["db"]), tcpRoute("mail", ["mail"]), tcpRoute("plain", ["plain"]), tcpRoute("open", ["open"]), tcpRoute("wide", ["wide"]), tcpRoute("greeter", ["greeter"]), tcpRoute("sni", ["sni", "sni2"]),
  authorization("db", 'rules: [{ from: [{ source: { principals: ["cluster.local/ns/prod/sa/app"] } }] }]'),
  authorization("mail", 'rules: [{ from: [{ source: { namespaces: ["prod"] } }] }]'),
  authorization("plain", 'rules: [{ from: [{ source: { ipBlocks: ["127.0.0.1/32"] } }] }]'),
  authorization("plain-audit", 'action: AUDIT, rules: [{ to: [{ operation: { notPorts: ["7003"] } }] }]'),
  authorization("open", 'action: DENY, rules: [{ from: [{ source: { notPrincipals: ["*"] } }] }]'),
  authorization("wide", 'action: DENY, rules: [{ to: [{ operation: { methods: ["POST"] } }] }]'),
  authorization("greeter", 'rules: [{ to: [{ operation: { methods: ["GET"] } }] }]'),
  authorization("sni", 'rules: [{ when: [{ key: connection.sni, values: ["good.test"] }] }]'),
);

async function listening(onSocket: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    connections++;
    socket.on("error", () => {}).on("data", (chunk) => (received += chunk.toString()));
    onSocket(socket);
  });
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
}

beforeAll(async () => {
  issue({
    node: "DNS:localhost,IP:127.0.0.1", app: "URI:spiffe://cluster.local/ns/prod/sa/app", dev: "URI:spiffe://cluster.local/ns/dev/sa/tool",
    two: "URI:spiffe://cluster.local/ns/prod/sa/app,URI:spiffe://cluster.local/ns/dev/sa/tool",
  });
  const echo = await listening((socket) => socket.on("data", (chunk) => socket.write(`echo ${chunk.toString()}`)));
  const greeting = await listening((socket) => socket.write("220 hello"));
  const { path } = await buildFilter({ entry: "filters/authz/assembly/index.ts", outDir: scratch.path });
  const { config, findings } = composeEnvoy(loadPolicies(folder({ "policies.yaml": policies(echo, greeting) })), { moduleDir: scratch.path, modulePaths: { authz: path }, adminPort: null, logDenials: true });
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  engines = await startBoth(config);
}, 180_000);

afterAll(async () => {
  await engines?.stop();
  for (const server of servers) server.close();
  scratch.remove();
});

beforeEach(async () => {
  // A backend may still hear of a connection that was denied after its handshake.
  await new Promise((done) => setTimeout(done, 100));
  received = "";
  connections = 0;
});

interface Outcome {
  /** All that came back. */
  answer: string;
  /** The proxy ended it. */
  closed: boolean;
}

/** Connects, sends, and waits for an answer or the end. */
function talk(listener: string, { as, sni, say = "hi", tls = true }: { as?: string; sni?: string; say?: string | null; tls?: boolean } = {}): Promise<Outcome> {
  return new Promise((resolve) => {
    let answer = "";
    const port = ports[listener]!;
    const options: ConnectionOptions = {
      host: "127.0.0.1", port, rejectUnauthorized: false,
      ...(sni === undefined ? {} : { servername: sni }),
      ...(as === undefined ? {} : { cert: readFileSync(join(scratch.path, as, "tls.crt")), key: readFileSync(join(scratch.path, as, "tls.key")) }),
    };
    const socket: Socket = tls ? tlsConnect(options) : tcpConnect({ host: "127.0.0.1", port });
    const done = (closed: boolean): void => {
      clearTimeout(patience);
      socket.destroy();
      resolve({ answer, closed });
    };
    const patience = setTimeout(() => done(false), 1_500);
    socket.once(tls ? "secureConnect" : "connect", () => say && socket.write(say));
    socket.on("data", (chunk) => {
      answer += chunk.toString();
      setTimeout(() => done(false), 50);
    });
    socket.on("error", () => done(true)).on("end", () => done(true)).on("close", () => done(true));
  });
}

const allowed = (answer: string): Outcome => ({ answer, closed: false });
const denied: Outcome = { answer: "", closed: true };
const logged = (text: RegExp): Promise<void> => vi.waitFor(() => expect(engine.log().split("\n").filter((line) => line.includes("wasm log")).join("\n").replaceAll("\\", "")).toMatch(text));

describe.each(["envoy", "host"] as const)("on %s", (name) => {
  beforeAll(async () => {
    engine = engines[name];
    ports = {};
    for (const [i, each] of ["db", "mail", "plain", "open", "wide", "greeter", "sni", "empty"].entries()) ports[each] = await engine.port(`prod/gw/${7001 + i}`);
  });

  describe("a TLS listener", () => {
    it("lets the named principal through, and nobody else", async () => {
      expect(await talk("db", { as: "app", sni: "db.test" })).toEqual(allowed("echo hi"));
      expect(received).toBe("hi");
      received = "";
      expect(await talk("db", { as: "dev", sni: "db.test" })).toEqual(denied);
      expect(received).toBe("");
      await logged(/denied: policy=none rule=none principal="spiffe:\/\/cluster.local\/ns\/dev\/sa\/tool" source="127.0.0.1:\d+" sni="db.test"/);
    });

    it("refuses a certificate with two identities", async () => {
      expect(await talk("db", { as: "two", sni: "db.test" })).toEqual(denied);
      await logged(/denied: policy=ambiguous_identity/);
    });

    it("takes no connection without a certificate, for another name, or without TLS", async () => {
      expect((await talk("db", { sni: "db.test" })).closed).toBe(true);
      expect((await talk("db", { as: "app", sni: "other.test" })).closed).toBe(true);
      expect((await talk("db", { as: "app" })).closed).toBe(true);
      expect((await talk("db", { tls: false, say: "this is no handshake at all\r\n" })).closed).toBe(true);
      expect([received, connections]).toEqual(["", 0]);
    });

    it("decides before the first byte of a server that speaks first", async () => {
      expect(await talk("mail", { as: "app", say: null })).toEqual(allowed("220 hello"));
      expect(await talk("mail", { as: "dev", say: null })).toEqual(denied);
      expect(await talk("mail", { as: "dev", say: "EHLO" })).toEqual(denied);
      expect(received).toBe("");
    });

    it("without client validation, has a DENY of all but the named reach the nameless", async () => {
      expect(await talk("open", {})).toEqual(denied);
      expect(received).toBe("");
    });

    it("decides by the server name, for each of several backends", async () => {
      for (let i = 0; i < 6; i++) expect(await talk("sni", { as: "dev", sni: "good.test" })).toEqual(allowed("echo hi"));
      expect(await talk("sni", { as: "app", sni: "bad.test" })).toEqual(denied);
      expect(await talk("sni", { as: "app" })).toEqual(denied);
    });
  });

  describe("a TCP listener", () => {
    it("decides by address at once", async () => {
      expect(await talk("plain", { tls: false })).toEqual(allowed("echo hi"));
      await logged(/audited: policy=prod\/plain-audit rule=0 principal="" source="127.0.0.1:\d+"/);
    });

    it("denies by a DENY rule on methods everybody, and by an ALLOW rule on methods too, before a backend hears of it", async () => {
      expect(await talk("wide", { tls: false })).toEqual(denied);
      expect(await talk("greeter", { tls: false, say: null })).toEqual(denied);
      expect([received, connections]).toEqual(["", 0]);
    });

    it("without a route closes", async () => {
      expect(await talk("empty", { tls: false })).toEqual(denied);
    });
  });

  it("counts what it decided", async () => {
    const metrics = await engine.admin.prometheus();
    const count = (name: string, policy: string): number | undefined => metrics.find((each) => each.name === name && each.labels.policy === policy)?.value;
    expect(count("selvedge_authz_allowed_total", "prod/plain")).toBeGreaterThan(0);
    expect(count("selvedge_authz_denied_total", "prod/wide")).toBeGreaterThan(0);
    expect(count("selvedge_authz_audited_total", "prod/plain-audit")).toBeGreaterThan(0);
  });
});

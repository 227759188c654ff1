/**
 * Connections from Gateway and TCPRoute to bytes: real TLS sockets through a composed Envoy, and through the host engine. What the filter decides on them is in
 * filters/authz/cases/connections.yaml.
 */
import { readFileSync } from "node:fs";
import { connect as tcpConnect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { connect as tlsConnect, type ConnectionOptions } from "node:tls";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { buildFilter } from "../../harness/build/index.ts";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import { EdgeNode } from "../../harness/decide/node.ts";
import { agrees, askedAgain } from "../../harness/explain/log.ts";
import { explain } from "../../harness/explain/explain.ts";
import type { RunningEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { issue } from "../support/certificates.ts";
import { startBoth, type Engines } from "./fixtures/engines.ts";
import { ACCESS_LOG, mutualGateway, policyOn, tcpRoute, workload } from "../support/resources.ts";
import { carrier, doc, folder } from "../unit/compose/support.ts";

const scratch = temporaryDirectory("tcp-authz");
const servers: Server[] = [];
let engines: Engines;
/** The one under test, and its ports by listener. */
let engine: RunningEnvoy;
let node: EdgeNode;
const ports: Record<string, number> = {};
const PORTS = { db: 7001, plain: 7002, sni: 7003, empty: 7004 };
/** What reached the backend, and how many connections it saw. */
let received = "";
let connections = 0;

const policies = (echo: number): string => doc(
  carrier(join(scratch.path, "node")),
  mutualGateway(`- { name: db, port: 7001, protocol: TLS, hostname: db.test, tls: { certificateRefs: [{ name: cert }] } }
- { name: plain, port: 7002, protocol: TCP }
- { name: sni, port: 7003, protocol: TLS, tls: { certificateRefs: [{ name: cert }] } }
- { name: empty, port: 7004, protocol: TCP }`),
  ACCESS_LOG,
  ...["db", "plain", "sni"].map((name) => workload(name, echo)), workload("sni2", echo, "", "sni"),
  tcpRoute("db"), tcpRoute("plain"), tcpRoute("sni", ["sni", "sni2"]),
  policyOn("db", 'rules: [{ from: [{ source: { principals: ["cluster.local/ns/prod/sa/app"] } }] }]'),
  policyOn("plain", 'rules: [{ from: [{ source: { ipBlocks: ["127.0.0.1/32"] } }] }]'),
  policyOn("plain", 'action: AUDIT, rules: [{ to: [{ operation: { notPorts: ["7002"] } }] }]', "plain-audit"),
  policyOn("sni", 'rules: [{ when: [{ key: connection.sni, values: ["good.test"] }] }]'),
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
  issue(scratch.path, {
    node: "DNS:localhost,IP:127.0.0.1", app: "URI:spiffe://cluster.local/ns/prod/sa/app", dev: "URI:spiffe://cluster.local/ns/dev/sa/tool",
  });
  const echo = await listening((socket) => socket.on("data", (chunk) => socket.write(`echo ${chunk.toString()}`)));
  const { path } = await buildFilter({ entry: "filters/authz/assembly/index.ts", outDir: scratch.path });
  const read = loadPolicies(folder({ "policies.yaml": policies(echo) }));
  const options = { moduleDir: scratch.path, modulePaths: { authz: path }, adminPort: null, logDenials: true };
  const { config, findings } = composeEnvoy(read, options);
  node = EdgeNode.of(read, options);
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  engines = await startBoth(config);
}, 180_000);

afterAll(async () => {
  node?.close();
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
    for (const [each, port] of Object.entries(PORTS)) ports[each] = await engine.port(`prod/gw/${port}`);
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

    it("takes no connection without a certificate, for another name, or without TLS", async () => {
      expect((await talk("db", { sni: "db.test" })).closed).toBe(true);
      expect((await talk("db", { as: "app", sni: "other.test" })).closed).toBe(true);
      expect((await talk("db", { as: "app" })).closed).toBe(true);
      expect((await talk("db", { tls: false, say: "this is no handshake at all\r\n" })).closed).toBe(true);
      expect([received, connections]).toEqual(["", 0]);
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

    it("without a route closes", async () => {
      expect(await talk("empty", { tls: false })).toEqual(denied);
    });
  });

  it("logs of each connection what explaining it takes", async () => {
    const lines = (): string[] => engine.log().split("\n").filter((each) => /"protocol":"TCP".*\}$/.test(each));
    await vi.waitFor(() => expect(lines().length).toBeGreaterThanOrEqual(11), { timeout: 10_000 });
    // Envoy listens on ports of its own.
    const asked = lines().map((line, index) => askedAgain(node, Object.entries(ports).reduce((text, [name, port]) => text.replace(`:${port}"`, `:${PORTS[name as keyof typeof PORTS]}"`), line), index + 1, "log"));
    const told = asked.map(({ arrival, request, assumed, recorded }) => {
      const { verdict, by, assumed: open } = explain(node, arrival, request, { assumed });
      expect([open, recorded.allowed === undefined ? verdict : agrees(recorded, verdict, by?.name)]).toEqual([[], recorded.allowed === undefined ? "refuse" : true]);
      return verdict;
    });
    expect([...new Set(told)].sort()).toEqual(name === "envoy" ? ["allow", "deny", "refuse"] : ["allow", "deny"]); // the host engine logs no failed handshakes
  });
});

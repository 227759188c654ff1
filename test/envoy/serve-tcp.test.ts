/** Connections that are no HTTP, to a real Envoy and to the host engine: the same bytes, ends, and lines in the log. */
import { createHash } from "node:crypto";
import { mkdirSync, readFileSync } from "node:fs";
import { connect as tcpConnect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { connect as tlsConnect } from "node:tls";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFilter } from "../../harness/build/index.ts";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { NOBODYS_PORT } from "../support/ports.ts";
import { ACCESS_LOG, mutualGateway, policyOn, tcpRoute, workload } from "../support/resources.ts";
import { carrier, doc, folder } from "../unit/compose/support.ts";
import { startBoth, type Engines } from "./fixtures/engines.ts";
import { makePki } from "./fixtures/parity.ts";

const scratch = temporaryDirectory("serve-tcp");
const servers: Server[] = [];
let engines: Engines;

const LISTENERS = ["count", "early", "reset", "down", "echo"];

const port = async (onSocket: (socket: Socket) => void): Promise<number> => {
  const server = createServer({ allowHalfOpen: true }, (socket) => onSocket(socket.on("error", () => {})));
  servers.push(server);
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  return (server.address() as AddressInfo).port;
};

beforeAll(async () => {
  mkdirSync(join(scratch.path, "pki"));
  makePki(join(scratch.path, "pki"));
  const ports: Record<string, number> = {
    // Says what it got, once it has got everything.
    count: await port((socket) => {
      const hash = createHash("sha256");
      socket.on("data", (chunk: Buffer) => hash.update(chunk)).on("end", () => socket.end(hash.digest("hex")));
    }),
    // Says much and ends, then goes on listening.
    early: await port((socket) => socket.end("x".repeat(300_000))),
    reset: await port((socket) => socket.once("data", () => socket.resetAndDestroy())),
    echo: await port((socket) => socket.on("data", (chunk) => socket.write(chunk)).on("end", () => socket.end())),
    down: NOBODYS_PORT,
  };
  const both = LISTENERS.flatMap((name) => [name, `tls-${name}`]);
  const { path } = await buildFilter({ entry: "filters/authz/assembly/index.ts", outDir: scratch.path });
  const { config, findings } = composeEnvoy(loadPolicies(folder({ "policies.yaml": doc(
    carrier(join(scratch.path, "pki/node")),
    mutualGateway(both.map((name, i) => `- { name: ${name}, port: ${7100 + i}, ${name.startsWith("tls") ? "protocol: TLS, tls: { certificateRefs: [{ name: cert }] }" : "protocol: TCP"} }`).join("\n")),
    ...LISTENERS.map((name) => workload(name, ports[name]!)),
    ...both.map((name) => tcpRoute(name, [name.replace("tls-", "")])),
    // `echo` goes through without a filter.
    ...LISTENERS.filter((name) => name !== "echo").map((name) => policyOn(name, 'rules: [{ from: [{ source: { ipBlocks: ["127.0.0.1/32"] } }] }]')),
    ACCESS_LOG,
  ) })), { moduleDir: scratch.path, modulePaths: { authz: path }, adminPort: null });
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  engines = await startBoth(config);
}, 180_000);

afterAll(async () => {
  await engines?.stop();
  for (const server of servers) server.close();
  scratch.remove();
});

interface Ended {
  bytes: number;
  hash: string;
}

/** Sends, ends its half if it is to, and takes what comes until the other end has ended too. */
function talk(port: number, tls: boolean, send: Buffer | undefined, end: boolean): Promise<Ended> {
  return new Promise((resolve) => {
    const pem = (name: string): Buffer => readFileSync(join(scratch.path, "pki/web", name));
    const socket: Socket = tls ? tlsConnect({ host: "127.0.0.1", port, rejectUnauthorized: false, cert: pem("tls.crt"), key: pem("tls.key"), allowHalfOpen: true } as never) : tcpConnect({ host: "127.0.0.1", port, allowHalfOpen: true });
    const hash = createHash("sha256");
    let bytes = 0;
    const done = (): void => {
      socket.destroy();
      resolve({ bytes, hash: hash.digest("hex") });
    };
    socket.once(tls ? "secureConnect" : "connect", () => {
      if (send) socket.write(send);
      if (end) socket.end();
    });
    let over = false;
    const once = (): void => {
      if (!over) done();
      over = true;
    };
    socket.on("data", (chunk: Buffer) => {
      bytes += chunk.length;
      hash.update(chunk);
    });
    socket.on("error", once).on("end", once).on("close", once);
  });
}

const listenerName = (name: string, tls: boolean): string => `prod/gw/${7100 + LISTENERS.indexOf(name) * 2 + (tls ? 1 : 0)}`;

describe.each([false, true])("TLS: %s", (tls) => {
  it.each<[string, string, number, boolean]>([
    ["a megabyte up, then the answer", "count", 1_000_000, true],
    ["nothing up, then the answer", "count", 0, true],
    ["what the server says, which ends first", "early", 0, false],
    ["a server that resets", "reset", 10, false],
    ["a server that isn't there", "down", 10, false],
    ["a megabyte there and back", "echo", 1_000_000, true],
  ])("%s", async (_, name, size, end) => {
    const send = size > 0 ? Buffer.alloc(size, "some text, ") : undefined;
    const [envoyPort, hostPort] = await engines.ports(listenerName(name, tls));
    const envoy = await talk(envoyPort, tls, send, end);
    const host = await talk(hostPort, tls, send, end);
    expect(host).toEqual(envoy);
    if (name === "count") expect(envoy.bytes).toBe(64);
    if (name === "echo") expect(envoy.bytes).toBe(size);
    if (name === "early") expect(envoy.bytes).toBe(300_000);
  });
});

it("logs connections alike", async () => {
  const line = async (node: Engines["envoy"], upstream: boolean): Promise<Record<string, unknown>> => {
    const [text] = await node.waitForLog(upstream ? /^\{.*"bytes_received":1000000,.*\}$/m : /^\{.*"flags":"UF.*\}$/m, 15_000);
    const { time, duration_ms, local, details, flags, ...rest } = JSON.parse(text) as Record<string, unknown>;
    expect([typeof time, typeof duration_ms, typeof local]).toEqual(["string", "number", "string"]);
    // Envoy adds what its transport says.
    return { ...rest, flags: String(flags).split(",")[0], details: upstream ? details : undefined };
  };
  for (const upstream of [true, false]) expect(await line(engines.host, upstream)).toEqual(await line(engines.envoy, upstream));
});

/** WebSockets and slow clients, byte by byte, to a real Envoy and to the host engine. */
import { createHash } from "node:crypto";
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import { NO_METRICS, pathRoute, workload } from "../support/resources.ts";
import { doc, folder, GATEWAY } from "../unit/compose/support.ts";
import { askBoth, startBoth, type Engines } from "./fixtures/engines.ts";

let server: Server;
let engines: Engines;
let ports: [number, number];

beforeAll(async () => {
  server = createServer((incoming, answer) => answer.end(JSON.stringify(Object.entries(incoming.headers).filter(([name]) => name !== "connection").sort())));
  server.on("upgrade", (incoming, socket: Socket, head) => {
    socket.on("error", () => {});
    if (incoming.url === "/ws/no") return socket.end("HTTP/1.1 403 Forbidden\r\nx-why: w\r\ncontent-length: 2\r\n\r\nno");
    if (incoming.url === "/ws/gone") return socket.destroy();
    const accept = createHash("sha1").update(`${incoming.headers["sec-websocket-key"]}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\nX-Head: ${head.length}\r\n\r\n`);
    socket.write("hello ");
    socket.on("data", (chunk: Buffer) => socket.write(chunk)).on("end", () => socket.end("bye"));
  });
  server.on("connection", (socket) => (socket.allowHalfOpen = true));
  await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
  const at = (server.address() as AddressInfo).port;
  const { config, findings } = composeEnvoy(loadPolicies(folder({ "p.yaml": doc(
    GATEWAY,
    workload("ws", at, "appProtocols: [gateway.envoyproxy.io/ws]"), workload("plain", at), pathRoute({ "/ws": "ws", "/": "plain" }),
    NO_METRICS,
  ) })), { moduleDir: "nothing is loaded", adminPort: null });
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  engines = await startBoth(JSON.parse(JSON.stringify(config).replaceAll('"request_headers_timeout":"60s"', '"request_headers_timeout":"1s"')));
  ports = await engines.ports("prod/gw/8080");
}, 120_000);

afterAll(async () => {
  await engines?.stop();
  server.closeAllConnections();
  server.close();
});

interface Step {
  /** Null: the client ends its half. */
  say: string | null;
  /** What has to have come back before the next step; undefined: the end. */
  until?: RegExp;
}

/** Takes the steps, and everything until the end. */
function talk(port: number, steps: readonly Step[]): Promise<string> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    const left = [...steps];
    let text = "";
    let waiting: RegExp | undefined;
    const next = (): void => {
      const step = left.shift();
      waiting = step?.until;
      if (step?.say === null) socket.end();
      else if (step) socket.write(Buffer.from(step.say, "latin1"));
    };
    const done = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.on("connect", next).on("data", (chunk: Buffer) => {
      text += chunk.toString("latin1");
      if (waiting?.test(text)) next();
    });
    socket.on("end", done).on("close", done).on("error", done);
  });
}

const normal = (text: string): unknown => {
  const end = text.indexOf("\r\n\r\n");
  const [line, ...lines] = text.slice(0, end).split("\r\n");
  const headers = lines.map((each) => each.replace(/^[^:]+/, (name) => name.toLowerCase())).filter((each) => !/^(date|transfer-encoding|content-length|connection: close|keep-alive)/.test(each)).sort();
  // Envoy sends this one in chunks.
  const body = text.slice(end + 4).replace(/^2\r\nno\r\n0\r\n\r\n$/, "no");
  return { line, headers, body };
};

async function both(steps: readonly Step[]): Promise<string> {
  const envoy = await talk(ports[0], steps);
  const host = await talk(ports[1], steps);
  expect(normal(host)).toEqual(normal(envoy));
  return envoy;
}

const wish = (path: string, more = "", upgrade = "websocket", connection = "Upgrade"): string =>
  `GET ${path} HTTP/1.1\r\nHost: x\r\nConnection: ${connection}\r\nUpgrade: ${upgrade}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n${more}\r\n`;

describe("a WebSocket", () => {
  it("goes both ways, and ends from either side", async () => {
    const text = await both([{ say: wish("/ws"), until: /hello $/ }, { say: "first", until: /first$/ }, { say: "second", until: /second$/ }, { say: null }]);
    expect(text).toMatch(/^HTTP\/1\.1 101 /);
    expect(text).toContain("hello firstsecond");
  });

  it.each<[string, string]>([
    ["another spelling", wish("/ws", "", "WebSocket", "keep-alive, upgrade")],
    ["a route that has none", wish("/plain")],
    ["no route's protocol", wish("/ws", "", "tls/1.0")],
    ["a backend that doesn't want to", wish("/ws/no")],
    ["a backend that breaks off", wish("/ws/gone")],
    ["a path that is put straight", wish("/x/../ws/./")],
  ])("%s", async (_, bytes) => {
    await both([{ say: bytes, until: /hello |HTTP\/1\.1 [2-5]/ }, { say: null }]);
  });

  it("carries a megabyte", async () => {
    const text = await both([{ say: wish("/ws"), until: /hello $/ }, { say: `${"x".repeat(1_000_000)}.`, until: /\.$/ }, { say: null }]);
    expect(text.length).toBeGreaterThan(1_000_000);
  });

  it("leaves other requests on such a listener as they are", async () => {
    await askBoth(ports, "/ws/plain");
    await askBoth(ports, "/plain", { method: "POST", body: "abc" });
    // A wish for HTTP/2 is overlooked.
    await both([{ say: `GET /plain HTTP/1.1\r\nHost: x\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\nConnection: close\r\n\r\n` }]);
  });
});

describe("a slow client", () => {
  it.each<[string, string]>([["that never finishes its headers", "GET / HTTP/1.1\r\nHost: x\r\nx-a: "], ["that stops after a byte", "G"]])("%s is answered", async (_, bytes) => {
    expect(await both([{ say: bytes }])).toMatch(/^HTTP\/1\.1 408 .*request header timeout$/s);
  });

  it("between requests may take its time, but not within one", async () => {
    const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
    for (const port of ports) {
      const text = await talk(port, [{ say: get, until: /\]/ }, { say: get, until: /\].*\]/s }, { say: "GET / HTTP" }]);
      expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 408"]);
    }
  });
});

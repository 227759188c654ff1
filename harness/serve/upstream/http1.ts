/** HTTP/1.1 towards an endpoint, over kept connections. */
import { Agent, request, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { HeaderMap } from "../../host/index.ts";
import type { Connector } from "./connect.ts";
import { ConnectError } from "./connect.ts";
import type { Endpoint, Failure, UpstreamCall, UpstreamEvents } from "./request.ts";

/** Methods whose requests have no body unless they say so. */
const BODILESS = new Set(["GET", "HEAD", "TRACE", "CONNECT", "DELETE"]);
/** Envoy's defaults for what upstreams answer. */
const MAX_RESPONSE_HEADER_BYTES = 80 * 1024;
const MAX_RESPONSE_HEADERS = 100;
const HOP = new Set(["connection", "keep-alive", "proxy-connection", "transfer-encoding"]);

/** Node's agent, with connections that are ours to open. */
export class PoolAgent extends Agent {
  readonly #connect: Connector;

  constructor(connect: Connector, maxConnections: number, idleMs: number) {
    super({ keepAlive: true, maxSockets: maxConnections, maxFreeSockets: maxConnections, scheduling: "lifo", timeout: idleMs });
    this.#connect = connect;
  }

  override createConnection(options: { host: string; port: number }, done: (error: Error | null, stream: Duplex) => void): Duplex {
    this.#connect(options.host, options.port, (error, socket) => done(error, socket as Duplex));
    return undefined as unknown as Duplex; // the callback has it
  }
}

export function callHttp1(agent: PoolAgent, endpoint: Endpoint, headers: HeaderMap, endStream: boolean, events: UpstreamEvents): UpstreamCall {
  let over = false;
  const finish = (action: () => void): void => {
    if (over) return;
    over = true;
    action();
  };
  const method = headers.get(":method") ?? "GET";
  const upgrading = headers.get("upgrade") !== undefined;
  const call = request({
    agent,
    host: endpoint.host,
    port: endpoint.port,
    method,
    path: headers.get(":path") ?? "/",
    headers: upgrading ? upgradeHeaders(headers) : wireHeaders(headers, endStream, method),
    maxHeaderSize: MAX_RESPONSE_HEADER_BYTES,
    setDefaultHeaders: false,
  } as never);
  call.setNoDelay(true);
  call.on("socket", () => !over && events.connected());
  call.on("drain", () => !over && events.drained());
  call.on("error", (error: NodeJS.ErrnoException) => finish(() => events.failed(failureOf(error))));
  call.on("upgrade", (response: IncomingMessage, socket: Socket, head: Buffer) => {
    if (!upgrading || over) {
      socket.destroy();
      return finish(() => events.failed({ kind: "protocol" }));
    }
    tunnel = socket;
    socket.setTimeout(0);
    socket.on("error", () => {}); // "close" follows
    socket.on("drain", () => !over && events.drained());
    socket.on("close", () => finish(() => events.failed({ kind: "reset", reason: "connection termination" })));
    events.headers(responseHeaders(response), false);
    if (head.length > 0 && !over) events.data(head, false);
    socket.on("data", (chunk: Buffer) => !over && events.data(chunk, false));
    socket.on("end", () => finish(() => events.data(EMPTY, true)));
    for (const chunk of early.splice(0)) socket.write(chunk);
    if (ended) socket.end();
    if (paused) socket.pause();
  });
  call.on("response", (response) => {
    if (over) return;
    if (response.rawHeaders.length > 2 * MAX_RESPONSE_HEADERS) {
      response.destroy();
      return finish(() => events.failed({ kind: "protocol", reason: "too many headers" }));
    }
    const bodiless = method === "HEAD" || response.statusCode === 204 || response.statusCode === 304 || response.headers["content-length"] === "0";
    response.on("data", (chunk: Buffer) => !over && events.data(chunk, false));
    response.on("end", () => (response.complete ? finish(() => !bodiless && events.data(EMPTY, true)) : undefined));
    response.on("close", () => finish(() => events.failed({ kind: "reset", reason: "connection termination" })));
    response.on("error", () => {}); // "close" follows
    current = response;
    if (paused) response.pause();
    events.headers(responseHeaders(response), bodiless);
  });
  let current: IncomingMessage | undefined;
  let paused = false;
  /** The connection, once it isn't HTTP's any more. */
  let tunnel: Socket | undefined;
  const early: Uint8Array[] = [];
  let ended = false;
  if (endStream || upgrading) call.end();
  else call.flushHeaders();
  return {
    write(data) {
      if (!upgrading) return call.write(data);
      if (tunnel) return tunnel.write(data);
      early.push(data);
      return false;
    },
    end() {
      ended = true;
      if (upgrading) tunnel?.end();
      else call.end();
    },
    abort: () => finish(() => (tunnel ?? call).destroy()),
    pause() {
      paused = true;
      (tunnel ?? current)?.pause();
    },
    resume() {
      paused = false;
      (tunnel ?? current)?.resume();
    },
  };
}

const EMPTY = new Uint8Array(0);

/** What Node's parser can't read isn't HTTP; anything else is the connection's. */
function failureOf(error: NodeJS.ErrnoException): Failure {
  if (error instanceof ConnectError) return error.failure;
  return { kind: error.code?.startsWith("HPE_") ? "protocol" : "reset", reason: error.message };
}

/** Flat, as Node takes them: the host first, then what the filters left. */
export function wireHeaders(headers: HeaderMap, endStream: boolean, method: string): string[] {
  const wire = ["host", headers.get(":authority") ?? ""];
  const { entries } = headers;
  for (let i = 0; i < entries.length; i += 2) {
    if (!entries[i]!.startsWith(":") && !HOP.has(entries[i]!)) wire.push(entries[i]!, entries[i + 1]!);
  }
  if (headers.get("content-length") === undefined) {
    if (!endStream) wire.push("transfer-encoding", "chunked");
    else if (!BODILESS.has(method)) wire.push("content-length", "0");
  }
  wire.push("connection", "keep-alive");
  return wire;
}

/** Without a body, and with what asks for another protocol. */
function upgradeHeaders(headers: HeaderMap): string[] {
  const wire = ["host", headers.get(":authority") ?? ""];
  const { entries } = headers;
  for (let i = 0; i < entries.length; i += 2) {
    if (!entries[i]!.startsWith(":") && (entries[i] === "connection" || !HOP.has(entries[i]!))) wire.push(entries[i]!, entries[i + 1]!);
  }
  return wire;
}

function responseHeaders(response: IncomingMessage): HeaderMap {
  const headers = HeaderMap.fromPairs([[":status", String(response.statusCode ?? 502)]], "response");
  const { rawHeaders } = response;
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!.toLowerCase();
    if (!HOP.has(name) || (name === "connection" && response.statusCode === 101)) headers.add(name, rawHeaders[i + 1]!);
  }
  return headers;
}

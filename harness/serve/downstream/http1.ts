/** HTTP/1.1 from clients. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { Connection, HeaderMap } from "../../host/index.ts";
import type { RawRequest, Refusal } from "../admit.ts";
import type { Chain } from "../chain.ts";
import { ServedStream, type ClientSide } from "../stream.ts";
import { HeaderWatch } from "./header-watch.ts";
import { RawClient } from "./raw-client.ts";
import { serveUpgrade, withoutHttp2 } from "./upgrade.ts";

/** So that Node leaves it to the checks that come later to count. */
const SLACK_BYTES = 4096;

/** A server that is handed connections; it never listens itself. */
export function http1Server(chain: Chain, connectionOf: (socket: Duplex) => Connection): Server {
  const { limits } = chain;
  const server = createServer({ maxHeaderSize: limits.headerBytes + SLACK_BYTES, keepAliveTimeout: limits.idleMs, requireHostHeader: false, noDelay: true });
  server.maxHeadersCount = 0;
  server.timeout = limits.streamIdleMs;
  /** The newest request of a connection. */
  const latest = new WeakMap<Duplex, ServedStream>();
  const watch = new HeaderWatch(limits.headersMs, (socket) => refuse(chain, connectionOf(socket), socket, { status: 408, body: "request header timeout", details: "request_header_timeout", headers: [] }));
  server.on("connection", (socket: Socket) => watch.add(socket));
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    watch.requestBegan(request.socket);
    response.once("close", () => watch.requestEnded(request.socket));
    serveRequest(chain, connectionOf(request.socket), request, response, (stream) => latest.set(request.socket, stream));
  };
  server.on("timeout", (socket: Duplex) => {
    const stream = latest.get(socket);
    if (stream && !stream.http.ended) stream.idle();
    else socket.destroy();
  });
  server.on("request", serve);
  // Node reads requests no further on a connection where somebody listens for this.
  if (chain.upgrades) server.on("upgrade", (request: IncomingMessage, socket: Socket, head: Buffer) => {
    watch.forget(socket);
    serveUpgrade(chain, connectionOf(socket), request, rawRequest(request), socket, head);
  });
  server.on("checkExpectation", serve);
  server.on("connect", (_: IncomingMessage, socket: Duplex) => refuse(chain, connectionOf(socket), socket, { status: 404, body: "", details: "route_not_found", headers: [] }));
  server.on("clientError", (error: ParserError, socket: Duplex) => {
    const stream = latest.get(socket);
    if (!socket.writable || error.code === "ECONNRESET") return void socket.destroy();
    if (stream && !stream.requestComplete && error.code !== "HPE_INVALID_EOF_STATE" && (stream.http.ended || !stream.answering)) {
      // A body that is none; its request may have been answered without it, and is followed by nothing.
      return stream.http.ended ? undefined : stream.refuse(refusalOf(error), stream.http.requestHeaders);
    }
    // What comes in pieces fails in pieces: an answer that has begun is not followed by another one.
    if (stream && !stream.http.ended) return void socket.destroy();
    refuse(chain, connectionOf(socket), socket, refusalOf(error));
  });
  return server;
}

interface ParserError extends NodeJS.ErrnoException {
  reason?: string;
}

function refusalOf({ code, reason }: ParserError): Refusal {
  const [status, body] =
    code === "HPE_HEADER_OVERFLOW" ? ([431, "Request Header Fields Too Large"] as const) : code === "HPE_INVALID_TRANSFER_ENCODING" && !/content-length/i.test(reason ?? "") ? ([501, "Not Implemented"] as const) : ([400, "Bad Request"] as const);
  return { status, body, details: "http1.codec_error", headers: [] };
}

/** Answers what Node gives no response object for, through the filters, which count it; and closes. */
function refuse(chain: Chain, connection: Connection, socket: Duplex, refusal: Refusal): void {
  chain.received();
  new ServedStream(chain, connection, "HTTP/1.1", new RawClient(socket)).refuse(refusal);
}

function rawRequest(request: IncomingMessage): RawRequest {
  return withoutHttp2({
    protocol: request.httpVersion === "1.1" ? "HTTP/1.1" : "HTTP/1.0",
    method: request.method ?? "",
    target: request.url ?? "",
    pairs: pairsOf(request.rawHeaders),
  });
}

function serveRequest(chain: Chain, connection: Connection, request: IncomingMessage, response: ServerResponse, made: (stream: ServedStream) => void): void {
  const raw = rawRequest(request);
  const admission = chain.admit(raw, connection);
  const client = new Http1Client(request, response, () => stream.requestComplete);
  const stream: ServedStream = new ServedStream(chain, connection, raw.protocol, client);
  made(stream);
  response.on("drain", () => stream.clientDrained());
  response.on("close", () => {
    clearTimeout(late);
    if (!response.writableFinished) stream.aborted();
  });
  request.on("error", () => stream.aborted());
  const late = setTimeout(() => !stream.requestComplete && stream.refuse({ status: 408, body: "request timeout", details: "request_overall_timeout", headers: [] }), chain.limits.requestMs);
  late.unref();
  const unread = undecodable(request);
  if (unread || admission.refusal) {
    request.resume();
    return stream.refuse((unread ?? admission.refusal)!, unread ? undefined : admission.headers);
  }
  const length = request.headers["content-length"];
  const bodiless = request.headers["transfer-encoding"] === undefined && (length === undefined || Number(length) === 0);
  if (!bodiless) {
    request.on("data", (chunk: Buffer) => stream.data(chunk));
    // Envoy's codec drops HTTP/1 trailers unless it is told to keep them.
    request.on("end", () => request.complete && stream.end());
  }
  stream.request(admission.headers, bodiless, raw);
}

/** Node reads a body whose last coding is chunked, and leaves the others to whoever wants it; Envoy wants no other. */
function undecodable({ headers }: IncomingMessage): Refusal | undefined {
  const coding = headers["transfer-encoding"];
  return coding === undefined || /^chunked$/i.test(coding) ? undefined : { status: 501, body: "Not Implemented", details: "http1.invalid_transfer_encoding", headers: [] };
}

class Http1Client implements ClientSide {
  readonly #request: IncomingMessage;
  readonly #response: ServerResponse;
  readonly #requestComplete: () => boolean;
  #paused = false;

  constructor(request: IncomingMessage, response: ServerResponse, requestComplete: () => boolean) {
    this.#request = request;
    this.#response = response;
    this.#requestComplete = requestComplete;
  }

  respond(headers: HeaderMap, endStream: boolean): void {
    const status = Number(headers.get(":status"));
    const { entries } = headers;
    const wire: string[] = [];
    for (let i = 0; i < entries.length; i += 2) if (!entries[i]!.startsWith(":")) wire.push(entries[i]!, entries[i + 1]!);
    if (headers.get("content-length") === undefined && status !== 204) {
      if (!endStream || this.#request.method === "HEAD") wire.push("transfer-encoding", "chunked");
      else if (status !== 304) wire.push("content-length", "0");
    }
    const closing = !this.#requestComplete() || this.#request.httpVersion !== "1.1" || /\bclose\b/i.test(this.#request.headers.connection ?? "");
    if (closing) {
      wire.push("connection", "close");
      this.#response.once("finish", () => this.#request.socket.destroySoon());
    } else this.#response.removeHeader("connection"); // Node would say keep-alive
    this.#response.sendDate = false;
    this.#response.writeHead(status, wire);
    if (endStream) this.#response.end();
    else this.#response.flushHeaders();
  }

  write(data: Uint8Array): boolean {
    return this.#response.write(data);
  }

  end(): void {
    this.#response.end();
  }

  reset(): void {
    this.#request.socket.destroy();
  }

  pause(): void {
    if (!this.#paused) this.#request.pause();
    this.#paused = true;
  }

  resume(): void {
    if (this.#paused) this.#request.resume();
    this.#paused = false;
  }
}

function pairsOf(rawHeaders: readonly string[]): [string, string][] {
  const pairs: [string, string][] = [];
  for (let i = 0; i < rawHeaders.length; i += 2) pairs.push([rawHeaders[i]!, rawHeaders[i + 1]!]);
  return pairs;
}

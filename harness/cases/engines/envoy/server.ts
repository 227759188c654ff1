/** A server behind Envoy, for HTTP/1.1 or HTTP/2: reads requests as a whole and answers as it is told. */
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { constants, createServer as createHttp2Server, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo, Server as NetServer, Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { onCleanup } from "../../../cleanup.ts";
import type { AnswerPlan, HeaderPairs, Protocol } from "../../messages.ts";
import { objectOf, pairsOf, writeChunks } from "./wire.ts";

export interface Received {
  method: string;
  path: string;
  headers: HeaderPairs;
  body: Uint8Array;
  trailers: HeaderPairs;
}

/**
 * Chooses the answer to a whole request: "silent" is none, ever; undefined breaks the connection. One that Node refuses to send breaks it
 * too: a request that was given up may arrive when the case that it is of is over, and the answer is one for another protocol.
 */
export type Answerer = (request: Received) => AnswerPlan | "silent" | undefined;

export class Server {
  readonly #sockets = new Set<Socket>();
  readonly #server: NetServer;
  readonly #forget: () => void;
  #port = 0;

  private constructor(protocol: Protocol, answerer: Answerer) {
    this.#server = protocol === "http2" ? http2Server(answerer) : http1Server(answerer);
    this.#server.on("connection", (socket: Socket) => {
      this.#sockets.add(socket);
      socket.on("error", () => {});
      socket.on("close", () => this.#sockets.delete(socket));
    });
    this.#forget = onCleanup({ name: "server", run: () => this.close(), now: () => {} });
  }

  static async start(protocol: Protocol, answerer: Answerer): Promise<Server> {
    const server = new Server(protocol, answerer);
    await server.#listen();
    return server;
  }

  get port(): number {
    return this.#port;
  }

  get listening(): boolean {
    return this.#server.listening;
  }

  /** Whether anybody can connect; the port stays the same. */
  async setListening(listening: boolean): Promise<void> {
    if (listening === this.listening) return;
    await (listening ? this.#listen() : this.#stop());
  }

  async close(): Promise<void> {
    this.#forget();
    if (this.listening) await this.#stop();
  }

  #listen(): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once("error", reject);
      this.#server.listen(this.#port, "127.0.0.1", () => {
        this.#port = (this.#server.address() as AddressInfo).port;
        resolve();
      });
    });
  }

  #stop(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      for (const socket of this.#sockets) socket.destroy();
    });
  }
}

function http1Server(answerer: Answerer): NetServer {
  // Whatever Envoy lets through.
  const server = createServer({ maxHeaderSize: 128 * 1024 }, (request, response) => void serve(request, response, answerer).catch(() => request.socket.destroy()));
  // Envoy keeps connections; the server must not be the first to close one.
  server.keepAliveTimeout = 0;
  return server;
}

async function serve(request: IncomingMessage, response: ServerResponse, answerer: Answerer): Promise<void> {
  const body = await readAll(request);
  if (body === undefined) return; // broken off: nothing to answer
  const plan = answerer({ method: request.method ?? "", path: request.url ?? "", headers: pairsOf(request.rawHeaders), body, trailers: pairsOf(request.rawTrailers) });
  if (plan === "silent") return;
  if (plan !== undefined && plan.delayMs > 0) await sleep(plan.delayMs);
  if (plan === undefined || plan.reset) return void request.socket.destroy();
  response.sendDate = false;
  response.removeHeader("connection"); // Node would say keep-alive, and a filter would see it
  const head = request.method === "HEAD";
  response.writeHead(plan.status, plan.headers.flat());
  if (!head && plan.body.length > 0) response.flushHeaders();
  if (!head && (await writeChunks(plan.body, response)) === "reset") return void request.socket.destroy();
  if (!head && plan.trailers.length > 0) response.addTrailers(plan.trailers);
  response.end();
}

function http2Server(answerer: Answerer): NetServer {
  const server = createHttp2Server();
  server.on("session", (session) => session.on("error", () => {}));
  server.on("stream", (stream, _parsed, _flags, ...rest: unknown[]) => {
    stream.on("error", () => {});
    void serveHttp2(stream, pairsOf((rest[0] as string[] | undefined) ?? []), answerer).catch(() => stream.destroy());
  });
  return server as unknown as NetServer;
}

async function serveHttp2(stream: ServerHttp2Stream, all: HeaderPairs, answerer: Answerer): Promise<void> {
  let trailers: HeaderPairs = [];
  stream.on("trailers", (_parsed: unknown, _flags: unknown, ...rest: unknown[]) => (trailers = pairsOf((rest[0] as string[] | undefined) ?? [])));
  const body = await readAll(stream);
  if (body === undefined) return;
  const pseudo = (name: string): string => all.find(([each]) => each === name)?.[1] ?? "";
  const plan = answerer({ method: pseudo(":method"), path: pseudo(":path"), headers: all.filter(([name]) => !name.startsWith(":")), body, trailers });
  if (plan === "silent") return;
  if (plan !== undefined && plan.delayMs > 0) await sleep(plan.delayMs);
  if (stream.destroyed) return;
  if (plan === undefined || plan.reset) return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  const waitForTrailers = plan.trailers.length > 0;
  stream.respond({ ":status": plan.status, ...objectOf(plan.headers) }, { waitForTrailers, endStream: plan.body.length === 0 && !waitForTrailers, sendDate: false } as object);
  if (waitForTrailers) stream.on("wantTrailers", () => stream.sendTrailers(objectOf(plan.trailers)));
  if ((await writeChunks(plan.body, stream)) === "reset") return stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  if (!stream.destroyed && !stream.writableEnded) stream.end();
}

/** Undefined: it broke off. */
async function readAll(stream: AsyncIterable<unknown>): Promise<Buffer | undefined> {
  const chunks: Buffer[] = [];
  try {
    for await (const chunk of stream) chunks.push(chunk as Buffer);
  } catch {
    return undefined;
  }
  return Buffer.concat(chunks);
}

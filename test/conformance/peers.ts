import { Agent, createServer, request as httpRequest, type Server, type ServerResponse } from "node:http";
import { createServer as createHttp2Server, type Http2Server } from "node:http2";
import type { AddressInfo } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { NOBODYS_PORT } from "../support/ports.ts";
import { comparableHeaders, NO_ANSWER, observe, type Observations, type Scenario, type ScenarioRequest } from "./scenario.ts";

const pairs = (raw: readonly string[]): [string, string][] => Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i]!.toLowerCase(), Buffer.from(raw[2 * i + 1]!, "latin1").toString("utf8")]);

/** Between two pieces of a body, so that the proxy sees two. */
const CHUNK_GAP_MS = 50;

/** Servers on 127.0.0.1 that Envoy reaches: `close` ends them. */
export interface Peers {
  upstreamPort: number;
  calleePort: number;
  /** A port that nobody listens on. */
  nobodyPort: number;
  grpcPort: number;
  close(): Promise<void>;
}

/** Starts the upstream, which answers each request as its scenario says, and the callee of callouts. */
export async function startPeers(scenarios: readonly Scenario[], results: ReadonlyMap<string, Observations>): Promise<Peers> {
  const upstream = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      const [id, index] = String(request.headers["x-case"] ?? "").split("/");
      const spec = scenarios.find((scenario) => scenario.id === id)?.requests?.[Number(index)]?.response ?? {};
      const body = Buffer.concat(chunks).toString();
      observe(results.get(id!)!, `upstream.${index}`, `${comparableHeaders(pairs(request.rawHeaders))} | ${body} | ${comparableHeaders(pairs(request.rawTrailers))}`);
      if (spec.reset) request.socket.destroy();
      else void answer(response, spec);
    });
    request.on("error", () => {});
  });
  const callee = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on("data", (chunk: Buffer) => chunks.push(chunk));
    request.on("end", () => {
      if (request.url === "/slow") return;
      if (request.url === "/reset") {
        response.writeHead(200, { "content-length": "100" });
        response.write("part");
        setTimeout(() => request.socket.destroy(), 20);
        return;
      }
      response.sendDate = false;
      response.writeHead(200, { "x-callee": "yes", "x-length": request.headers["content-length"] ?? "none" });
      response.end(`answer to ${request.url}: ${Buffer.concat(chunks).toString()}`);
    });
  });
  const grpc = grpcServer();
  const grpcPort = await listen(grpc as unknown as Server);
  const upstreamPort = await listen(upstream);
  const calleePort = await listen(callee);
  const stop = (server: Server) =>
    new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
    const stopGrpc = () => new Promise<void>((resolve) => grpc.close(() => resolve()));
  return { upstreamPort, calleePort, nobodyPort: NOBODYS_PORT, grpcPort, close: async () => void (await Promise.all([stop(upstream), stop(callee), stopGrpc()])) };
}

/** A gRPC server without protocol buffers: Ok and Slow are unary, Fail fails, Echo is a stream. */
function grpcServer(): Http2Server {
  const server = createHttp2Server();
  server.on("session", (session) => session.on("error", () => {}));
  server.on("stream", (stream, headers) => {
    stream.on("error", () => {});
    const method = String(headers[":path"]).split("/").at(-1);
    if (method === "Slow") return;
    if (method === "Fail") {
      stream.respond({ ":status": 200, "content-type": "application/grpc", "grpc-status": "5", "grpc-message": "not here" }, { endStream: true });
      return;
    }
    stream.respond({ ":status": 200, "content-type": "application/grpc", ...(method === "Echo" && { "x-init": "1" }) }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", ...(method === "Echo" && { "x-trail": "2" }) }));
    let pending = Buffer.alloc(0);
    stream.on("data", (chunk: Buffer) => {
      pending = Buffer.concat([pending, chunk]);
      while (pending.length >= 5 && pending.length >= 5 + pending.readUInt32BE(1)) {
        const size = pending.readUInt32BE(1);
        const message = pending.subarray(5, 5 + size);
        pending = pending.subarray(5 + size);
        const answer = method === "Echo" ? message : Buffer.concat([Buffer.from("pong "), message]);
        const frame = Buffer.alloc(5);
        frame.writeUInt32BE(answer.length, 1);
        stream.write(Buffer.concat([frame, answer]));
      }
    });
    stream.on("end", () => stream.end());
  });
  return server;
}

const listen = (server: Server): Promise<number> => new Promise((resolve) => server.listen(0, "127.0.0.1", () => resolve((server.address() as AddressInfo).port)));

async function answer(response: ServerResponse, spec: NonNullable<ScenarioRequest["response"]>): Promise<void> {
  if (spec.delayMs !== undefined) await sleep(spec.delayMs);
  response.sendDate = false;
  const headers = (spec.headers ?? []).flat();
  if (spec.trailers !== undefined) headers.push("trailer", spec.trailers.map(([name]) => name).join(","));
  if (spec.body === undefined && spec.trailers === undefined && spec.status !== 204) headers.push("content-length", "0");
  response.writeHead(spec.status ?? 200, headers);
  for (const [i, chunk] of (spec.body ?? []).entries()) {
    if (i > 0) await sleep(CHUNK_GAP_MS);
    response.write(chunk);
  }
  if (spec.body !== undefined) await sleep(CHUNK_GAP_MS);
  if (spec.trailers !== undefined) response.addTrailers(Object.fromEntries(spec.trailers));
  response.end();
}

/** Sends a request of a scenario to Envoy and notes what came back. @param agent keeps the connection for the next one */
export async function send(port: number, scenario: Scenario, request: ScenarioRequest, index: number, observations: Observations, agent: Agent | false = false): Promise<void> {
  const value = await new Promise<string>((resolve) => {
    const headers = ["host", "probe.test", ...(request.headers ?? []).flatMap(([name, text]) => [name, Buffer.from(text, "utf8").toString("latin1")]), "x-case", `${scenario.id}/${index}`];
    if (request.body !== undefined || request.trailers !== undefined) headers.push("transfer-encoding", "chunked");
    const client = httpRequest({ host: "127.0.0.1", port, method: request.method ?? "GET", path: request.path, headers, agent, setHost: false });
    const giveUp = setTimeout(() => {
      resolve(NO_ANSWER);
      client.destroy();
    }, request.giveUpMs ?? 5000);
    client.on("response", (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", () => resolve(NO_ANSWER));
      response.on("end", () => {
        clearTimeout(giveUp);
        const trailers = comparableHeaders(pairs(response.rawTrailers));
        resolve(`${response.statusCode} | ${comparableHeaders(pairs(response.rawHeaders))} | ${Buffer.concat(chunks).toString()} | ${trailers}`);
      });
    });
    client.on("error", () => {
      clearTimeout(giveUp);
      resolve(NO_ANSWER);
    });
    void write();
    async function write(): Promise<void> {
      for (const [i, chunk] of (request.body ?? []).entries()) {
        if (i > 0) await sleep(CHUNK_GAP_MS);
        else await sleep(20);
        if (client.destroyed) return;
        client.write(chunk);
      }
      if (request.body !== undefined) await sleep(CHUNK_GAP_MS);
      if (request.trailers !== undefined) client.addTrailers(request.trailers);
      client.end();
    }
  });
  observe(observations, `client.${index}`, value);
}

/** A request over HTTP/1.1, or the very bytes that a case gives. */
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { RequestPlan } from "../../plan.ts";
import { NO_ANSWER, TIMEOUT_MS, type Answer } from "./client.ts";
import { pairsOf, writeChunks } from "./wire.ts";

export function sendHttp1(plan: RequestPlan, socket: Socket): Promise<Answer> {
  const { method, path, host, headers, body, trailers } = plan;
  return new Promise((resolve, reject) => {
    let answer: Promise<Answer> | undefined;
    const call = httpRequest({ createConnection: () => socket, method, path, headers: [...(host === null ? [] : ["host", host]), ...headers.flat()], setHost: false }, (response) => {
      answer = readResponse(response);
      void answer.then(finish);
    });
    let late = false;
    const timer = setTimeout(() => ((late = true), call.destroy()), TIMEOUT_MS);
    const abort = plan.abortMs === undefined ? undefined : setTimeout(() => socket.destroy(), plan.abortMs);
    const finish = (result: Answer): void => {
      clearTimeout(timer);
      clearTimeout(abort);
      resolve(result);
    };
    call.on("error", (error: NodeJS.ErrnoException) => {
      if (answer !== undefined) return;
      if (late || error.code === "ECONNRESET" || error.code === "EPIPE" || plan.abortMs !== undefined) finish(NO_ANSWER);
      else reject(error);
    });
    if (trailers.length) call.addTrailers(trailers);
    call.flushHeaders();
    void writeChunks(body, call).then(() => call.end());
  });
}

function readResponse(response: IncomingMessage): Promise<Answer> {
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    response.on("data", (chunk: Buffer) => chunks.push(chunk));
    response.on("error", () => {});
    response.on("close", () => resolve({ status: response.statusCode, headers: pairsOf(response.rawHeaders), body: Buffer.concat(chunks), trailers: pairsOf(response.rawTrailers), complete: response.complete }));
  });
}

/** Sends these bytes and reads one answer: its head, and what follows until the server closes or its length is reached. */
export function sendRaw({ abortMs }: RequestPlan, raw: string, socket: Socket): Promise<Answer> {
  return new Promise((resolve) => {
    let received = Buffer.alloc(0);
    const finish = (): void => {
      clearTimeout(timer);
      resolve(parse(received) ?? NO_ANSWER);
    };
    const timer = setTimeout(() => socket.destroy(), abortMs ?? TIMEOUT_MS);
    socket.on("data", (chunk: Buffer) => {
      received = Buffer.concat([received, chunk]);
      if (parse(received)?.complete) finish();
    });
    socket.on("close", finish);
    socket.write(Buffer.from(raw, "latin1"));
  });
}

function parse(received: Buffer): Answer | undefined {
  const end = received.indexOf("\r\n\r\n");
  const match = /^HTTP\/1\.[01] (\d{3})/.exec(received.toString("latin1", 0, 12));
  if (end < 0 || !match) return undefined;
  const headers = received.toString("latin1", 0, end).split("\r\n").slice(1).map((line): [string, string] => {
    const colon = line.indexOf(":");
    return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
  });
  const body = received.subarray(end + 4);
  const length = headers.find(([name]) => name === "content-length")?.[1];
  const chunked = headers.some(([name, value]) => name === "transfer-encoding" && value === "chunked");
  const complete = chunked ? body.includes("0\r\n\r\n") : body.length >= Number(length ?? 0);
  return { status: Number(match[1]), headers, body, trailers: [], complete };
}

/** Requests and answers as a case writes them, with every default filled in. Pure. */
import { encodeStatusText, frame, messageList } from "./grpc.ts";
import type { AnsweredBodySpec, GrpcAnswerSpec } from "./schema-parts.ts";
import type { CallAnswerSpec } from "./schema-calls.ts";
import type { ConnectionSpec } from "./schema-connections.ts";
import type { HeadersSpec, RequestSpec, UpstreamSpec } from "./schema.ts";
import { substitute } from "./table.ts";

export type HeaderPairs = [name: string, value: string][];
export type Protocol = "http1" | "http2";

/** A piece of a body, a pause before the next one, or the end of the connection. */
export type Chunk = Uint8Array | { waitMs: number } | "reset";

/** The client's certificate. */
export interface PeerPlan {
  uriSans: string[];
}

/** Who sends, and where to. */
export interface SenderPlan {
  tls: boolean;
  sni?: string;
  peer?: PeerPlan;
  source: string;
  direct: string;
  destination?: { address: string; port: number };
}

export interface RequestPlan extends SenderPlan {
  method: string;
  path: string;
  /** Null: the request names no host. */
  host: string | null;
  headers: HeaderPairs;
  /** Empty: no body. */
  body: Chunk[];
  trailers: HeaderPairs;
  protocol: Protocol;
  /** After this time the client goes away. */
  abortMs?: number;
  /** Sent as it is, instead of all of the above. */
  raw?: string;
  route: string | null;
  metadata?: Record<string, unknown>;
  properties: Record<string, unknown>;
}

export interface AnswerPlan {
  status: number;
  headers: HeaderPairs;
  body: Chunk[];
  trailers: HeaderPairs;
  delayMs: number;
  /** Breaks off before it answers. */
  reset: boolean;
}

export interface UpstreamPlan extends AnswerPlan {
  protocol: Protocol;
}

/** Milliseconds of `50ms` or `2s`. */
export function milliseconds(duration: string): number {
  return duration.endsWith("ms") ? Number(duration.slice(0, -2)) : Number(duration.slice(0, -1)) * 1000;
}

/** Whatever the headers say: RFC 9112, section 6.3. */
export const hasNoBody = (status: number): boolean => status < 200 || status === 204 || status === 304;

/** Methods of requests that say nothing of a body that they don't have. With the others clients say that its length is 0. */
const BODILESS: ReadonlySet<string> = new Set(["GET", "HEAD", "DELETE", "OPTIONS", "TRACE", "CONNECT"]);

/** The n-th of a step's requests. */
export function planRequest(spec: RequestSpec, n: number): RequestPlan {
  const request = substitute(spec, { n: String(n) }) as RequestSpec;
  const grpc = request.grpc !== undefined;
  const protocol = request.protocol ?? (grpc ? "http2" : "http1");
  const body = grpc ? messageList(request.grpc).map(frame) : chunksOf(request.body);
  const headers = pairs(request.headers);
  const trailers = pairs(request.trailers);
  const has = (name: string): boolean => headers.some(([each]) => each === name);
  const add = (name: string, value: string): void => {
    if (!has(name)) headers.push([name, value]);
  };
  if (grpc) {
    add("content-type", "application/grpc");
    add("te", "trailers");
  }
  const streamed = grpc || Array.isArray(request.body) || trailers.length > 0;
  if (protocol === "http1" && streamed) add("transfer-encoding", "chunked");
  else if (!streamed && (body.length > 0 || (protocol === "http1" && !BODILESS.has(request.method ?? "GET"))) && !has("transfer-encoding")) add("content-length", String(bytesIn(body)));
  return {
    method: request.method ?? (grpc ? "POST" : "GET"),
    path: request.path ?? "/",
    host: request.host === undefined ? "example.test" : request.host,
    headers,
    body,
    trailers,
    protocol,
    ...(request.abort !== undefined && { abortMs: milliseconds(request.abort) }),
    ...(request.raw !== undefined && { raw: request.raw }),
    ...planSender(request),
    route: request.route === undefined ? "default" : request.route,
    ...(request.metadata && { metadata: request.metadata }),
    properties: request.properties ?? {},
  };
}

export function planSender(sender: Omit<ConnectionSpec, "send">): SenderPlan {
  const peer = sender.peer === undefined ? undefined : { uriSans: list(sender.peer) };
  const source = sender.source ?? "127.0.0.1";
  return {
    tls: peer !== undefined || sender.sni !== undefined || sender.tls === true,
    sni: sender.sni,
    peer,
    source,
    direct: sender.direct ?? (source.startsWith("127.") ? source : "127.0.0.1"),
    destination: sender.destination === undefined ? undefined : endpoint(sender.destination),
  };
}

/** What the upstream answers to this request. */
export function planUpstream(spec: UpstreamSpec = {}, request: RequestSpec = {}): UpstreamPlan {
  const protocol = spec.protocol ?? (spec.grpc !== undefined || request.grpc !== undefined ? "http2" : "http1");
  return { ...planAnswer(spec, protocol), protocol, reset: spec.reset === true };
}

/** An answer as a server of this protocol frames it. */
export function planAnswer(spec: Omit<CallAnswerSpec, "when" | "fail"> = {}, protocol: Protocol = "http1"): AnswerPlan {
  const delayMs = spec.delay === undefined ? 0 : milliseconds(spec.delay);
  if (spec.grpc !== undefined) return { ...planGrpcAnswer(spec.grpc, protocol), delayMs, reset: false };
  const status = spec.status ?? 200;
  const body = chunksOf(spec.body);
  const headers = pairs(spec.headers);
  const trailers = pairs(spec.trailers);
  const bodiless = hasNoBody(status);
  const streamed = Array.isArray(spec.body) || trailers.length > 0;
  if (!bodiless && !headers.some(([name]) => name === "content-length" || name === "transfer-encoding")) {
    if (!streamed) headers.push(["content-length", String(bytesIn(body))]);
    else if (protocol === "http1") headers.push(["transfer-encoding", "chunked"]);
  }
  return { status, headers, body, trailers, delayMs, reset: false };
}

/** A failure without a message is "trailers only", as servers send it: the status stands among the headers. */
function planGrpcAnswer(spec: GrpcAnswerSpec, protocol: Protocol): Omit<AnswerPlan, "delayMs" | "reset"> {
  const status = spec.status ?? 0;
  const end: HeaderPairs = [["grpc-status", String(status)], ...(spec.message === undefined ? [] : ([["grpc-message", encodeStatusText(spec.message)]] as HeaderPairs)), ...pairs(spec.trailers)];
  const headers: HeaderPairs = [["content-type", "application/grpc"], ...pairs(spec.metadata)];
  if (spec.messages === undefined && status !== 0) return { status: 200, headers: [...headers, ...end, ...(protocol === "http1" ? ([["content-length", "0"]] as HeaderPairs) : [])], body: [], trailers: [] };
  if (protocol === "http1") headers.push(["transfer-encoding", "chunked"]);
  return { status: 200, headers, body: messageList(spec.messages).map(frame), trailers: end };
}

/** Names in lower case, as both engines show them to a filter. */
export function pairs(headers: HeadersSpec | undefined): HeaderPairs {
  if (headers === undefined) return [];
  const all: HeaderPairs = Array.isArray(headers)
    ? headers.map(([name, value]) => [name, value])
    : Object.entries(headers).flatMap(([name, value]) => list(value).map((each): [string, string] => [name, each]));
  return all.map(([name, value]) => [name.toLowerCase(), value]);
}

export function list(value: string | string[] | undefined): string[] {
  return value === undefined ? [] : Array.isArray(value) ? value : [value];
}

function chunksOf(body: AnsweredBodySpec | undefined): Chunk[] {
  return (body === undefined ? [] : Array.isArray(body) ? body : [body]).map((chunk): Chunk => {
    if (typeof chunk === "string") return Buffer.from(chunk);
    return "wait" in chunk ? { waitMs: milliseconds(chunk.wait) } : "reset";
  });
}

export const isBytes = (chunk: Chunk): chunk is Uint8Array => chunk instanceof Uint8Array;

function bytesIn(body: Chunk[]): number {
  return body.filter(isBytes).reduce((sum, chunk) => sum + chunk.length, 0);
}

function endpoint(text: string): { address: string; port: number } {
  const colon = text.lastIndexOf(":");
  return { address: text.slice(0, colon).replace(/^\[(.*)\]$/, "$1"), port: Number(text.slice(colon + 1)) };
}

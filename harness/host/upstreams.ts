import type { HeadersInit } from "./types.ts";

/** An HTTP callout that a module made, as a test sees it. */
export interface HttpCall {
  cluster: string;
  headers: [string, string][];
  body: Uint8Array;
  trailers: [string, string][];
  /** 0: no time-out. */
  timeoutMs: number;
  plugin: string;
  thread: string;
  /** Wall time of the call on the host's clock, in milliseconds. */
  timeMs: number;
}

/**
 * What a cluster answers to a callout. `"timeout"`: nothing until the time-out, then Envoy's own 504.
 * `"connectionFailure"`: Envoy's own 503; `"connectionTermination"` likewise, where a server breaks off before its headers. `"reset"`: the stream breaks, the module sees a response without headers.
 */
export type HttpAnswer =
  | "timeout"
  | "connectionFailure"
  | "connectionTermination"
  | "reset"
  | { status?: number; headers?: HeadersInit; body?: string | Uint8Array; trailers?: HeadersInit; delayMs?: number }
  | { fail: "reset" | "connectionFailure" | "connectionTermination"; delayMs?: number };

/** A gRPC call or stream that a module made. */
export interface GrpcCall {
  cluster: string;
  service: string;
  method: string;
  initialMetadata: [string, string][];
  /** The message of a unary call; undefined for a stream. */
  message: Uint8Array | undefined;
  timeoutMs: number;
  plugin: string;
  thread: string;
  timeMs: number;
}

/** A unary answer: a message, or a status other than 0 with its text. */
export interface GrpcAnswer {
  message?: Uint8Array;
  status?: number;
  statusMessage?: string;
  delayMs?: number;
}

/** The test's end of a gRPC stream. Everything sent arrives after the module's callback has returned. */
export interface GrpcPeer {
  sendInitialMetadata(metadata: HeadersInit): void;
  send(message: Uint8Array): void;
  sendTrailingMetadata(metadata: HeadersInit): void;
  /** Ends the stream from the server's side. */
  close(status: number, message?: string): void;
}

/** Behaviour of a server of gRPC streams. */
export interface GrpcStreamHandler {
  onMessage?(message: Uint8Array, endOfStream: boolean): void;
  onClose?(): void;
  onReset?(): void;
}

/** A fake cluster that callouts can reach. */
export interface Upstream {
  http?: HttpAnswer | ((call: HttpCall) => HttpAnswer | Promise<HttpAnswer>);
  /** `"connectionFailure"`: status 14, as Envoy reports it. */
  grpc?: GrpcAnswer | "timeout" | "connectionFailure" | ((call: GrpcCall) => GrpcAnswer | "timeout" | "connectionFailure");
  grpcStream?(call: GrpcCall, peer: GrpcPeer): GrpcStreamHandler | void;
}

/** A resolved address and its time to live in seconds. */
export interface DnsAnswer {
  address: string;
  ttl: number;
}

/** Short form: an answer or a function stands for `{ http: … }`. */
export type UpstreamInit = Upstream | HttpAnswer | ((call: HttpCall) => HttpAnswer | Promise<HttpAnswer>);

export function upstreamOf(init: UpstreamInit): Upstream {
  if (typeof init === "string" || typeof init === "function") return { http: init };
  return "http" in init || "grpc" in init || "grpcStream" in init ? (init as Upstream) : { http: init as HttpAnswer };
}

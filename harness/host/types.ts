/**
 * Numbers of the Proxy-Wasm ABI 0.2.1 as Envoy uses them, and the value types that several host files share.
 * Spec: https://github.com/proxy-wasm/spec/tree/main/abi-versions/v0.2.1
 */

/** Result of a host call. */
export const Status = {
  Ok: 0,
  NotFound: 1,
  BadArgument: 2,
  SerializationFailure: 3,
  ParseFailure: 4,
  BadExpression: 5,
  InvalidMemoryAccess: 6,
  Empty: 7,
  CasMismatch: 8,
  ResultMismatch: 9,
  InternalFailure: 10,
  BrokenConnection: 11,
  Unimplemented: 12,
} as const;
export type StatusCode = number;

export const LOG_LEVELS = ["trace", "debug", "info", "warn", "error", "critical"] as const;
export type LogLevel = (typeof LOG_LEVELS)[number];

export const MapType = {
  RequestHeaders: 0,
  RequestTrailers: 1,
  ResponseHeaders: 2,
  ResponseTrailers: 3,
  GrpcInitialMetadata: 4,
  GrpcTrailingMetadata: 5,
  HttpCallResponseHeaders: 6,
  HttpCallResponseTrailers: 7,
} as const;

export const BufferType = {
  HttpRequestBody: 0,
  HttpResponseBody: 1,
  DownstreamData: 2,
  UpstreamData: 3,
  HttpCallResponseBody: 4,
  GrpcReceiveBuffer: 5,
  VmConfiguration: 6,
  PluginConfiguration: 7,
  CallData: 8,
} as const;

export const StreamType = { Request: 0, Response: 1, Downstream: 2, Upstream: 3 } as const;
export const MetricType = { Counter: 0, Gauge: 1, Histogram: 2 } as const;
export const PeerType = { Unknown: 0, Local: 1, Remote: 2 } as const;

/** What a filter's header callback makes Envoy's filter manager do. */
export const HeadersAction = {
  Continue: 0,
  StopIteration: 1,
  ContinueAndEndStream: 2,
  StopAllIterationAndBuffer: 3,
  StopAllIterationAndWatermark: 4,
} as const;
/** The same for body callbacks. */
export const DataAction = {
  Continue: 0,
  StopIterationAndBuffer: 1,
  StopIterationAndWatermark: 2,
  StopIterationNoBuffer: 3,
} as const;
/** The same for trailer callbacks. */
export const TrailersAction = { Continue: 0, StopIteration: 1 } as const;

export type AbiVersion = "0.1.0" | "0.2.0" | "0.2.1";

/** Why a VM no longer works; the names are Envoy's `FailState`. */
export type FailState =
  | "ok"
  | "unableToInitializeCode"
  | "missingFunction"
  | "startFailed"
  | "configureFailed"
  | "runtimeError";

/** What happens to traffic when the VM has failed; Envoy's `failure_policy`. */
export type FailurePolicy = "FAIL_CLOSED" | "FAIL_OPEN" | "FAIL_RELOAD";

/** One line that a module logged, or that the host logged about it. */
export interface LogEntry {
  level: LogLevel;
  message: string;
  /** Name of the plugin and the thread ("main", "worker-0", …) that logged it. */
  plugin: string;
  thread: string;
  /** "wasm" when the module wrote it, "host" when the host did. */
  from: "wasm" | "host";
  /** Fake-clock wall time in milliseconds. */
  timeMs: number;
}

/** Headers as people write them: a list (order and repetition kept) or an object (values may be lists). */
export type HeaderList = readonly (readonly [string, string])[];
export type HeadersInit = HeaderList | Readonly<Record<string, string | readonly string[]>>;

/** What a foreign function gives back: a status, or bytes (which mean Ok). */
export type ForeignResult = StatusCode | Uint8Array;
export type ForeignFunction = (argument: Uint8Array) => ForeignResult;

/** How often a failed VM was replaced. */
export interface ReloadStats {
  success: number;
  failure: number;
  backoff: number;
}

/**
 * A Proxy-Wasm host on Node's own WebAssembly: loads filters (ABI 0.2.1, 0.2.0 or 0.1.0, from any language) and
 * drives them with streams, ticks, callouts and faults, with Envoy's semantics. No global state: what belongs
 * together is loaded on one `Host`.
 *
 * @example
 * import { loadFilter } from "selvedge";
 *
 * const filter = await loadFilter("dist/authz.wasm", { config: { namespace: "prod", policies: [] } });
 * const outcome = await filter.http(
 *   { method: "GET", path: "/", peer: { uriSans: ["spiffe://cluster.local/ns/prod/sa/web"] } },
 *   { upstream: { status: 200, body: "hello", delayMs: 5 } },
 * );
 * outcome.status; // 403, or 200
 * filter.metrics.counter("denied_total");
 * filter.tick(1000); // on_tick runs
 */
export { FakeClock, RealClock, seededRandom, DEFAULT_EPOCH_MS, type Clock, type RandomSource, type Timer } from "./time.ts";
export { runExchange, type ExchangeOptions, type ExchangeOutcome, type ExchangeRequest, type ExchangeUpstream, type UpstreamAnswer, type UpstreamRequest } from "./exchange.ts";
export { Filter, loadFilter, loadFilterSync, streamThrough, type FilterOptions, type FilterStatus } from "./filter.ts";
export type { Fault } from "./faults.ts";
export { HeaderMap } from "./header-map.ts";
export { Host, type HostOptions } from "./host.ts";
export type { NodeInfo } from "./node.ts";
export { decodePairs, encodePairs } from "./pairs.ts";
export type { Json } from "./proto.ts";
export { MetricsView, type HistogramView } from "./stats.ts";
export { Connection, type ConnectionInit, type Endpoint, type FilterStateInit, type PeerInit, type Route, type TlsInit, type UpstreamInfo } from "./stream-info.ts";
export { Decision, Stream, type Action, type BodyInit, type LocalReplyView, type RequestInit, type ResponseInit, type RouteFunction, type StreamOptions } from "./stream.ts";
export { TcpConnection, type TcpInit, type TcpSink } from "./tcp.ts";
export { Thread } from "./thread.ts";
export type { Trap, TrapFrame } from "./trap.ts";
export { Status, type FailurePolicy, type ForeignFunction, type ForeignResult, type HeaderList, type HeadersInit, type LogEntry, type LogLevel, type ReloadStats } from "./types.ts";
export type { DnsAnswer, GrpcAnswer, GrpcCall, GrpcPeer, GrpcStreamHandler, HttpAnswer, HttpCall, Upstream, UpstreamInit } from "./upstreams.ts";
export { boolOf, bytesOf, doubleOf, durationOf, intOf, stringOf, timestampOf, uintOf, type PropertyInit, type Value } from "./values.ts";

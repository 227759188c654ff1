import { ByteBuffer } from "./byte-buffer.ts";
import type { LocalReplyRequest } from "./context.ts";
import { FilterChain, type ChainDriver } from "./filter-chain.ts";
import { HeaderMap } from "./header-map.ts";
import { isGrpc, ownReply, renderReply, type LocalReply } from "./local-reply.ts";
import { Message, type Fit } from "./message.ts";
import { problemDetails, requestProblem, ResponseFlag, responseProblem } from "./router-rules.ts";
import type { Route, StreamInfo, UpstreamInfo } from "./stream-info.ts";
import type { StreamFilter } from "./stream-context.ts";

/** Envoy's default `per_connection_buffer_limit_bytes`. */
export const DEFAULT_BUFFER_LIMIT = 1024 * 1024;

/** Takes messages as they leave the filters, in place of the router and the client that tests have: a real proxy's two ends. */
export interface StreamSink {
  upstreamHeaders(headers: HeaderMap, endStream: boolean): void;
  upstreamData(data: Uint8Array, endStream: boolean): void;
  upstreamTrailers(trailers: HeaderMap): void;
  clientHeaders(headers: HeaderMap, endStream: boolean): void;
  clientData(data: Uint8Array, endStream: boolean): void;
  clientTrailers(trailers: HeaderMap): void;
}

export interface HttpStreamOptions {
  /** Nothing is kept in `upstream` and `downstream` then but headers. */
  sink?: StreamSink;
  bufferLimit: number;
  /** Route of a request; undefined: no route matches. Absent: every request has the route "". */
  route: (headers: HeaderMap, info: StreamInfo) => Route | undefined;
  /** The host that a request reaches. */
  upstream: UpstreamInfo;
  /** What the route changes about an answer of the proxy's own. */
  finishReply?: (headers: HeaderMap) => void;
  /** A whole request, or the part of it that got through, reached the upstream. */
  onUpstreamRequest?: () => void;
  /** A message's body isn't as long as its headers say: after a `short` one its receiver waits, after a `long` one it finds bytes of no message. */
  onMisframed?: (side: "request" | "response", fit: Fit, what: string) => void;
  /** A filter's full buffer has room again: more input may come. */
  onDrained?: () => void;
  /** The last byte of the upstream's response has come. */
  onUpstreamEnd?: () => void;
  onEnd?: () => void;
}

/**
 * One HTTP stream through its filters: what Envoy's filter manager, router and connection manager do about it.
 * Synchronous; time does not pass in here.
 */
export class HttpStream {
  readonly info: StreamInfo;
  readonly decode: FilterChain;
  readonly encode: FilterChain;
  requestHeaders: HeaderMap | undefined;
  responseHeaders: HeaderMap | undefined;
  responseTrailers: HeaderMap | undefined;
  /** What reached the upstream, and what reached the client. */
  readonly upstream = new Message();
  readonly downstream = new Message();
  localReply: LocalReply | undefined;
  /** Who broke the stream off, if anybody. */
  resetBy: "filter" | "client" | "upstream" | "envoy" | undefined;
  ended = false;
  private readonly filters: readonly StreamFilter[];
  private readonly options: HttpStreamOptions;
  private preparedReply: LocalReplyRequest | undefined;
  private responseStarted = false;
  private routed = false;
  /** What a route needs and the request had before a filter changed its headers; undefined: none did. */
  private routedBy: readonly string[] | undefined;
  private grpc = false;
  private head = false;

  constructor(filters: readonly StreamFilter[], info: StreamInfo, options: HttpStreamOptions) {
    this.filters = filters;
    this.info = info;
    this.options = options;
    for (let i = 0; i < filters.length; i++) filters[i]!.attach(this, i);
    this.decode = new FilterChain(filters.length, this.decodeDriver(), options.bufferLimit);
    this.encode = new FilterChain(filters.length, this.encodeDriver(), options.bufferLimit);
  }

  /** Response filters run in reverse order. */
  encodeIndex(index: number): number {
    return this.filters.length - 1 - index;
  }

  private decodeDriver(): ChainDriver {
    const { filters } = this;
    return {
      headers: (i, map, end) => filters[i]!.decodeHeaders(map, end),
      data: (i, data, end) => filters[i]!.decodeData(data, end),
      trailers: (i, map) => filters[i]!.decodeTrailers(map),
      sinkHeaders: (map, end) => this.toUpstreamHeaders(map, end),
      sinkData: (data, end) => this.toUpstreamData(data, end),
      sinkTrailers: (map) => this.toUpstreamTrailers(map),
      runPreparedReply: () => this.runPreparedReply(),
      continuedTwice: (i) => filters[i]!.continuedTwice?.("request"),
      tooLarge: () => this.sendLocalReply(ownReply(413, "Payload Too Large", "request_payload_too_large")),
      stopped: () => this.ended,
      drained: () => this.options.onDrained?.(),
    };
  }

  private encodeDriver(): ChainDriver {
    const { filters } = this;
    const at = (i: number) => filters[filters.length - 1 - i]!;
    return {
      headers: (i, map, end) => at(i).encodeHeaders(map, end),
      data: (i, data, end) => at(i).encodeData(data, end),
      trailers: (i, map) => at(i).encodeTrailers(map),
      sinkHeaders: (map, end) => this.encoded(map, end),
      sinkData: (data, end) => this.toClientData(data, end),
      sinkTrailers: (map) => this.toClientTrailers(map),
      runPreparedReply: () => {},
      continuedTwice: (i) => at(i).continuedTwice?.("response"),
      tooLarge: () => this.sendLocalReply(ownReply(500, "Internal Server Error", "response_payload_too_large")),
      stopped: () => this.ended,
      drained: () => this.options.onDrained?.(),
    };
  }

  // --- request -------------------------------------------------------------------------------------------------

  requestStart(headers: HeaderMap, endStream: boolean): void {
    this.requestHeaders = headers;
    this.grpc = isGrpc(headers);
    this.head = headers.get(":method") === "HEAD";
    this.decode.headersMap = headers;
    if (endStream) this.decode.observedEnd = true;
    this.decode.headers(0, headers, endStream);
  }

  requestData(bytes: Uint8Array, endStream: boolean): void {
    if (this.ended) return;
    this.info.bytesReceived += bytes.length;
    if (endStream) this.decode.observedEnd = true;
    const data = new ByteBuffer(bytes);
    this.decode.data(0, data, endStream);
    data.clear(); // what no filter kept is gone
  }

  requestTrailers(trailers: HeaderMap): void {
    if (this.ended) return;
    this.decode.observedEnd = true;
    this.decode.trailersMap = trailers;
    this.decode.trailers(0, trailers);
  }

  addRequestTrailers(): HeaderMap {
    return (this.decode.trailersMap ??= HeaderMap.empty());
  }

  addResponseTrailers(): HeaderMap {
    this.responseTrailers = this.encode.trailersMap ??= HeaderMap.empty("responseTrailers");
    return this.responseTrailers;
  }

  /** The route is chosen again when it is next needed; until then properties show the one before. */
  clearRoute(): void {
    this.routed = false;
  }

  /** Before a filter changes the request's headers: the route depends on them, and the router looks them over again. */
  editRequestHeaders(headers: HeaderMap): void {
    this.routedBy ??= [":path", "x-forwarded-proto"].filter((name) => headers.get(name) !== undefined);
    this.clearRoute();
  }

  /** The route as it is now; evaluated again after `clearRoute`. */
  route(): Route | undefined {
    if (!this.routed && this.requestHeaders !== undefined) {
      this.routed = true;
      const { requestHeaders: headers, routedBy } = this;
      // Without these Envoy looks at no route at all.
      this.info.route = routedBy?.some((name) => headers.get(name) === undefined) ? undefined : this.options.route(headers, this.info);
    }
    return this.info.route;
  }

  private toUpstreamHeaders(map: HeaderMap, end: boolean): void {
    const { sink } = this.options;
    const problem = this.routedBy && this.route() !== undefined ? requestProblem(map) : undefined;
    if (problem !== undefined) {
      this.info.responseFlags |= ResponseFlag.DownstreamProtocolError;
      this.sendLocalReply(ownReply(503, problem, problemDetails("request", problem)));
      return;
    }
    if (sink) return sink.upstreamHeaders(map, end);
    if (this.route() === undefined) {
      this.info.responseFlags |= ResponseFlag.NoRouteFound;
      this.sendLocalReply(ownReply(404, "", "route_not_found"));
      return;
    }
    this.info.attemptCount = 1;
    this.info.upstream = this.options.upstream;
    this.upstream.start(map, end, false, this.options.upstream.protocol);
    if (end) this.upstreamComplete();
  }

  private toUpstreamData(data: ByteBuffer, end: boolean): void {
    const { sink } = this.options;
    if (sink) return sink.upstreamData(taken(data), end);
    if (this.upstream.headers === undefined) return;
    this.upstream.add(data);
    if (end) this.upstreamComplete();
  }

  private toUpstreamTrailers(map: HeaderMap): void {
    const { sink } = this.options;
    if (sink) return sink.upstreamTrailers(map);
    if (this.upstream.headers === undefined) return;
    this.upstream.trailers = map;
    this.upstreamComplete();
  }

  private upstreamComplete(): void {
    const fit = this.upstream.finish();
    if (fit === "right") return this.options.onUpstreamRequest?.();
    this.options.onMisframed?.("request", fit, this.upstream.mismatch);
    if (this.options.upstream.protocol === "HTTP/2") this.upstreamBroke("protocol error", 502, ResponseFlag.UpstreamProtocolError);
  }

  // --- response ------------------------------------------------------------------------------------------------

  responseStart(headers: HeaderMap, endStream: boolean): void {
    if (this.ended) return;
    this.info.responseCode = Number(headers.get(":status") ?? 0);
    this.info.responseCodeDetails = "via_upstream";
    if (endStream) this.options.onUpstreamEnd?.();
    this.startEncoding(headers, endStream);
  }

  private startEncoding(headers: HeaderMap, endStream: boolean): void {
    this.responseHeaders = headers;
    this.encode.headersMap = headers;
    if (endStream) this.encode.observedEnd = true;
    this.encode.headers(0, headers, endStream);
  }

  responseData(bytes: Uint8Array, endStream: boolean): void {
    if (this.ended || this.responseHeaders === undefined) return;
    if (endStream) {
      this.encode.observedEnd = true;
      this.options.onUpstreamEnd?.();
    }
    const data = new ByteBuffer(bytes);
    this.encode.data(0, data, endStream);
    data.clear();
  }

  responseEnd(trailers: HeaderMap): void {
    if (this.ended || this.responseHeaders === undefined) return;
    this.encode.observedEnd = true;
    this.options.onUpstreamEnd?.();
    this.responseTrailers = trailers;
    this.encode.trailersMap = trailers;
    this.encode.trailers(0, trailers);
  }

  /** Response headers that all filters have let pass. */
  private encoded(map: HeaderMap, end: boolean): void {
    const problem = this.responseStarted ? undefined : responseProblem(map);
    if (problem === undefined) this.toClientHeaders(map, end);
    else this.sendLocalReply(ownReply(502, problem, problemDetails("response", problem)));
  }

  private toClientHeaders(map: HeaderMap, end: boolean): void {
    if (this.responseStarted) {
      this.reset("envoy"); // continued and let through: headers twice, which no client understands
      return;
    }
    this.responseStarted = true;
    this.info.responseCode = Number(map.get(":status"));
    this.downstream.start(map, end, this.head || this.info.responseCode === 204 || this.info.responseCode === 304, this.info.protocol);
    this.options.sink?.clientHeaders(map, end);
    if (end) this.downstreamComplete();
  }

  private toClientData(data: ByteBuffer, end: boolean): void {
    this.info.bytesSent += data.length;
    const { sink } = this.options;
    if (sink) sink.clientData(taken(data), end);
    else this.downstream.add(data);
    if (end) this.downstreamComplete();
  }

  private toClientTrailers(map: HeaderMap): void {
    this.downstream.trailers = map;
    this.options.sink?.clientTrailers(map);
    this.downstreamComplete();
  }

  private downstreamComplete(): void {
    const fit = this.downstream.finish();
    if (fit !== "right" && this.options.sink === undefined) this.options.onMisframed?.("response", fit, this.downstream.mismatch);
    this.finish(); // to Envoy it is whole
  }

  // --- local replies, resets, the end ---------------------------------------------------------------------------

  /** The 503 of a filter whose VM has failed. */
  sendFailureReply(): void {
    this.sendLocalReply({ ...ownReply(503, "", "wasm_fail_stream"), grpcStatus: 14 });
  }

  /** Envoy's `sendLocalReply`: through the filters, past them, or a reset, by how far the response has come. */
  sendLocalReply(reply: LocalReplyRequest): void {
    if (this.ended) return;
    const decoding = this.decode.running > 0;
    if (decoding) this.decode.aborted = true;
    else if (this.encode.running > 0) this.encode.aborted = true;
    this.info.responseCodeDetails = reply.details;
    if (this.responseHeaders === undefined) {
      this.preparedReply ??= reply; // of two replies the first is sent
      if (!decoding) this.runPreparedReply();
    } else if (!this.responseStarted) this.sendDirect(reply);
    else this.reset("envoy");
  }

  private runPreparedReply(): void {
    const reply = this.preparedReply;
    if (reply === undefined || this.ended) return;
    this.preparedReply = undefined;
    this.decode.aborted = true;
    const { headers, body } = this.buildReply(reply, false);
    this.startEncoding(headers, body.length === 0);
    if (body.length > 0 && !this.ended) {
      this.encode.observedEnd = true;
      this.encode.data(0, new ByteBuffer(body), true);
    }
  }

  private sendDirect(reply: LocalReplyRequest): void {
    this.encode.aborted = true;
    const { headers, body } = this.buildReply(reply, true);
    this.responseHeaders = headers;
    this.toClientHeaders(headers, body.length === 0);
    if (body.length > 0) this.toClientData(new ByteBuffer(body), true);
  }

  private buildReply(reply: LocalReplyRequest, direct: boolean): { headers: HeaderMap; body: Uint8Array } {
    this.info.responseCode = reply.status;
    const { localReply, headers, body } = renderReply(reply, { grpc: this.grpc, head: this.head, direct, finish: this.options.finishReply });
    this.localReply = localReply;
    return { headers, body };
  }

  /** Breaks the stream off. */
  reset(by: NonNullable<HttpStream["resetBy"]>): void {
    if (this.ended) return;
    this.resetBy = by;
    if (by === "client") {
      this.info.responseCodeDetails = "downstream_remote_disconnect";
      this.info.responseFlags |= ResponseFlag.DownstreamConnectionTermination;
    }
    this.finish();
  }

  /** The upstream broke off: a local reply while nothing has been answered, else a reset. */
  upstreamReset(): void {
    if (this.ended) return;
    if (this.responseStarted) this.reset("upstream");
    else this.upstreamBroke("connection termination", 503, ResponseFlag.UpstreamConnectionTermination);
  }

  private upstreamBroke(reason: string, status: number, flag: number): void {
    this.info.responseFlags |= flag;
    this.sendLocalReply(ownReply(status, `upstream connect error or disconnect/reset before headers. reset reason: ${reason}`, `upstream_reset_before_response_started{${reason.replace(" ", "_")}}`));
  }

  /** Log, done, delete: once, in Envoy's order. */
  finish(): void {
    if (this.ended) return;
    this.ended = true;
    this.options.onEnd?.();
    for (const filter of this.filters) filter.log();
    for (const filter of this.filters) filter.destroy();
  }

  /** True when a filter holds the request or the response up. */
  get paused(): boolean {
    return !this.ended && (this.decode.paused || this.encode.paused);
  }
}

/** The bytes, out of the buffer. */
function taken(data: ByteBuffer): Uint8Array {
  const bytes = data.bytes();
  data.clear();
  return bytes;
}

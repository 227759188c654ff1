import { ByteBuffer, type GuestBuffer } from "./byte-buffer.ts";
import { Context, type LocalReplyRequest } from "./context.ts";
import type { HeaderMap } from "./header-map.ts";
import type { HttpStream } from "./http-stream.ts";
import type { Plugin } from "./plugin.ts";
import type { RootContext } from "./root-context.ts";
import type { StreamInfo } from "./stream-info.ts";
import { BufferType, DataAction, HeadersAction, MapType, Status, StreamType, TrailersAction, type StatusCode } from "./types.ts";
import type { GuestFunction, Vm } from "./vm.ts";

/** A filter of one stream as the chain calls it. */
export interface StreamFilter {
  /** Its place among the stream's filters, and the stream; set when the chain is built. */
  attach(stream: HttpStream, index: number): void;
  decodeHeaders(map: HeaderMap, endStream: boolean): number;
  decodeData(data: ByteBuffer, endStream: boolean): number;
  decodeTrailers(map: HeaderMap): number;
  encodeHeaders(map: HeaderMap, endStream: boolean): number;
  encodeData(data: ByteBuffer, endStream: boolean): number;
  encodeTrailers(map: HeaderMap): number;
  /** A callback of this filter has continued the stream and let it go on as well. */
  continuedTwice?(side: "request" | "response"): void;
  log(): void;
  destroy(): void;
}

/**
 * A module's context for one HTTP stream. What is readable when follows Envoy's wasm `Context` to the letter; so do
 * the statuses that a callback's return value becomes.
 */
export class StreamContext extends Context implements StreamFilter {
  private stream!: HttpStream;
  private index = 0;
  private requestHeaders: HeaderMap | undefined;
  private requestTrailers: HeaderMap | undefined;
  private requestBody: ByteBuffer | undefined;
  private responseHeaders: HeaderMap | undefined;
  private responseTrailers: HeaderMap | undefined;
  private responseBody: ByteBuffer | undefined;
  private bufferingRequest = false;
  private bufferingResponse = false;
  private endOfStream = false;
  private inLog = false;
  private failed = false;
  private failureReplySent = false;

  constructor(vm: Vm, root: RootContext, plugin: Plugin) {
    super(vm, vm.allocateContextId(), root, plugin);
    vm.contexts.set(this.id, this);
  }

  attach(stream: HttpStream, index: number): void {
    this.stream = stream;
    this.index = index;
  }

  override get info(): StreamInfo {
    const info = this.stream.info;
    // Properties see the map of a stopped callback before the access log's.
    info.requestHeaders = this.requestHeaders ?? (this.inLog ? this.stream.requestHeaders : undefined);
    info.responseHeaders = this.responseHeaders ?? (this.inLog ? this.stream.responseHeaders : undefined);
    info.responseTrailers = this.responseTrailers ?? (this.inLog ? this.stream.responseTrailers : undefined);
    return info;
  }

  override get logging(): boolean {
    return this.inLog;
  }

  override readableMap(type: number): HeaderMap | undefined {
    switch (type) {
      case MapType.RequestHeaders:
        return this.inLog ? this.stream.requestHeaders : this.requestHeaders;
      case MapType.RequestTrailers:
        return this.inLog ? undefined : this.requestTrailers;
      case MapType.ResponseHeaders:
        return this.inLog ? this.stream.responseHeaders : this.responseHeaders;
      case MapType.ResponseTrailers:
        return this.inLog ? this.stream.responseTrailers : this.responseTrailers;
      default:
        return super.readableMap(type);
    }
  }

  override writableMap(type: number): HeaderMap | undefined {
    switch (type) {
      case MapType.RequestHeaders:
        return this.requestHeaders;
      case MapType.RequestTrailers:
        if (this.requestTrailers === undefined && this.requestBody !== undefined && this.endOfStream) this.requestTrailers = this.stream.addRequestTrailers();
        return this.requestTrailers;
      case MapType.ResponseHeaders:
        return this.responseHeaders;
      case MapType.ResponseTrailers:
        if (this.responseTrailers === undefined && this.responseBody !== undefined && this.endOfStream) this.responseTrailers = this.stream.addResponseTrailers();
        return this.responseTrailers;
      default:
        return undefined;
    }
  }

  // For modules of ABI 0.2.1 and older, as all are here, Envoy chooses the route again when they have changed the request.
  override editing(type: number, map: HeaderMap): void {
    if (type === MapType.RequestHeaders) this.stream.editRequestHeaders(map);
  }

  override bodyBuffer(type: number): GuestBuffer | undefined {
    if (type === BufferType.HttpRequestBody) return this.bufferingRequest ? this.stream.decode.buffered : this.requestBody;
    if (type === BufferType.HttpResponseBody) return this.bufferingResponse ? this.stream.encode.buffered : this.responseBody;
    return undefined;
  }

  override continueStream(type: number): StatusCode {
    const { stream, index } = this;
    if (type === StreamType.Request) this.vm.defer(() => stream.decode.resume(index));
    else if (type === StreamType.Response)
      this.vm.defer(() => {
        if (stream.encode.headersMap === undefined) this.fatal("proxy_continue_stream", "before there is a response");
        else stream.encode.resume(stream.encodeIndex(index));
      });
    else return type === StreamType.Downstream ? Status.Ok : Status.Unimplemented;
    this.requestHeaders = undefined;
    this.requestBody = undefined;
    this.requestTrailers = undefined;
    return Status.Ok;
  }

  override closeStream(type: number): StatusCode {
    if (type === StreamType.Request || type === StreamType.Response) {
      this.stream.info.responseCodeDetails ??= "wasm_close_stream";
      this.vm.defer(() => this.whileOpen("proxy_close_stream", () => this.stream.reset("filter")));
    }
    return Status.Ok;
  }

  override sendLocalReply(reply: LocalReplyRequest): void {
    this.vm.defer(() => this.whileOpen("proxy_send_local_response", () => this.stream.sendLocalReply(reply)));
  }

  /** What a callback has put off, unless the stream has ended: in on_log, on_done, on_delete, or by an earlier reply of the same callback. */
  private whileOpen(call: string, op: () => void): void {
    if (this.stream.ended) this.fatal(call, "for a stream that has ended");
    else op();
  }

  /** Measured on 1.40: a segmentation fault. */
  private fatal(call: string, when: string): void {
    this.vm.complain(call, `${when} makes Envoy crash; here it does nothing`, undefined, "critical");
  }

  /** Measured on 1.40: two requests reach the upstream, or the response's headers or trailers are sent twice, which crashes it. */
  continuedTwice(side: "request" | "response"): void {
    this.vm.complain("proxy_continue_stream", `in a callback that lets the ${side} go on anyway makes Envoy send it on twice, or crash; here it goes on once`, undefined, "critical");
  }

  override clearRouteCache(): void {
    this.stream.clearRoute();
  }

  /** Tells the module about this context, once. */
  private create(): void {
    const fn = this.vm.callbacks.proxy_on_context_create;
    if (!this.vm.failed && !this.created && fn !== undefined) {
      this.vm.invoke("proxy_on_context_create", fn, this, this.id, this.parentId);
      this.vm.endCallback();
    }
    this.created = true;
  }

  /**
   * Calls a callback of the stream. Returns its result, or -1 when the chain must do `closed` instead: the VM has
   * failed (before or during the call). A missing callback gives 0.
   */
  private call(name: string, fn: GuestFunction | undefined, a: number, b: number): number {
    if (this.vm.failed) return this.onFailure();
    if (fn === undefined) return 0;
    const result = this.vm.invoke(name, fn, this, this.id, a, b) >>> 0;
    if (this.vm.failed) {
      const answer = this.onFailure();
      this.vm.endCallback();
      return answer;
    }
    const forced = this.vm.stopIteration ? STOP : result;
    this.vm.endCallback();
    return forced;
  }

  /** Fail open: carry on; fail closed: answer 503 once and stop. */
  private onFailure(): number {
    if (this.plugin!.failOpen) return 0;
    if (!this.failed) {
      this.failed = true;
      this.failureReplySent = true;
      this.stream.sendFailureReply();
    }
    return STOP;
  }

  private headersAction(result: number): number {
    if (result === HeadersAction.StopIteration && !this.plugin!.allowHeadersStopIteration) return HeadersAction.StopAllIterationAndWatermark;
    if (result > HeadersAction.StopAllIterationAndWatermark) return HeadersAction.StopAllIterationAndWatermark;
    // Envoy has no case for ContinueAndEndStream.
    return result === HeadersAction.ContinueAndEndStream ? HeadersAction.Continue : result;
  }

  decodeHeaders(map: HeaderMap, endStream: boolean): number {
    this.create();
    this.requestHeaders = map;
    this.endOfStream = endStream;
    const action = this.headersAction(this.call("proxy_on_request_headers", this.vm.callbacks.proxy_on_request_headers, map.size, endStream ? 1 : 0));
    if (action === HeadersAction.Continue) this.requestHeaders = undefined;
    return action;
  }

  decodeData(data: ByteBuffer, endStream: boolean): number {
    if (!this.created) return DataAction.Continue;
    if (this.bufferingRequest) {
      this.stream.decode.addBuffered(data);
      if (this.destroyed) return DataAction.StopIterationAndBuffer;
    }
    this.requestBody = data;
    this.endOfStream = endStream;
    this.lastBuffer = this.bodyBuffer(BufferType.HttpRequestBody);
    const size = this.lastBuffer?.length ?? 0;
    const action = Math.min(this.call("proxy_on_request_body", this.vm.callbacks.proxy_on_request_body, size, endStream ? 1 : 0), DataAction.StopIterationNoBuffer);
    this.bufferingRequest = action === DataAction.StopIterationAndBuffer;
    if (action === DataAction.Continue) this.requestBody = undefined;
    return action;
  }

  decodeTrailers(map: HeaderMap): number {
    if (!this.created) return TrailersAction.Continue;
    this.requestTrailers = map;
    const action = Math.min(this.call("proxy_on_request_trailers", this.vm.callbacks.proxy_on_request_trailers, map.size, 0), TrailersAction.StopIteration);
    if (action === TrailersAction.Continue) this.requestTrailers = undefined;
    return action;
  }

  private get skipsEncoding(): boolean {
    return !this.created || this.failureReplySent;
  }

  encodeHeaders(map: HeaderMap, endStream: boolean): number {
    if (this.skipsEncoding) return HeadersAction.Continue;
    this.responseHeaders = map;
    this.endOfStream = endStream;
    const action = this.headersAction(this.call("proxy_on_response_headers", this.vm.callbacks.proxy_on_response_headers, map.size, endStream ? 1 : 0));
    if (action === HeadersAction.Continue) this.responseHeaders = undefined;
    return action;
  }

  encodeData(data: ByteBuffer, endStream: boolean): number {
    if (this.skipsEncoding) return DataAction.Continue;
    if (this.bufferingResponse) {
      this.stream.encode.addBuffered(data);
      if (this.destroyed) return DataAction.StopIterationAndBuffer;
    }
    this.responseBody = data;
    this.endOfStream = endStream;
    this.lastBuffer = this.bodyBuffer(BufferType.HttpResponseBody);
    const size = this.lastBuffer?.length ?? 0;
    const action = Math.min(this.call("proxy_on_response_body", this.vm.callbacks.proxy_on_response_body, size, endStream ? 1 : 0), DataAction.StopIterationNoBuffer);
    this.bufferingResponse = action === DataAction.StopIterationAndBuffer;
    if (action === DataAction.Continue) this.responseBody = undefined;
    return action;
  }

  encodeTrailers(map: HeaderMap): number {
    if (this.skipsEncoding) return TrailersAction.Continue;
    this.responseTrailers = map;
    const action = Math.min(this.call("proxy_on_response_trailers", this.vm.callbacks.proxy_on_response_trailers, map.size, 0), TrailersAction.StopIteration);
    if (action === TrailersAction.Continue) this.responseTrailers = undefined;
    return action;
  }

  log(): void {
    if (!this.created) this.create();
    this.inLog = true;
    const fn = this.vm.callbacks.proxy_on_log;
    if (!this.vm.failed && fn !== undefined) {
      this.vm.invoke("proxy_on_log", fn, this, this.id);
      this.vm.endCallback();
    }
    this.inLog = false;
  }

  destroy(): void {
    if (!this.destroyed && this.created) {
      this.destroyed = true;
      const { callbacks } = this.vm;
      if (!this.vm.failed && callbacks.proxy_on_done !== undefined) {
        this.vm.invoke("proxy_on_done", callbacks.proxy_on_done, this, this.id);
        this.vm.endCallback();
      }
      if (!this.vm.failed && callbacks.proxy_on_delete !== undefined) {
        this.vm.invoke("proxy_on_delete", callbacks.proxy_on_delete, this, this.id);
        this.vm.endCallback();
      }
    }
    this.vm.contexts.delete(this.id);
  }
}

/** A result that every kind of callback clamps to its own "stop". */
const STOP = 0xff;

/** Stands in for a filter whose VM had failed before the stream came, with failure policy closed or reload. */
export class FailedFilter implements StreamFilter {
  private stream!: HttpStream;
  private replied = false;

  attach(stream: HttpStream): void {
    this.stream = stream;
  }

  decodeHeaders(): number {
    if (!this.replied) {
      this.replied = true;
      this.stream.sendFailureReply();
    }
    return HeadersAction.StopAllIterationAndWatermark;
  }

  decodeData(): number {
    return DataAction.StopIterationNoBuffer;
  }

  decodeTrailers(): number {
    return TrailersAction.StopIteration;
  }

  encodeHeaders(): number {
    return HeadersAction.Continue;
  }

  encodeData(): number {
    return DataAction.Continue;
  }

  encodeTrailers(): number {
    return TrailersAction.Continue;
  }

  log(): void {}

  destroy(): void {}
}

/** `RootContext` and `Context` with what this SDK's own don't have: the configuration as a string, and HTTP calls with a callback. */
import { proxy_set_effective_context } from "../assembly/abi/imports";
import { WasmResultValues } from "../assembly/abi/enums";
import {
  BaseContext, Context as SdkContext, RootContext as SdkRootContext, registerRootContext as register,
} from "../assembly/context";
import { httpCall, lastResult } from "../assembly/callouts";
import { address, toString, utf8 } from "../assembly/bytes";
import { viewOf } from "./bytes";
import { Headers, serializeHeaders } from "./headers";

type HttpCallbackFunction = (origin_context: BaseContext, headers: u32, body_size: usize, trailers: u32) => void;

/** Who asked, and what to call when the answer is there. */
export class HttpCallback {
  constructor(
    public origin_context: BaseContext,
    public cb: (origin_context: BaseContext, headers: u32, body_size: usize, trailers: u32) => void,
  ) {}
}

export class RootContext extends SdkRootContext {
  private configuration_: string = "";
  private http_calls_: Map<u32, HttpCallback> = new Map();

  constructor(context_id: u32) {
    super(context_id);
  }

  /** The plugin's configuration; empty without one, and before {@link onConfigure}. */
  getConfiguration(): string {
    return this.configuration_;
  }

  createContext(context_id: u32): Context {
    return new Context(context_id, this);
  }

  /** Keeps the configuration: an override that wants {@link getConfiguration} calls `super.onConfigure` first. */
  onConfigure(configuration_size: u32): bool {
    this.configuration_ = toString(this.configuration());
    return true;
  }

  onDone(): bool {
    this.cancelPendingRequests();
    return true;
  }

  /**
   * Calls a cluster. `cb` gets `origin_context` back, whose stream is then the effective one; `headers` is 0 where the call
   * failed. There are no closures: everything else that `cb` needs is to be found in the context.
   *
   * `cb` may name its first parameter's type {@link BaseContext}, as in 0.1.15, or {@link Context}, as in 0.1.8.
   *
   * @param headers with `:method`, `:path` and `:authority`
   */
  httpCall<F>(
    cluster: string, headers: Headers, body: ArrayBuffer, trailers: Headers, timeout_milliseconds: u32, origin_context: BaseContext, cb: F,
  ): WasmResultValues {
    if (!isFunction<F>() || lengthof<F>() != 4) ERROR("the callback is (origin_context: BaseContext, headers: u32, body_size: usize, trailers: u32) => void");
    const name = utf8(cluster);
    const token = httpCall(name, serializeHeaders(headers), viewOf(body), serializeHeaders(trailers), timeout_milliseconds);
    heap.free(address(name));
    if (lastResult == WasmResultValues.Ok) this.http_calls_.set(token, new HttpCallback(origin_context, changetype<HttpCallbackFunction>(cb)));
    return lastResult;
  }

  onHttpCallResponse(token: u32, headers: u32, body_size: u32, trailers: u32): void {
    if (!this.http_calls_.has(token)) return; // canceled
    const callback = this.http_calls_.get(token);
    this.http_calls_.delete(token);
    proxy_set_effective_context(callback.origin_context.context_id);
    callback.cb(callback.origin_context, headers, body_size, trailers);
  }

  /** Gives up on every pending call: its callback runs now, with 0 headers. Done automatically when the plugin ends. */
  cancelPendingRequests(): void {
    const pending = this.http_calls_.values();
    this.http_calls_.clear();
    for (let i = 0; i < pending.length; i++) pending[i].cb(pending[i].origin_context, 0, 0, 0);
  }

  on_grpc_receive_initial_metadata(token: u32, headers: u32): void {}
  on_grpc_trailing_metadata(token: u32, trailers: u32): void {}
  on_grpc_receive(token: u32, response_size: u32): void {}
  on_grpc_close(token: u32, status_code: u32): void {}

  onGrpcReceiveInitialMetadata(token: u32, headers: u32): void {
    this.on_grpc_receive_initial_metadata(token, headers);
  }
  onGrpcReceiveTrailingMetadata(token: u32, trailers: u32): void {
    this.on_grpc_trailing_metadata(token, trailers);
  }
  onGrpcReceive(token: u32, response_size: u32): void {
    this.on_grpc_receive(token, response_size);
  }
  onGrpcClose(token: u32, status_code: u32): void {
    this.on_grpc_close(token, status_code);
  }
}

export class Context extends SdkContext {
  constructor(context_id: u32, root_context: RootContext) {
    super(context_id, root_context);
  }

  get root_context(): RootContext {
    return changetype<RootContext>(this.root);
  }
}

export function registerRootContext(c: (context_id: u32) => RootContext, name: string): void {
  register(changetype<(context_id: u32) => SdkRootContext>(c), name);
}

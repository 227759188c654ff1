import type { GuestBuffer } from "./byte-buffer.ts";
import { FixedBuffer } from "./byte-buffer.ts";
import { EMPTY_BYTES } from "./bytes.ts";
import { Context, type CalloutView } from "./context.ts";
import type { PendingGrpc } from "./grpc.ts";
import type { HeaderMap } from "./header-map.ts";
import type { Plugin } from "./plugin.ts";
import type { Timer } from "./time.ts";
import type { Vm } from "./vm.ts";

/** Answer to an HTTP callout as the module sees it. */
export interface CallResponse {
  headers: HeaderMap;
  trailers: HeaderMap | undefined;
  body: GuestBuffer;
}

/** A plugin's root context on one thread: start, configuration, ticks, queues and callouts. */
export class RootContext extends Context implements CalloutView {
  grpcInitialMetadata: HeaderMap | undefined;
  grpcTrailingMetadata: HeaderMap | undefined;
  grpcMessage: GuestBuffer | undefined;
  httpCallResponse: CallResponse | undefined;
  statusCode = 0;
  statusMessage = "";
  /** Callouts that have not answered yet, by token. */
  readonly httpCalls = new Map<number, Timer | undefined>();
  readonly grpcCalls = new Map<number, PendingGrpc>();
  private tickPeriodMs = 0;
  private tickTimer: Timer | undefined;

  constructor(vm: Vm, id: number, plugin: Plugin) {
    super(vm, id, undefined, plugin);
  }

  /** First on_context_create, then on_vm_start. False when on_vm_start answers 0 (or traps). */
  onStart(plugin: Plugin): boolean {
    const { callbacks } = this.vm;
    let result = true;
    if (callbacks.proxy_on_context_create !== undefined) {
      this.configuring = plugin;
      this.vm.invoke("proxy_on_context_create", callbacks.proxy_on_context_create, this, this.id, 0);
      this.created = true;
      this.configuring = undefined;
    }
    if (callbacks.proxy_on_vm_start !== undefined) {
      result = this.vm.invoke("proxy_on_vm_start", callbacks.proxy_on_vm_start, this, this.id, this.vm.settings.vmConfig.length) !== 0;
    }
    this.vm.endCallback();
    return result;
  }

  /** on_configure; false when it answers 0 (or traps). */
  onConfigure(plugin: Plugin): boolean {
    if (this.vm.failed) return true;
    const { callbacks } = this.vm;
    if (!this.created && callbacks.proxy_on_context_create !== undefined) {
      this.vm.invoke("proxy_on_context_create", callbacks.proxy_on_context_create, this, this.id, 0);
      this.vm.endCallback();
    }
    this.created = true;
    if (callbacks.proxy_on_configure === undefined) return true;
    this.configuring = plugin;
    const result = this.vm.invoke("proxy_on_configure", callbacks.proxy_on_configure, this, this.id, plugin.config.length) !== 0;
    this.configuring = undefined;
    this.vm.endCallback();
    return result;
  }

  private notify(name: string, a = 0, b = 0, c = 0, d = 0): void {
    const fn = this.vm.callbacks[name];
    if (this.vm.failed || fn === undefined) {
      this.vm.endCallback();
      return;
    }
    this.vm.invoke(name, fn, this, this.id, a, b, c, d);
    this.vm.endCallback();
  }

  onTick(): void {
    this.notify("proxy_on_tick");
  }

  onQueueReady(token: number): void {
    this.vm.host.step(() => this.notify("proxy_on_queue_ready", token));
  }

  /** Calls on_foreign_function with `data` in the CallData buffer. */
  onForeignFunction(functionId: number, data: Uint8Array): void {
    this.lastBuffer = new FixedBuffer(data);
    this.vm.host.step(() => this.notify("proxy_on_foreign_function", functionId, data.length));
  }

  /** True: the plugin is ready to go; false: it will call proxy_done. */
  onDone(): boolean {
    const fn = this.vm.callbacks.proxy_on_done;
    if (this.vm.failed || fn === undefined) return true;
    const result = this.vm.invoke("proxy_on_done", fn, this, this.id) !== 0;
    this.vm.endCallback();
    return result;
  }

  onDelete(): void {
    this.setTickPeriod(0);
    for (const timer of this.httpCalls.values()) timer?.cancel();
    this.httpCalls.clear();
    for (const call of this.grpcCalls.values()) call.cancel();
    this.grpcCalls.clear();
    if (this.created) this.notify("proxy_on_delete");
    this.vm.contexts.delete(this.id);
  }

  /** Milliseconds between ticks; 0 stops them. */
  setTickPeriod(periodMs: number): void {
    this.tickTimer?.cancel();
    this.tickTimer = undefined;
    this.tickPeriodMs = periodMs;
    if (periodMs > 0) this.armTick();
  }

  private armTick(): void {
    this.tickTimer = this.vm.host.clock.after(this.tickPeriodMs, () => {
      this.tickTimer = undefined;
      if (this.vm.callbacks.proxy_on_tick === undefined) return;
      this.vm.host.step(() => this.onTick());
      // on_tick may have set another period, which has armed a timer already.
      if (this.tickPeriodMs > 0 && this.tickTimer === undefined && !this.vm.failed) this.armTick();
    });
  }

  /** Whether the plugin asked for ticks. */
  get ticking(): boolean {
    return this.tickPeriodMs > 0;
  }

  /** An HTTP callout has answered. */
  deliverHttp(token: number, response: CallResponse): void {
    if (!this.httpCalls.delete(token)) return;
    this.httpCallResponse = response;
    this.vm.defer(() => (this.httpCallResponse = undefined));
    this.vm.host.step(() => this.notify("proxy_on_http_call_response", token, response.headers.size, response.body.length, response.trailers?.size ?? 0));
  }

  /** An HTTP callout was reset before it had answered. */
  failHttp(token: number, code: number, message: string): void {
    if (!this.httpCalls.delete(token)) return;
    this.statusCode = code;
    this.statusMessage = message;
    this.vm.defer(() => (this.statusMessage = ""));
    this.vm.host.step(() => this.notify("proxy_on_http_call_response", token, 0, 0, 0));
  }

  deliverGrpcInitial(token: number, metadata: HeaderMap): void {
    this.grpcInitialMetadata = metadata;
    this.vm.host.step(() => this.notify("proxy_on_grpc_receive_initial_metadata", token, metadata.size));
    this.grpcInitialMetadata = undefined;
  }

  deliverGrpcMessage(token: number, message: Uint8Array): void {
    this.grpcMessage = new FixedBuffer(message);
    this.vm.defer(() => (this.grpcMessage = undefined));
    this.vm.host.step(() => this.notify("proxy_on_grpc_receive", token, message.length));
  }

  deliverGrpcTrailing(token: number, metadata: HeaderMap): void {
    this.grpcTrailingMetadata = metadata;
    this.vm.host.step(() => this.notify("proxy_on_grpc_receive_trailing_metadata", token, metadata.size));
    this.grpcTrailingMetadata = undefined;
  }

  deliverGrpcClose(token: number, status: number, message: string): void {
    this.statusCode = status;
    this.statusMessage = message;
    this.vm.defer(() => (this.statusMessage = ""));
    this.vm.host.step(() => this.notify("proxy_on_grpc_close", token, status));
  }

  /** A DNS answer: count, TTLs in seconds, NUL-terminated `ip:port`; an empty buffer when the look-up failed. */
  deliverDns(token: number, answer: Uint8Array | undefined): void {
    this.lastBuffer = new FixedBuffer(answer ?? EMPTY_BYTES);
    this.vm.host.step(() => this.notify("envoy_on_resolve_dns", token, answer?.length ?? 0));
  }
}

import { ByteBuffer, type GuestBuffer } from "./byte-buffer.ts";
import { toBytes } from "./bytes.ts";
import { Context } from "./context.ts";
import type { Filter } from "./filter.ts";
import type { Plugin } from "./plugin.ts";
import type { RootContext } from "./root-context.ts";
import { Connection, DEFAULT_UPSTREAM, FilterState, StreamInfo, type ConnectionInit, type FilterStateInit, type UpstreamInfo } from "./stream-info.ts";
import { BufferType, PeerType, Status, StreamType, type StatusCode } from "./types.ts";
import type { GuestFunction, Vm } from "./vm.ts";

/** A module's context for one TCP connection, with the rules of Envoy's network filter. @internal */
class TcpContext extends Context {
  downstream: ByteBuffer | undefined;
  upstream: ByteBuffer | undefined;
  private ended = false;
  private readonly owner: TcpConnection;

  constructor(vm: Vm, root: RootContext, plugin: Plugin, owner: TcpConnection) {
    super(vm, vm.allocateContextId(), root, plugin);
    vm.contexts.set(this.id, this);
    this.owner = owner;
  }

  override get info(): StreamInfo {
    return this.owner.info;
  }

  override bodyBuffer(type: number): GuestBuffer | undefined {
    return type === BufferType.DownstreamData ? this.downstream : type === BufferType.UpstreamData ? this.upstream : undefined;
  }

  override continueStream(type: number): StatusCode {
    if (type === StreamType.Upstream) return Status.Unimplemented;
    if (type === StreamType.Downstream) this.vm.defer(() => this.owner.continueReading());
    return Status.Ok;
  }

  override closeStream(type: number): StatusCode {
    if (type === StreamType.Downstream || type === StreamType.Upstream) this.vm.defer(() => this.owner.closeBy("filter"));
    return Status.Ok;
  }

  create(): void {
    this.callback("proxy_on_context_create", this.parentId, 0);
    this.created = true;
  }

  /** True: stop. A failed VM closes the connection, unless it fails open. */
  callback(name: string, a = 0, b = 0): boolean {
    const fn: GuestFunction | undefined = this.vm.callbacks[name];
    if (this.vm.failed) return this.onFailure();
    if (fn === undefined) return false;
    const result = this.vm.invoke(name, fn, this, this.id, a, b);
    const stop = this.vm.failed ? this.onFailure() : result !== 0;
    this.vm.endCallback();
    return stop;
  }

  private onFailure(): boolean {
    if (this.plugin!.failOpen) return false;
    this.owner.closeBy("failure");
    return true;
  }

  finish(): void {
    if (this.ended || !this.created) return;
    this.ended = true;
    for (const name of ["proxy_on_done", "proxy_on_log", "proxy_on_delete"]) if (!this.vm.failed) this.callback(name);
    this.vm.contexts.delete(this.id);
  }
}

/** A TCP connection: its ends, and where it goes. */
export interface TcpInit extends ConnectionInit {
  /** Cluster that `tcp_proxy` chooses, for `xds.cluster_name`. */
  cluster?: string;
  /** The host that it is connected to; 127.0.0.1:8080 unless given. */
  upstream?: UpstreamInfo;
  /** What filters ahead left when the connection came. */
  filterState?: Readonly<Record<string, FilterStateInit>>;
}

/** Takes bytes as they leave the filter, in place of the ends that tests have: a real proxy's two sockets. */
export interface TcpSink {
  toUpstream(data: Uint8Array, end: boolean): void;
  toClient(data: Uint8Array, end: boolean): void;
  closed(by: NonNullable<TcpConnection["closedBy"]>): void;
}

/**
 * A TCP connection through a filter that is used as a network filter; see `Filter.tcp`.
 * @example
 * const connection = filter.tcp({ source: { address: "10.0.0.1" } });
 * connection.data("hello");   // what the client sent; on_downstream_data sees it
 * connection.toUpstream;      // what went on
 */
export class TcpConnection {
  /** @internal */
  readonly info: StreamInfo;
  readonly connection: Connection;
  /** Who closed the connection, if anybody. */
  closedBy: "client" | "envoy" | "filter" | "failure" | undefined;
  private readonly filter: Filter;
  private readonly context: TcpContext | undefined;
  private readonly read = new ByteBuffer();
  private readonly forwarded = new ByteBuffer();
  private readonly written = new ByteBuffer();
  /** What the upstream sent and a filter holds. */
  private readonly toWrite = new ByteBuffer();
  private stopped = false;
  private readEnded = false;
  private clientClosed = false;
  private upstreamClosed = false;

  private readonly sink: TcpSink | undefined;
  private readonly upstream: UpstreamInfo | undefined;

  /** @internal @param served a connection that is there already, and where its bytes go: nothing is kept here then */
  constructor(filter: Filter, init: TcpInit, worker: number, served?: { connection: Connection; sink: TcpSink }) {
    const { host } = filter;
    this.filter = filter;
    this.sink = served?.sink;
    this.upstream = served ? init.upstream : { ...DEFAULT_UPSTREAM, ...init.upstream };
    this.connection = served?.connection ?? new Connection(init, host.nextConnectionId++);
    this.info = new StreamInfo(this.connection, "", host.clock.wallNs(), host.clock.monotonicNs());
    for (const [key, value] of Object.entries(init.filterState ?? {})) this.connection.filterState.set(key, FilterState.objectOf(value));
    const handle = filter.pluginConfig.reloaded(host.worker(worker));
    if (handle === undefined) return;
    if (handle.vm.failed) {
      if (!filter.pluginConfig.plugin.failOpen && filter.pluginConfig.plugin.failurePolicy !== "FAIL_OPEN") this.closedBy = "failure";
      return;
    }
    this.context = new TcpContext(handle.vm, handle.root, filter.pluginConfig.plugin, this);
    this.step(() => {
      this.context!.create();
      this.stopped = this.context!.callback("proxy_on_new_connection");
    });
    this.info.cluster = init.cluster;
    if (!this.stopped) this.reach();
  }

  /** The filter lets the proxy connect to the upstream, which does so before it reads. */
  private reach(): void {
    this.info.upstream ??= this.upstream;
  }

  private step(op: () => void): void {
    this.filter.host.step(op);
  }

  /** Bytes that went on to the upstream so far. */
  get toUpstream(): Uint8Array {
    return this.forwarded.bytes();
  }

  /** Bytes that went on to the client so far. */
  get toClient(): Uint8Array {
    return this.written.bytes();
  }

  /** The client sends, or ends its side. Bytes of a stopped filter are kept, and shown again with what comes next. */
  data(bytes: string | Uint8Array, end = false): void {
    if (this.closedBy !== undefined) return;
    this.read.add(toBytes(bytes));
    this.readEnded ||= end;
    this.step(() => this.passRead(end));
  }

  private passRead(end: boolean): void {
    const { context } = this;
    if (context !== undefined) {
      context.downstream = this.read;
      this.stopped = context.callback("proxy_on_downstream_data", this.read.length, end ? 1 : 0);
      if (this.stopped || this.isClosed) return;
      context.downstream = undefined;
    }
    this.forward();
  }

  private forward(): void {
    this.reach();
    if (this.sink) this.sink.toUpstream(taken(this.read), this.readEnded);
    else this.forwarded.move(this.read);
    if (!this.readEnded) return;
    this.clientClosed = true;
    if (this.upstreamClosed) this.closeBy("client");
  }

  /** Reading goes on after the filter that stopped it. */
  continueReading(): void {
    if (!this.stopped) return;
    this.stopped = false;
    this.forward();
  }

  /** The upstream sends, or ends its side. Bytes of a stopped filter are shown again with what comes next. */
  upstreamData(bytes: string | Uint8Array, end = false): void {
    if (this.closedBy !== undefined) return;
    this.toWrite.add(toBytes(bytes));
    this.step(() => this.passWrite(end));
  }

  private passWrite(end: boolean): void {
    const { context } = this;
    if (context !== undefined) {
      context.upstream = this.toWrite;
      if (context.callback("proxy_on_upstream_data", this.toWrite.length, end ? 1 : 0) || this.isClosed) return;
      context.upstream = undefined;
    }
    if (this.sink) this.sink.toClient(taken(this.toWrite), end);
    else this.written.move(this.toWrite);
    if (!end) return;
    context?.callback("proxy_on_upstream_connection_close", PeerType.Unknown);
    this.upstreamClosed = true;
    if (this.clientClosed) this.closeBy("envoy");
  }

  /** Read anew: a callback may have closed the connection. */
  private get isClosed(): boolean {
    return this.closedBy !== undefined;
  }

  /** The client closes the connection. */
  close(): void {
    this.step(() => this.closeBy("client"));
  }

  /** Closes: on_downstream_connection_close, on_done, on_log, on_delete. */
  closeBy(by: NonNullable<TcpConnection["closedBy"]>): void {
    if (this.closedBy !== undefined) return;
    this.closedBy = by;
    this.info.endNs = this.filter.host.clock.monotonicNs();
    this.sink?.closed(by);
    const { context } = this;
    if (context === undefined) return;
    if (!context.vm.failed) context.callback("proxy_on_downstream_connection_close", by === "client" ? PeerType.Remote : PeerType.Local);
    context.finish();
  }

  /** The filter holds what the client sends. */
  get paused(): boolean {
    return this.stopped;
  }

  /** True when the end of the client's side has reached the upstream. */
  get downstreamEnded(): boolean {
    return this.clientClosed;
  }

  /** True when the upstream has ended its side. */
  get upstreamEnded(): boolean {
    return this.upstreamClosed;
  }
}

/** The bytes, out of the buffer. */
function taken(data: ByteBuffer): Uint8Array {
  const bytes = data.bytes();
  data.clear();
  return bytes;
}

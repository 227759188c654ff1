import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { basename } from "node:path";
import { fail, SelvedgeError, type Finding } from "../errors.ts";
import { EMPTY_BYTES, toBytes, toText } from "./bytes.ts";
import type { Fault } from "./faults.ts";
import { loadCelFor } from "./foreign.ts";
import { runExchange, type ExchangeOptions, type ExchangeOutcome, type ExchangeRequest } from "./exchange.ts";
import { Host, type HostOptions } from "./host.ts";
import { WasmModule } from "./module.ts";
import { Plugin, type ListenerInfo } from "./plugin.ts";
import { PluginConfig, type Rejection } from "./plugin-config.ts";
import type { Json } from "./proto.ts";
import { MetricsView } from "./stats.ts";
import { Stream, type StreamOptions } from "./stream.ts";
import { TcpConnection, type TcpInit } from "./tcp.ts";
import { FakeClock, type Clock } from "./time.ts";
import type { Trap } from "./trap.ts";
import type { FailurePolicy, LogEntry, ReloadStats } from "./types.ts";

export interface FilterOptions extends Omit<HostOptions<Clock>, "clock"> {
  /** Plugin configuration: text or bytes as they are, an object as JSON. Default: none. */
  config?: string | Uint8Array | { readonly [key: string]: Json };
  /** Which root context of the module answers; default "". */
  rootId?: string;
  /** Plugin name; default the file's name without `.wasm`. */
  name?: string;
  /** VMs with the same id, VM configuration and code are shared; default "". */
  vmId?: string;
  vmConfig?: string | Uint8Array | { readonly [key: string]: Json };
  environment?: Readonly<Record<string, string>>;
  /** Host calls and callbacks that the module may use; default all. An empty list means all, as in Envoy. */
  capabilities?: readonly string[];
  /** Default FAIL_CLOSED, as in Envoy. */
  failurePolicy?: FailurePolicy;
  /**
   * Envoy's older `fail_open`. Unlike failurePolicy "FAIL_OPEN", which lets only later streams pass, it also lets
   * those go on that are under way when the module traps.
   */
  failOpen?: boolean;
  /** FAIL_RELOAD: least time between two attempts; up to half of it is added at random. Default 1000. */
  reloadBackoffMs?: number;
  /** Envoy's `allow_on_headers_stop_iteration`. */
  allowHeadersStopIteration?: boolean;
  /** Limit of a VM's memory in bytes; default 1 GiB, as in Envoy. */
  memoryLimitBytes?: number;
  /** Listener direction and metadata for properties. */
  listener?: Partial<ListenerInfo>;
  /** The module, checked and compiled before, for those who load the same one many times. @internal */
  compiled?: WasmModule;
  /** The proxy to load into; a new one with the other options unless given. */
  host?: Host<Clock>;
  clock?: Clock;
  /** Armed before the module starts; more can be injected later. */
  faults?: readonly Fault[];
}

/** "rejected": the module refused its configuration (or failed while it started). "failed": it trapped later. */
export interface FilterStatus {
  state: "running" | "failed" | "rejected";
  reason?: string;
  /** Where the module trapped, when it did. */
  trap?: Trap;
}

const pagesOf = (bytes: number | undefined): number | undefined => (bytes === undefined ? undefined : Math.max(1, Math.floor(bytes / 65536)));

function bytesOf(value: FilterOptions["config"]): Uint8Array {
  if (value === undefined) return EMPTY_BYTES;
  if (typeof value === "string" || value instanceof Uint8Array) return toBytes(value);
  return toBytes(JSON.stringify(value));
}

/**
 * Loads a module as a filter: checks it, starts its VMs and configures them.
 *
 * @param module path of a `.wasm` file, or its bytes
 * @throws SelvedgeError when the file cannot be read, the module is none for a Proxy-Wasm host, or it cannot be
 *   initialised. A configuration that the module refuses does not throw: see `status`.
 * @example
 * const filter = await loadFilter("dist/authz.wasm", { config: { policies: [] } });
 * const { action, localReply } = await filter.stream({ source: { uriSans: ["spiffe://td/ns/a/sa/b"] } })
 *   .request({ headers: [[":method", "GET"], [":path", "/"], [":authority", "x"]] });
 */
export async function loadFilter(module: string | Uint8Array, options: FilterOptions = {}): Promise<Filter> {
  const code = typeof module === "string" ? await readFile(module).catch((error: NodeJS.ErrnoException) => unreadable(module, error)) : module;
  await loadCelFor(code);
  return makeFilter(code, typeof module === "string" ? module : undefined, options);
}

/** `loadFilter` for those who cannot wait; without the foreign functions of CEL. */
export function loadFilterSync(module: string | Uint8Array, options: FilterOptions = {}): Filter {
  let code: Uint8Array;
  if (typeof module === "string") {
    try {
      code = readFileSync(module);
    } catch (error) {
      unreadable(module, error as NodeJS.ErrnoException);
    }
  } else code = module;
  return makeFilter(code, typeof module === "string" ? module : undefined, options);
}

function unreadable(file: string, error: NodeJS.ErrnoException): never {
  return fail("host-file", `${file} cannot be read: ${error.code === "ENOENT" ? "there is no such file" : error.message}`, { fix: "build it first: selvedge build" });
}

function makeFilter(code: Uint8Array, file: string | undefined, options: FilterOptions): Filter {
  const name = options.name ?? (file === undefined ? "filter" : basename(file).replace(/\.wasm$/, ""));
  const host: Host<Clock> = options.host ?? new Host<Clock>(options as HostOptions<Clock>);
  const module = options.compiled ?? WasmModule.load(code, { file, name: file === undefined ? name : undefined, maxMemoryPages: pagesOf(options.memoryLimitBytes), stoppable: host.timeLimitMs > 0 });
  const plugin = new Plugin({
    name,
    rootId: options.rootId ?? "",
    vmId: options.vmId ?? "",
    config: bytesOf(options.config),
    failurePolicy: options.failOpen ? "FAIL_OPEN" : (options.failurePolicy ?? "FAIL_CLOSED"),
    failOpen: options.failOpen ?? false,
    reloadBackoffMs: options.reloadBackoffMs ?? 1000,
    allowHeadersStopIteration: options.allowHeadersStopIteration ?? false,
    listener: { direction: options.listener?.direction ?? 0, metadata: options.listener?.metadata ?? {} },
  });
  const capabilities = options.capabilities === undefined || options.capabilities.length === 0 ? undefined : new Set(options.capabilities);
  const config = new PluginConfig(host, module, plugin, { vmId: plugin.vmId, vmConfig: bytesOf(options.vmConfig), environment: options.environment ?? {}, capabilities });
  if (options.faults !== undefined && options.faults.length > 0) {
    const faults = host.armFaults(config.vmKey);
    for (const fault of options.faults) faults.add(fault);
  }
  config.load();
  return new Filter(config);
}

/** A loaded filter. Everything it does happens on its host. */
export class Filter {
  /** @internal */
  readonly pluginConfig: PluginConfig;
  /** @internal */
  closed = false;
  readonly host: Host<Clock>;
  readonly metrics: MetricsView;

  /** @internal */
  constructor(config: PluginConfig) {
    this.pluginConfig = config;
    this.host = config.host;
    this.metrics = new MetricsView(config.host.stats);
  }

  get name(): string {
    return this.pluginConfig.plugin.name;
  }

  /** What this plugin (and the host about it) logged; the host's other lines are in `host.logs`. */
  get logs(): LogEntry[] {
    return this.host.logs.filter((entry) => entry.plugin === this.name || (entry.from === "host" && entry.plugin === ""));
  }

  /** How often a failed VM was replaced (FAIL_RELOAD). */
  get reloads(): ReloadStats {
    return this.pluginConfig.reloads;
  }

  get status(): FilterStatus {
    const rejection: Rejection | undefined = this.pluginConfig.rejection;
    if (rejection !== undefined) return { state: "rejected", reason: rejection.reason, ...(rejection.trap && { trap: rejection.trap }) };
    for (const thread of this.host.threads) {
      const vm = this.pluginConfig.handleFor(thread)?.vm;
      if (vm?.failed) return { state: "failed", reason: vm.trap?.message ?? vm.failState, trap: vm.trap };
    }
    return { state: "running" };
  }

  /** What is wrong, as findings: empty while the filter runs. */
  get findings(): Finding[] {
    const { state, reason } = this.status;
    if (state === "running") return [];
    const code = state === "rejected" ? "host-config-rejected" : "host-filter-failed";
    return [{ code, severity: "error", message: `${this.pluginConfig.module.name}: ${reason}` }];
  }

  /** Throws when the filter is not running. */
  requireRunning(): this {
    if (this.findings.length > 0) throw new SelvedgeError(this.findings);
    return this;
  }

  /**
   * A new stream through this filter.
   * @example
   * const stream = filter.stream({ routes: (headers, state) => state["wasm.selvedge_arm"] ?? "stable" });
   */
  stream(options: StreamOptions = {}): Stream {
    return streamThrough([this], options);
  }

  /** A new TCP connection, with this filter as a network filter. */
  tcp(options: TcpInit = {}, worker = 0): TcpConnection {
    if (this.status.state === "rejected") this.requireRunning();
    requireOpen(this);
    return new TcpConnection(this, options, worker);
  }

  /** One whole exchange: request, upstream, response. Moves the fake clock as far as it takes. */
  async http(request: ExchangeRequest = {}, options: ExchangeOptions = {}): Promise<ExchangeOutcome> {
    return runExchange([this], request, options);
  }

  /** Lets time pass, in milliseconds of the fake clock: ticks, time-outs and answers fall due. */
  tick(ms: number): void {
    if (!(this.host.clock instanceof FakeClock)) fail("host-clock", "only a fake clock can be moved", { fix: "load the filter without `clock`, or with a FakeClock" });
    this.host.clock.advance(ms);
  }

  /** Fault: the wall clock jumps by so many milliseconds, either way, as when the machine's clock is set; no timer moves. */
  stepClock(ms: number): void {
    if (!(this.host.clock instanceof FakeClock)) fail("host-clock", "only a fake clock can be set", { fix: "load the filter without `clock`, or with a FakeClock" });
    this.host.clock.step(ms);
  }

  /** Causes trouble on purpose; see `Fault`. */
  inject(...faults: Fault[]): void {
    const armed = this.host.armFaults(this.pluginConfig.vmKey);
    for (const fault of faults) armed.add(fault);
  }

  /** Takes back every injected fault. */
  clearFaults(): void {
    this.host.armFaults(this.pluginConfig.vmKey).clear();
  }

  /** Fault: the shared data of this filter's vm_id is gone. */
  loseSharedData(): void {
    this.host.sharedData.delete(this.pluginConfig.settings.vmId);
  }

  /** Calls on_foreign_function of the root context on a worker. */
  callForeignFunction(functionId: number, data: string | Uint8Array, worker = 0): void {
    this.pluginConfig.handleFor(this.host.worker(worker))?.root.onForeignFunction(functionId, toBytes(data));
  }

  /** Size of a worker's VM memory in bytes; 0 when it has none. */
  memoryBytes(worker = 0): number {
    return this.pluginConfig.handleFor(this.host.worker(worker))?.vm.memory.size ?? 0;
  }

  /** The shared data of this filter's vm_id, as text by key. */
  get sharedData(): Record<string, string> {
    const { vmId } = this.pluginConfig.settings;
    return Object.fromEntries(this.host.sharedData.keys(vmId).map((key) => [key, toText(this.host.sharedData.get(vmId, key)!.value)]));
  }

  /** Ends the plugin: on_done and on_delete of its root contexts. */
  close(): void {
    this.closed = true;
    this.pluginConfig.unload();
  }
}

/** Traffic would pass a filter that isn't there any more. */
function requireOpen({ closed, name }: Filter): void {
  if (closed) fail("host-filter-closed", `${name} has been closed: nothing would look at this traffic`, { fix: "load the filter again, or close it later" });
}

/** A stream through several filters of one host, in the order of Envoy's `http_filters`. */
export function streamThrough(filters: readonly Filter[], options: StreamOptions = {}): Stream {
  const first = filters[0] ?? fail("host-no-filter", "a stream needs at least one filter");
  for (const filter of filters) {
    if (filter.host !== first.host) fail("host-two-hosts", "filters of one stream must be loaded on the same host", { fix: "pass the same `host` to every loadFilter" });
    requireOpen(filter);
    const { state, reason } = filter.status;
    if (state === "rejected") fail("host-config-rejected", `${filter.name} did not accept its configuration, so no traffic can reach it: ${reason}`);
  }
  return new Stream(first, filters, options);
}

import { createHash } from "node:crypto";
import { fail } from "../errors.ts";
import { Faults } from "./faults.ts";
import type { WasmModule } from "./module.ts";
import type { NodeInfo } from "./node.ts";
import type { Plugin } from "./plugin.ts";
import { SharedQueues } from "./queues.ts";
import { SharedData } from "./shared-data.ts";
import { StatsStore } from "./stats.ts";
import { Thread } from "./thread.ts";
import { FakeClock, seededRandom, type Clock, type RandomSource } from "./time.ts";
import { LOG_LEVELS, type ForeignFunction, type LogEntry, type LogLevel } from "./types.ts";
import { upstreamOf, type DnsAnswer, type GrpcCall, type HttpAnswer, type HttpCall, type Upstream, type UpstreamInit } from "./upstreams.ts";
import type { Vm, VmSettings } from "./vm.ts";

export interface HostOptions<C extends Clock = FakeClock> {
  /** A FakeClock unless given. */
  clock?: C;
  /** Source of random bytes; a seeded one unless given, so that runs repeat. */
  random?: RandomSource;
  /** Messages below are dropped, and proxy_get_log_level answers it. Default "info". */
  logLevel?: LogLevel;
  /** Called with every log line, besides being kept. */
  onLog?: (entry: LogEntry) => void;
  /** How many log lines are kept (the newest); default 10,000. */
  keepLogs?: number;
  /** Worker threads; default 1. */
  workers?: number;
  /**
   * "worker": a plugin runs in one VM per worker and nowhere else. "envoy": as Envoy has it, also in a base VM, a
   * canary VM that is dropped, and the main thread, so on_configure runs workers + 2 times. Default "worker".
   */
  topology?: "worker" | "envoy";
  /** The proxy's identity for `xds.node`. */
  node?: NodeInfo;
  /** Called with the exports of every VM that is made, before any of them is called. @internal */
  onInstance?: (exports: WebAssembly.Exports, module: WasmModule) => void;
  /** Clusters that callouts can reach, by name; every other cluster is unknown. */
  clusters?: Readonly<Record<string, UpstreamInit>>;
  /** Names that envoy_resolve_dns resolves. */
  dns?: Readonly<Record<string, readonly DnsAnswer[]>>;
  /** Additional (or replaced) foreign functions. */
  foreignFunctions?: Readonly<Record<string, ForeignFunction>>;
  /**
   * Longest time that one callback of a module may take, in real milliseconds; one that takes longer is ended and its VM
   * has failed. 0 turns the limit off. Default 5000.
   */
  timeLimitMs?: number;
}

/**
 * A proxy's worth of state: clock, threads, clusters, statistics, shared data, logs. Plugins loaded on the same host
 * see each other as they would in one Envoy; separate hosts share nothing.
 *
 * @example
 * const host = new Host({ clusters: { auth: { status: 200 } } });
 * const filter = await loadFilter("dist/authz.wasm", { config, host });
 * host.clock.advance(1000);
 */
export class Host<C extends Clock = Clock> {
  readonly clock: C;
  readonly random: RandomSource;
  /** @internal */
  readonly logLevelNumber: number;
  readonly topology: "worker" | "envoy";
  /** Main thread first when there is one, then the workers. */
  readonly threads: readonly Thread[];
  readonly workers: readonly Thread[];
  readonly node: NodeInfo;
  /** @internal */
  readonly stats = new StatsStore();
  /** @internal */
  readonly sharedData = new SharedData();
  /** @internal */
  readonly queues = new SharedQueues();
  readonly logs: LogEntry[] = [];
  readonly httpCalls: HttpCall[] = [];
  readonly grpcCalls: GrpcCall[] = [];
  readonly foreignFunctions: Readonly<Record<string, ForeignFunction>>;
  /** VMs made so far, and those that live. */
  readonly vmCounts = { created: 0, active: 0 };
  /** @internal */
  nextDnsToken = 1;
  /** @internal */
  nextConnectionId = 0;
  private readonly options: HostOptions<C>;
  private readonly clusters: Map<string, Upstream>;
  private readonly baseVms = new Map<string, Vm>();
  private readonly vmIds = new Map<string, number>();
  private readonly faults = new Map<string, Faults>();
  /** See HostOptions; 0: no limit. */
  readonly timeLimitMs: number;
  private depth = 0;
  private pending: Promise<unknown>[] = [];

  constructor(options: HostOptions<C> = {}) {
    this.options = options;
    this.clock = options.clock ?? (new FakeClock() as Clock as C);
    this.random = options.random ?? seededRandom();
    this.logLevelNumber = LOG_LEVELS.indexOf(options.logLevel ?? "info");
    this.topology = options.topology ?? "worker";
    const workers = Math.max(1, options.workers ?? 1);
    this.workers = Array.from({ length: workers }, (_, i) => new Thread(`worker-${i}`));
    this.threads = this.topology === "envoy" ? [new Thread("main"), ...this.workers] : this.workers;
    this.node = options.node ?? {};
    this.clusters = new Map(Object.entries(options.clusters ?? {}).map(([name, init]) => [name, upstreamOf(init)]));
    this.foreignFunctions = options.foreignFunctions ?? {};
    this.timeLimitMs = options.timeLimitMs ?? 5000;
  }

  /** Adds or replaces a cluster. */
  setCluster(name: string, upstream: UpstreamInit): void {
    this.clusters.set(name, upstreamOf(upstream));
  }

  /** @internal */
  cluster(name: string): Upstream | undefined {
    return this.clusters.get(name);
  }

  /** @internal */
  dns(name: string): readonly DnsAnswer[] | undefined {
    return this.options.dns?.[name];
  }

  /** Keeps a log line. @internal */
  log(level: LogLevel, message: string, plugin: Plugin | undefined, thread: string, from: LogEntry["from"]): void {
    const entry: LogEntry = { level, message, plugin: plugin?.name ?? "", thread, from, timeMs: Number(this.clock.wallNs() / 1_000_000n) };
    this.logs.push(entry);
    const keep = this.options.keepLogs ?? 10_000;
    if (this.logs.length > keep * 2) this.logs.splice(0, this.logs.length - keep);
    this.options.onLog?.(entry);
  }

  /** The newest error or critical line that a module wrote. @internal */
  lastComplaint(plugin: Plugin): string | undefined {
    return this.logs.findLast((entry) => entry.from === "wasm" && entry.plugin === plugin.name && (entry.level === "critical" || entry.level === "error"))?.message;
  }

  /** A VM was made of a module. @internal */
  instantiated(exports: WebAssembly.Exports, module: WasmModule): void {
    this.options.onInstance?.(exports, module);
  }

  /** Runs a task soon, after what runs now: Envoy's `dispatcher.post`. @internal */
  post(task: () => void): void {
    this.clock.after(0, task);
  }

  /** One step of the proxy. The outermost one runs, when it is done, what it posted. @internal */
  step<T>(op: () => T): T {
    if (this.depth > 0) return op();
    this.depth++;
    let result: T;
    try {
      result = op();
    } finally {
      this.depth = 0;
    }
    if (this.clock instanceof FakeClock) this.clock.runDue();
    return result;
  }

  // --- VMs -----------------------------------------------------------------------------------------------------

  /** @internal */
  vmKey(module: WasmModule, settings: VmSettings): string {
    return createHash("sha256").update(settings.vmId).update("||").update(settings.vmConfig).update("||").update(module.sha256).digest("hex");
  }

  /** The base VM of a key, made once. @internal */
  baseVm(key: string, make: () => Vm): Vm {
    let vm = this.baseVms.get(key);
    if (vm === undefined) this.baseVms.set(key, (vm = make()));
    return vm;
  }

  /** @internal */
  vmCreated(vm: Vm): void {
    this.vmCounts.created++;
    this.vmCounts.active++;
    this.vmIds.set(vm.settings.vmId, (this.vmIds.get(vm.settings.vmId) ?? 0) + 1);
  }

  /** A VM is dropped; with the last one of its vm_id goes that id's shared data. @internal */
  vmGone(vm: Vm): void {
    this.vmCounts.active--;
    const left = (this.vmIds.get(vm.settings.vmId) ?? 1) - 1;
    this.vmIds.set(vm.settings.vmId, left);
    const baseOnly = [...this.baseVms.values()].filter((base) => base.settings.vmId === vm.settings.vmId).length === left;
    if (!baseOnly) return;
    for (const [key, base] of this.baseVms) if (base.settings.vmId === vm.settings.vmId) this.baseVms.delete(key);
    this.vmIds.delete(vm.settings.vmId);
    this.sharedData.delete(vm.settings.vmId);
    this.queues.deleteByVmId(vm.settings.vmId);
  }

  /** The canary VM is dropped without a word: its ticks and callouts end. @internal */
  forgetCallbacksOf(vm: Vm): void {
    for (const root of vm.roots.values()) {
      root.setTickPeriod(0);
      for (const timer of root.httpCalls.values()) timer?.cancel();
      for (const call of root.grpcCalls.values()) call.cancel();
    }
    this.vmCounts.active--;
    this.vmIds.set(vm.settings.vmId, (this.vmIds.get(vm.settings.vmId) ?? 1) - 1);
  }

  /** Faults of a VM's module, or undefined: none armed. @internal */
  faultsFor(vm: Vm): Faults | undefined {
    return this.faults.get(vm.key);
  }

  /** Arms (or finds) the faults of all VMs with a key. @internal */
  armFaults(key: string): Faults {
    let faults = this.faults.get(key);
    if (faults === undefined) this.faults.set(key, (faults = new Faults()));
    for (const thread of this.threads) thread.vms.get(key)?.setFaults(faults);
    return faults;
  }

  // --- callouts ------------------------------------------------------------------------------------------------

  /** @internal */
  recordCall(call: HttpCall): void {
    this.httpCalls.push(call);
    if (this.httpCalls.length > 20_000) this.httpCalls.splice(0, 10_000);
  }

  /** @internal */
  recordGrpcCall(call: GrpcCall): void {
    this.grpcCalls.push(call);
    if (this.grpcCalls.length > 20_000) this.grpcCalls.splice(0, 10_000);
  }

  /** @internal */
  callAnswer(upstream: Upstream, call: HttpCall): HttpAnswer | Promise<HttpAnswer> {
    const { http } = upstream;
    if (http === undefined) return "connectionFailure";
    return typeof http === "function" ? http(call) : http;
  }

  /** Remembers an asynchronous answer of a test's upstream. @internal */
  waitFor(promise: Promise<unknown>): void {
    this.pending.push(promise);
  }

  /** Waits for asynchronous answers of upstreams and delivers them. */
  async settle(): Promise<void> {
    while (this.pending.length > 0) {
      const waiting = this.pending;
      this.pending = [];
      await Promise.all(waiting);
      if (this.clock instanceof FakeClock) this.clock.runDue();
    }
  }

  /** Random unsigned 32-bit number, for jitter. @internal */
  randomNumber(): number {
    const bytes = new Uint8Array(4);
    this.random(bytes);
    return new DataView(bytes.buffer).getUint32(0);
  }

  /** A worker by its number. @internal */
  worker(index: number): Thread {
    return this.workers[index] ?? fail("host-worker", `this host has no worker ${index}`, { expected: `0 to ${this.workers.length - 1}` });
  }
}

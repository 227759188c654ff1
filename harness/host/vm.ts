import { Context } from "./context.ts";
import { Deadline } from "./deadline.ts";
import type { Faults } from "./faults.ts";
import type { Host } from "./host.ts";
import { buildImports } from "./imports.ts";
import { GuestMemory } from "./memory.ts";
import type { CallbackName, WasmModule } from "./module.ts";
import { decodePairs, pairsProblem } from "./pairs.ts";
import type { RootContext } from "./root-context.ts";
import type { Metric } from "./stats.ts";
import type { Thread } from "./thread.ts";
import { DEADLINE_EXPORT, START_EXPORT } from "./rewrite.ts";
import { describeTrap, type Trap } from "./trap.ts";
import type { FailState } from "./types.ts";

export type GuestFunction = (a?: number, b?: number, c?: number, d?: number, e?: number) => number;

/** Host calls that a module may make while `_initialize` or `_start` runs, and while it allocates for the host. */
const START_ALLOWED: ReadonlySet<string> = new Set([
  "emscripten_notify_memory_growth", "proxy_log", "fd_write", "args_sizes_get", "args_get", "environ_sizes_get", "environ_get",
  "clock_time_get", "clock_res_get", "random_get", "poll_oneoff", "fd_fdstat_get", "fd_fdstat_set_flags", "fd_advise", "fd_allocate",
  "fd_datasync", "fd_fdstat_set_rights", "fd_filestat_get", "fd_filestat_set_size", "fd_filestat_set_times", "fd_pread",
  "fd_prestat_dir_name", "fd_prestat_get", "fd_pwrite", "fd_readdir", "fd_renumber", "fd_sync", "fd_tell", "path_create_directory",
  "path_filestat_get", "path_filestat_set_times", "path_link", "path_readlink", "path_remove_directory", "path_rename", "path_symlink",
  "path_unlink_file", "sock_accept", "sock_recv", "sock_send", "sock_shutdown",
]);
const MALLOC_ALLOWED: ReadonlySet<string> = new Set(["proxy_log", "fd_write", "clock_time_get", "poll_oneoff"]);

/** What identifies a VM besides its code, and what it is allowed to do. */
export interface VmSettings {
  vmId: string;
  vmConfig: Uint8Array;
  environment: Readonly<Record<string, string>>;
  /** Names of allowed host calls and callbacks; undefined: everything. */
  capabilities: ReadonlySet<string> | undefined;
}

/** One instance of a module on one thread. */
export class Vm {
  readonly host: Host;
  readonly thread: Thread;
  readonly module: WasmModule;
  readonly settings: VmSettings;
  readonly key: string;
  memory!: GuestMemory;
  readonly vmContext: Context;
  readonly contexts = new Map<number, Context>();
  /** Root contexts by plugin key, and those that still wait for proxy_done. */
  readonly roots = new Map<string, RootContext>();
  readonly pendingDone = new Map<string, RootContext>();
  /** Metrics by id; the low two bits of an id say the kind. */
  readonly metrics = new Map<number, Metric>();
  readonly nextMetricId = [0, 1, 2];
  readonly nextCallId = [0, 1, 2];
  /** Context whose callback runs, and the one that it asked to act as (0: itself). */
  current: Context | undefined;
  effectiveId = 0;
  /** Raised by send_local_response: the callback's return value no longer counts. */
  stopIteration = false;
  failState: FailState = "ok";
  trap: Trap | undefined;
  faults: Faults | undefined;
  /** True when host calls have to be looked at before they run (restricted phase or faults). */
  checked = false;
  callbacks!: Record<CallbackName, GuestFunction | undefined>;
  onRuntimeError: (() => void) | undefined;

  /** Name of the callback that runs now, "" between callbacks. */
  private running = "";
  readonly deadline: Deadline;
  private nextContextId = 1;
  private allocate: GuestFunction | undefined;
  private allocatorName = "malloc";
  private restricted: ReadonlySet<string> | undefined;
  private readonly complaints = new Set<string>();
  private readonly afterCall: (() => void)[] = [];
  private exports: WebAssembly.Exports = {};

  constructor(host: Host, thread: Thread, module: WasmModule, settings: VmSettings, key: string) {
    this.host = host;
    this.thread = thread;
    this.module = module;
    this.settings = settings;
    this.key = key;
    this.deadline = new Deadline(host.timeLimitMs);
    this.vmContext = new Context(this, 0, undefined, undefined);
    this.contexts.set(0, this.vmContext);
    this.faults = host.faultsFor(this);
    this.checked = this.faults !== undefined;
  }

  get failed(): boolean {
    return this.failState !== "ok";
  }

  /** Instantiates the module and runs its start functions. False (with `failState`) when that fails. */
  initialize(): boolean {
    let instance: WebAssembly.Instance;
    const { imports, memory } = buildImports(this);
    try {
      instance = new WebAssembly.Instance(this.module.compiled, imports);
    } catch (error) {
      this.recordTrap("instantiation", error);
      this.fail("unableToInitializeCode", `Failed to create new Wasm instance: ${(error as Error).message}`);
      return false;
    }
    this.exports = instance.exports;
    this.host.instantiated(this.exports, this.module);
    this.memory = new GuestMemory((memory ?? this.module.exportedMemory(instance)) as WebAssembly.Memory);
    const deadline = this.exports[DEADLINE_EXPORT];
    if (deadline !== undefined) this.deadline.connect(deadline as WebAssembly.Table);
    this.runStartSection();
    if (this.failed) return false;
    this.bindExports();
    this.start();
    return !this.failed;
  }

  /** Envoy crashes when the start section calls the host, so that is refused here; one that only computes is fine. */
  private runStartSection(): void {
    if (!this.module.startSection) return;
    this.restrict(new Set());
    this.invoke("the start section", this.exports[START_EXPORT] as GuestFunction, this.vmContext);
    this.restrict(undefined);
  }

  private bindExports(): void {
    const find = (name: string): GuestFunction | undefined => (typeof this.exports[name] === "function" ? (this.exports[name] as GuestFunction) : undefined);
    this.allocate = find("malloc");
    if (this.allocate === undefined) {
      this.allocate = find("proxy_on_memory_allocate");
      this.allocatorName = "proxy_on_memory_allocate";
    }
    this.callbacks = this.module.bindCallbacks(find, this.settings.capabilities);
    if (this.allocate === undefined) this.fail("missingFunction", "Wasm module is missing malloc function.");
  }

  private start(): void {
    const find = (name: string): GuestFunction | undefined => (typeof this.exports[name] === "function" ? (this.exports[name] as GuestFunction) : undefined);
    this.restrict(START_ALLOWED);
    const initialize = find("_initialize");
    if (initialize !== undefined) {
      this.invoke("_initialize", initialize, this.vmContext);
      const main = find("main");
      const mainVoid = find("__main_void");
      if (main !== undefined) this.invoke("main", main, this.vmContext, 0, 0);
      else if (mainVoid !== undefined) this.invoke("__main_void", mainVoid, this.vmContext);
    } else {
      const start = find("_start");
      if (start !== undefined) this.invoke("_start", start, this.vmContext);
    }
    this.restrict(undefined);
  }

  /** Calls a function of the module with `context` as the current one. A trap fails the VM and gives 0. */
  invoke(name: string, fn: GuestFunction, context: Context, a = 0, b = 0, c = 0, d = 0, e = 0): number {
    const { current, effectiveId, running } = this;
    this.current = context;
    this.effectiveId = 0;
    this.running = name;
    if (running === "") this.deadline.restart();
    try {
      if (this.faults !== undefined) this.faults.beforeCallback(name);
      return fn(a, b, c, d, e);
    } catch (error) {
      this.recordTrap(running === "" || !this.deadline.passed ? name : `${name} (called during ${running})`, error);
      this.fail("runtimeError", this.trap!.message);
      return 0;
    } finally {
      this.current = current;
      this.effectiveId = effectiveId;
      this.running = running;
    }
  }

  /** Keeps why the module stopped; of several traps (an allocator's, then its caller's) the first. */
  private recordTrap(name: string, error: unknown): void {
    if (this.trap !== undefined) return;
    const trap = describeTrap(this.module, name, error);
    const why = this.deadline.passed
      ? `ran for more than ${this.deadline.limitMs} ms and was ended`
      : this.memory !== undefined && this.memory.size >= this.module.memoryLimitBytes
        ? `${trap.reason} (its memory had reached the limit of ${this.module.memoryLimitBytes} bytes)`
        : undefined;
    if (why !== undefined) {
      trap.message = trap.message.replace(/ failed: .*/, () => ` failed: ${why} (module ${this.module.name})`);
      trap.reason = why;
    }
    this.trap = trap;
  }

  /** The context that host calls act on: the effective one when the module set it and it still exists. */
  get context(): Context {
    if (this.effectiveId === 0) return this.current!;
    return this.contexts.get(this.effectiveId) ?? this.current!;
  }

  allocateContextId(): number {
    while (this.contexts.has(this.nextContextId)) this.nextContextId++;
    return this.nextContextId++;
  }

  /** Runs `task` when the callback that runs now (or the next one) has returned. */
  defer(task: () => void): void {
    this.afterCall.push(task);
  }

  /** Ends a callback: what the module asked for meanwhile happens now. */
  endCallback(): void {
    this.stopIteration = false;
    while (this.afterCall.length > 0) this.afterCall.shift()!();
  }

  /** Memory in the module, allocated by the module; 0 when it refuses or answers outside of its memory. */
  alloc(size: number): number {
    if (this.allocate === undefined) return 0;
    if (this.faults?.refuseAllocation(size)) return 0;
    this.restrict(MALLOC_ALLOWED);
    const at = this.invoke(this.allocatorName, this.allocate, this.vmContext, size) >>> 0;
    this.restrict(undefined);
    return at !== 0 && this.memory.fits(at, size) ? at : 0;
  }

  /** Copies bytes into the module and stores where they are; false when memory is not accessible. */
  giveBytes(data: Uint8Array, pointerOut: number, sizeOut: number): boolean {
    let at = 0;
    if (data.length > 0) {
      at = this.alloc(data.length);
      if (at === 0) return false;
      this.memory.write(at, data);
    }
    return this.memory.setU32(pointerOut, at) && this.memory.setU32(sizeOut, data.length);
  }

  /** The same for a byte string. */
  giveText(text: string, pointerOut: number, sizeOut: number): boolean {
    let at = 0;
    if (text.length > 0) {
      at = this.alloc(text.length);
      if (at === 0) return false;
      this.memory.writeText(at, text);
    }
    return this.memory.setU32(pointerOut, at) && this.memory.setU32(sizeOut, text.length);
  }

  /** Arms faults for this VM; they look at every host call from now on. */
  setFaults(faults: Faults): void {
    this.faults = faults;
    this.checked = true;
  }

  private restrict(allowed: ReadonlySet<string> | undefined): void {
    this.restricted = allowed;
    this.checked = allowed !== undefined || this.faults !== undefined;
  }

  /** Called before each host call while `checked`; returns a status to answer at once, or -1. */
  beforeHostCall(name: string): number {
    if (this.restricted !== undefined && !this.restricted.has(name)) throw new Error("restricted_callback");
    return this.faults === undefined ? -1 : this.faults.beforeHostCall(name);
  }

  /** Says what is wrong with a host call that Envoy answers without a word: once for each call. */
  complain<T>(call: string, what: string, result: T, level: "warn" | "critical" = "warn"): T {
    if (!this.complaints.has(call)) {
      this.complaints.add(call);
      this.host.log(level, `${this.module.name}: ${call} ${what} (said once)`, this.current?.plugin, this.thread.name, "host");
    }
    return result;
  }

  /** Flat entries that the module wrote; malformed or oversized ones are none, as in Envoy. */
  pairs(call: string, data: Uint8Array): string[] {
    const flat = decodePairs(data);
    if (flat.length > 0 || data.length === 0) return flat;
    const problem = pairsProblem(data);
    return problem === undefined ? flat : this.complain(call, `was given headers that count as none: ${problem}`, flat);
  }

  /** Marks the VM as failed: no callback runs any more. */
  fail(state: FailState, message: string): void {
    this.host.log("error", message, this.current?.plugin, this.thread.name, "host");
    this.failState = state;
    if (state === "runtimeError") this.onRuntimeError?.();
  }
}

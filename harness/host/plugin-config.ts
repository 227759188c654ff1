import type { Trap } from "./trap.ts";
import { fail } from "../errors.ts";
import type { Host } from "./host.ts";
import type { WasmModule } from "./module.ts";
import type { Plugin } from "./plugin.ts";
import { RootContext } from "./root-context.ts";
import { FailedFilter, StreamContext, type StreamFilter } from "./stream-context.ts";
import { Thread } from "./thread.ts";
import type { ReloadStats } from "./types.ts";
import { Vm, type VmSettings } from "./vm.ts";

/** A plugin on one thread. */
export interface PluginHandle {
  readonly vm: Vm;
  readonly root: RootContext;
}

/** Why a configuration was not accepted. */
export interface Rejection {
  /** The callback that refused or failed. */
  callback: string;
  reason: string;
  /** Where it trapped, when it did. */
  trap?: Trap;
}

/** A plugin on all threads of a host, with Envoy's order of start and its failure policy. */
export class PluginConfig {
  readonly host: Host;
  readonly module: WasmModule;
  readonly plugin: Plugin;
  readonly settings: VmSettings;
  readonly vmKey: string;
  readonly reloads: ReloadStats = { success: 0, failure: 0, backoff: 0 };
  rejection: Rejection | undefined;
  private readonly handles = new Map<Thread, { handle: PluginHandle; loadedNs: bigint }>();

  constructor(host: Host, module: WasmModule, plugin: Plugin, settings: VmSettings) {
    this.host = host;
    this.module = module;
    this.plugin = plugin;
    this.settings = settings;
    this.vmKey = host.vmKey(module, settings);
  }

  /**
   * Starts the plugin: with topology "envoy" first on a base VM and a canary copy of it, then on every thread.
   * Sets `rejection` when the module refuses; throws when it cannot be initialised at all.
   */
  load(): void {
    if (this.host.topology === "envoy") {
      this.host.baseVm(this.vmKey, () => this.initialized(new Thread("base")));
      const canary = this.initialized(new Thread("canary"));
      this.tryStart(canary, true);
      this.host.forgetCallbacksOf(canary);
      if (this.rejection !== undefined) return;
    }
    for (const thread of this.host.threads) {
      const handle = this.handleOn(thread);
      if (handle !== undefined) this.handles.set(thread, { handle, loadedNs: this.host.clock.monotonicNs() });
      else if (this.host.topology !== "envoy") return;
    }
    if (this.host.topology === "envoy") this.rejection = undefined;
  }

  private initialized(thread: Thread): Vm {
    const vm = new Vm(this.host, thread, this.module, this.settings, this.vmKey);
    const ok = this.host.step(() => vm.initialize());
    if (!ok) {
      const why = vm.trap === undefined ? "" : `: ${vm.trap.message}`;
      const restricted = /restricted_callback/.test(why);
      fail(restricted ? "host-call-too-early" : "host-vm-start", `${this.module.name}: the module cannot be started, it fails in ${vm.trap?.callback ?? "its initialisation"}${why}`, {
        fix: restricted ? "call the host from proxy_on_vm_start on; before that only logging, time, random numbers and the environment are there" : undefined,
      });
    }
    this.host.vmCreated(vm);
    return vm;
  }

  /** The plugin's handle on a thread; undefined when it refuses to start there. */
  private handleOn(thread: Thread): PluginHandle | undefined {
    const key = `${this.vmKey}||${this.plugin.key}`;
    const known = thread.plugins.get(key);
    if (known !== undefined) return known;
    let vm = thread.vms.get(this.vmKey);
    if (vm === undefined) {
      vm = this.initialized(thread);
      thread.vms.set(this.vmKey, vm);
    }
    const target = vm;
    const previous = target.onRuntimeError;
    target.onRuntimeError = () => {
      previous?.();
      if (thread.vms.get(this.vmKey) === target) thread.vms.delete(this.vmKey);
      if (thread.plugins.get(key)?.vm === target) thread.plugins.delete(key);
    };
    const root = this.tryStart(vm, false);
    if (root === undefined) return undefined;
    const handle = { vm, root };
    thread.plugins.set(key, handle);
    return handle;
  }

  /** on_context_create, on_vm_start and on_configure of this plugin in a VM. */
  private tryStart(vm: Vm, canary: boolean): RootContext | undefined {
    const { plugin } = this;
    return this.host.step<RootContext | undefined>(() => {
      let root = vm.roots.get(plugin.key);
      if (root !== undefined) root.onStart(plugin);
      else {
        root = new RootContext(vm, vm.allocateContextId(), plugin);
        vm.contexts.set(root.id, root);
        vm.roots.set(plugin.key, root);
        if (!root.onStart(plugin)) return this.reject(vm, "proxy_on_vm_start", canary ? "Failed to start base Wasm" : "Failed to start thread-local Wasm");
      }
      if (!root.onConfigure(plugin)) return this.reject(vm, "proxy_on_configure", canary ? "Failed to configure base Wasm plugin" : "Failed to configure thread-local Wasm plugin");
      return root; // also when on_context_create has trapped: the filter has failed then, but Envoy takes it
    });
  }

  private reject(vm: Vm, callback: string, message: string): undefined {
    this.host.log("error", message, this.plugin, vm.thread.name, "host");
    this.rejection = { callback, reason: vm.trap === undefined ? `${callback} answered 0: ${this.host.lastComplaint(this.plugin) ?? "no reason was logged"}` : vm.trap.message, ...(vm.trap && { trap: vm.trap }) };
    return undefined;
  }

  /** The VM that serves a thread now. */
  handleFor(thread: Thread): PluginHandle | undefined {
    return this.handles.get(thread)?.handle;
  }

  /** A filter for a new stream; undefined: the stream goes on without it (fail open, or the thread never started it). */
  createFilter(thread: Thread): StreamFilter | undefined {
    const handle = this.reloaded(thread);
    if (handle === undefined) return undefined;
    const { vm, root } = handle;
    if (vm.failed) return this.plugin.failurePolicy === "FAIL_OPEN" ? undefined : new FailedFilter();
    return new StreamContext(vm, root, this.plugin);
  }

  /** The VM for a new stream or connection: another one where it has failed and may be replaced. */
  reloaded(thread: Thread): PluginHandle | undefined {
    const entry = this.handles.get(thread);
    if (entry?.handle.vm.failState === "runtimeError" && this.plugin.failurePolicy === "FAIL_RELOAD") this.maybeReload(thread, entry);
    return entry?.handle;
  }

  /** Replaces a failed VM, unless the last attempt is too fresh: backoff is the base to 1.5 times the base. */
  private maybeReload(thread: Thread, entry: { handle: PluginHandle; loadedNs: bigint }): void {
    const base = this.plugin.reloadBackoffMs;
    const half = Math.floor(base / 2);
    const interval = base + (half > 0 ? this.host.randomNumber() % half : 0);
    const now = this.host.clock.monotonicNs();
    if ((now - entry.loadedNs) / 1_000_000n < BigInt(interval)) {
      this.reloads.backoff++;
      return;
    }
    entry.loadedNs = now;
    let handle: PluginHandle | undefined;
    try {
      handle = this.handleOn(thread);
    } catch {
      handle = undefined; // the module could not even be initialised again; the old, failed VM stays
    }
    if (handle === undefined || handle.vm.failed) this.reloads.failure++;
    else {
      this.reloads.success++;
      entry.handle = handle;
    }
    this.rejection = undefined;
  }

  /** Ends the plugin on every thread: on_done, then on_delete (at once, or after proxy_done). */
  unload(): void {
    for (const [thread, { handle }] of [...this.handles].reverse()) {
      const { vm, root } = handle;
      vm.roots.delete(this.plugin.key);
      thread.plugins.delete(`${this.vmKey}||${this.plugin.key}`);
      this.host.step(() => {
        if (root.onDone()) root.onDelete();
        else vm.pendingDone.set(this.plugin.key, root);
      });
      if (vm.roots.size === 0) {
        if (thread.vms.get(this.vmKey) === vm) thread.vms.delete(this.vmKey);
        this.host.vmGone(vm);
      }
    }
    this.handles.clear();
  }
}

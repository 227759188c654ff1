/**
 * The host engine as a node: serves the configuration that compose makes for Envoy, from Node alone. The filters are the same
 * modules with the same configuration, run by harness/host; TLS, HTTP and connections are Node's.
 *
 * For trying out where there is no Envoy. It is one process with one thread, nothing isolates it from the machine's other work,
 * and it has none of Envoy's hardening.
 *
 * @module
 */
import { randomFillSync } from "node:crypto";
import { resolve } from "node:path";
import { onCleanup } from "../cleanup.ts";
import { AdminClient, checkPorts, loadBootstrap, type Bootstrap, type ConfigSource, type RunningEnvoy } from "../envoy/index.ts";
import { listenerPort, waitForLog } from "../envoy/running.ts";
import { SelvedgeError, type Finding } from "../errors.ts";
import * as cel from "../host/cel.ts";
import { Host, loadFilterSync, RealClock, type Clock, type Filter } from "../host/index.ts";
import { provideCel } from "../host/foreign.ts";
import { Admin } from "./admin.ts";
import { Listener, type ConnectionLimit } from "./downstream/listener.ts";
import { Counters } from "./report/counters.ts";
import { Log } from "./report/log.ts";
import { Statistics } from "./report/prometheus.ts";
import { milliseconds } from "./schema/common.ts";
import type { WasmConfig } from "./schema/listener.ts";
import type { NodeConfig } from "./schema/node.ts";
import { requireSupported } from "./supported.ts";
import { Cluster } from "./upstream/cluster.ts";

export { unsupported } from "./supported.ts";

/** What a person must know before anything else. */
export const TRYING_OUT = "The host engine is for trying out, not for production: Node serves what Envoy would, on one thread, without isolation or hardening.";

/** As it names itself where an Envoy would give its version. */
export const HOST_ENGINE = `the host engine (Node ${process.versions.node})`;

export interface ServeOptions {
  config: ConfigSource;
  /** Directory that relative paths in the configuration start from; default: this process's. */
  cwd?: string;
}

provideCel(cel);

/**
 * Serves a configuration, and returns when it does.
 *
 * @throws SelvedgeError `host-engine-unsupported` for anything in it that this engine doesn't do; a port that isn't free; a
 *   module that can't be loaded or refuses its configuration
 */
export async function startHostEngine(options: ServeOptions): Promise<RunningEnvoy> {
  const bootstrap = await loadBootstrap(options.config);
  const config = requireSupported(bootstrap);
  const conflicts = await checkPorts(bootstrap);
  if (conflicts.length > 0) throw new SelvedgeError(conflicts);
  const node = new ServingNode(config, bootstrap, options.cwd ?? process.cwd());
  try {
    await node.start();
    return node;
  } catch (error) {
    await node.stop();
    throw error;
  }
}

/** What is wrong with a configuration for this engine: what it can't do, and what a module refuses. Listens on nothing. */
export async function checkHostEngine(source: ConfigSource): Promise<Finding[]> {
  try {
    const bootstrap = await loadBootstrap(source);
    const node = new ServingNode(requireSupported(bootstrap), bootstrap, process.cwd());
    await node.stop();
    return [];
  } catch (error) {
    if (error instanceof SelvedgeError) return error.findings;
    throw error;
  }
}

class ServingNode implements RunningEnvoy {
  readonly pid = process.pid;
  readonly exited: Promise<void>;
  readonly #counters = new Counters();
  readonly #log = new Log();
  readonly #host: Host<Clock>;
  readonly #filters = new Map<string, Filter>();
  readonly #clusters: Map<string, Cluster>;
  readonly #listeners: Listener[];
  readonly #statistics: Statistics;
  readonly #adminPages: Admin;
  readonly #adminAddress: { address: string; port_value: number };
  readonly #cwd: string;
  #admin: AdminClient | undefined;
  #exit!: () => void;
  #stopping: Promise<void> | undefined;
  #forget: (() => void) | undefined;

  /** Everything is read, loaded and checked here; nothing listens yet. */
  constructor(config: NodeConfig, bootstrap: Bootstrap, cwd: string) {
    this.#cwd = cwd;
    this.exited = new Promise((done) => (this.#exit = done));
    this.#host = new Host<Clock>({
      clock: new RealClock(),
      random: (target) => void randomFillSync(target),
      topology: "envoy",
      node: { id: config.node.id, cluster: config.node.cluster },
      keepLogs: 1000,
      onLog: ({ level, message, plugin }) => this.#log.write(level, `wasm log${plugin === "" ? "" : ` ${plugin}`}: ${message}`),
    });
    this.#clusters = new Map(config.static_resources.clusters.map((each) => [each.name, new Cluster(each, this.#counters)]));
    const limit: ConnectionLimit = { active: 0, most: config.overload_manager.resource_monitors[0].typed_config.max_active_downstream_connections };
    const parts = { host: this.#host, clusters: this.#clusters, counters: this.#counters, filter: (each: WasmConfig) => this.#filter(each), log: (line: string) => this.#log.line(line) };
    this.#listeners = config.static_resources.listeners.map((each) => new Listener(each, parts, limit));
    this.#statistics = new Statistics(config.stats_config, this.#counters, this.#host.stats);
    this.#adminAddress = config.admin!.address.socket_address;
    this.#adminPages = new Admin({
      statistics: this.#statistics,
      counters: this.#counters,
      clusters: [...this.#clusters.values()],
      listeners: () => this.#listeners.map((each) => ({ name: each.name, ...each.bound })),
      config: bootstrap,
      version: HOST_ENGINE,
      startedMs: Date.now(),
      quit: () => void this.stop(),
    });
  }

  get admin(): AdminClient {
    if (!this.#admin) throw new Error("the node has no admin interface yet");
    return this.#admin;
  }

  log(): string {
    return this.#log.text();
  }

  readLog(from: number): { text: string; next: number } {
    return this.#log.read(from);
  }

  waitForLog(pattern: RegExp, timeoutMs = 5_000): Promise<RegExpExecArray> {
    return waitForLog(pattern, timeoutMs, () => this.log(), () => this.#stopping !== undefined);
  }

  port(listener: string): Promise<number> {
    return listenerPort(this.admin, listener);
  }

  async start(): Promise<void> {
    // Sockets end with the process: there is nothing to do for a hard end.
    this.#forget = onCleanup({ name: "host engine", run: () => this.stop(), now: () => {} });
    this.#admin = new AdminClient(await this.#adminPages.listen(this.#adminAddress.address, this.#adminAddress.port_value));
    for (const listener of this.#listeners) await listener.listen();
    this.#log.write("warn", TRYING_OUT);
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    await Promise.all(this.#listeners.map((each) => each.close()));
    for (const cluster of this.#clusters.values()) cluster.close();
    for (const filter of this.#filters.values()) filter.close();
    this.#statistics.close();
    await this.#adminPages.close();
    this.#forget?.();
    this.#exit();
  }

  /** A filter of the configuration; the same one for every listener that has it. */
  #filter(config: WasmConfig): Filter {
    const key = JSON.stringify(config);
    const known = this.#filters.get(key);
    if (known) return known;
    const capabilities = (config.vm_config.capability_restriction_config ?? config.capability_restriction_config)?.allowed_capabilities;
    const filter = loadFilterSync(resolve(this.#cwd, config.vm_config.code.local.filename), {
      host: this.#host,
      name: config.name,
      rootId: config.root_id,
      vmId: config.vm_config.vm_id,
      config: config.configuration.value,
      failurePolicy: config.failure_policy,
      ...(config.reload_config && { reloadBackoffMs: milliseconds(config.reload_config.backoff.base_interval) }),
      ...(capabilities && { capabilities: Object.keys(capabilities) }),
    });
    this.#filters.set(key, filter);
    return filter.requireRunning();
  }
}

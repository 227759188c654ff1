/** What one filter chain of a listener does with connections that aren't HTTP: a Wasm filter decides, then tcp_proxy takes them to a cluster. */
import type { Duplex } from "node:stream";
import type { Socket } from "node:net";
import { SelvedgeError, type Finding } from "../../errors.ts";
import type { Clock, Filter, Host } from "../../host/index.ts";
import type { ChainParts } from "../chain.ts";
import { Connections, type PeerFacts } from "../connections.ts";
import { accessLog, type AccessLog, type Logged } from "../report/access-log.ts";
import type { ChainConfig, TcpProxyConfig, WasmConfig } from "../schema/listener.ts";
import { milliseconds } from "../schema/common.ts";
import { serverTls, type ServerTls } from "../tls/server.ts";
import type { Cluster } from "../upstream/cluster.ts";
import { TcpSession } from "./session.ts";

export class TcpChain {
  readonly name: string;
  readonly host: Host<Clock>;
  readonly tls: ServerTls | undefined;
  /** Undefined: nothing decides. */
  readonly filter: Filter | undefined;
  readonly handshakeMs: number;
  readonly drainMs = 0;
  readonly idleMs: number;
  readonly #parts: ChainParts;
  readonly #connections: Connections;
  readonly #proxy: TcpProxyConfig | undefined;
  readonly #logs: AccessLog[];
  readonly #sessions = new Set<TcpSession>();

  constructor(config: ChainConfig, parts: ChainParts) {
    this.name = config.name;
    this.host = parts.host;
    this.#parts = parts;
    this.#connections = new Connections(config, parts.host);
    this.#proxy = config.filters.find((filter) => filter.name === "envoy.filters.network.tcp_proxy")?.typed_config as TcpProxyConfig | undefined;
    this.tls = config.transport_socket && serverTls(config.transport_socket.typed_config);
    this.handshakeMs = config.transport_socket_connect_timeout === undefined ? 0 : milliseconds(config.transport_socket_connect_timeout);
    this.idleMs = this.#proxy ? milliseconds(this.#proxy.idle_timeout) : 0;
    const wasm = config.filters.flatMap(({ typed_config }) => ("config" in typed_config ? [typed_config.config as WasmConfig] : []));
    const logs = (this.#proxy?.access_log ?? []).map(({ typed_config }) => accessLog(typed_config.log_format.json_format));
    const findings = [...logs.flatMap((log) => (Array.isArray(log) ? log : [])), ...this.#check(config, wasm)];
    if (findings.length > 0) throw new SelvedgeError(findings);
    this.#logs = logs.filter((log): log is AccessLog => !Array.isArray(log));
    this.filter = wasm[0] && parts.filter(wasm[0]);
  }

  get busy(): boolean {
    return this.#sessions.size > 0;
  }

  start(): void {}

  serve(socket: Duplex, _alpn: string | false | null, facts: PeerFacts): void {
    this.#count("downstream_cx_total");
    if (!this.#proxy) return void socket.destroy();
    const session = new TcpSession(this, socket as Socket, this.#connections.make(facts), () => this.#sessions.delete(session));
    this.#sessions.add(session);
    session.start();
  }

  close(): void {
    for (const session of this.#sessions) session.close();
  }

  /** One of the clusters, by weight. */
  cluster(): Cluster {
    const { cluster, weighted_clusters } = this.#proxy!;
    if (cluster !== undefined) return this.#parts.clusters.get(cluster)!;
    const all = weighted_clusters!.clusters;
    let left = Math.random() * all.reduce((sum, { weight }) => sum + weight, 0);
    const chosen = all.find(({ weight }) => (left -= weight) < 0) ?? all.at(-1)!;
    return this.#parts.clusters.get(chosen.name)!;
  }

  log(logged: Logged): void {
    for (const log of this.#logs) this.#parts.log(log(logged));
  }

  #count(name: string): void {
    if (this.#proxy) this.#parts.counters.add(`tcp.${this.#proxy.stat_prefix}.${name}`);
  }

  /** What the schema can't say. */
  #check({ filters }: ChainConfig, wasm: readonly WasmConfig[]): Finding[] {
    const finding = (message: string, found: string): Finding => ({ code: "host-engine-unsupported", severity: "error", message: `the host engine can't serve this configuration: ${message}`, found, fix: "run it with `--engine envoy`" });
    const { cluster, weighted_clusters } = this.#proxy ?? {};
    const named = [...(cluster === undefined ? [] : [cluster]), ...(weighted_clusters?.clusters ?? []).map(({ name }) => name)];
    const last = filters.at(-1)!.name;
    const ends = last === "envoy.filters.network.tcp_proxy" || last === "envoy.filters.network.direct_response";
    return [
      ...this.#connections.unknown.map((format) => finding("filter state with another format", format)),
      ...(wasm.length > 1 ? [finding("two Wasm filters of one connection", wasm.map(({ name }) => name).join(", "))] : []),
      ...(ends ? [] : [finding("neither tcp_proxy nor direct_response is the last filter of connections", filters.map(({ name }) => name).join(", "))]),
      ...(this.#proxy && (cluster === undefined) === (weighted_clusters === undefined) ? [finding("tcp_proxy without exactly one of cluster and weighted_clusters", this.name)] : []),
      ...named.filter((name) => !this.#parts.clusters.has(name)).map((name) => finding("connections to a cluster that isn't there", name)),
    ];
  }
}

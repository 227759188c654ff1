/** A listener: accepts connections, looks at how they begin, and hands each to a filter chain. */
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { SelvedgeError } from "../../errors.ts";
import type { ChainParts } from "../chain.ts";
import type { ListenerConfig } from "../schema/listener.ts";
import { readClientHello } from "../tls/client-hello.ts";
import { chainFor } from "../tls/server.ts";
import { peek } from "./peek.ts";
import { ServedChain, speaksHttp } from "./served.ts";

const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** Envoy's listener_filters_timeout. */
const PEEK_MS = 15_000;

interface Served {
  names: readonly string[] | undefined;
  chain: ServedChain;
}

export interface ConnectionLimit {
  active: number;
  readonly most: number;
}

export class Listener {
  readonly name: string;
  readonly #config: ListenerConfig;
  readonly #chains: Served[];
  /** Of requests; else of connections that are none. */
  readonly #http: boolean;
  readonly #parts: ChainParts;
  readonly #limit: ConnectionLimit;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(config: ListenerConfig, parts: ChainParts, limit: ConnectionLimit) {
    this.name = config.name;
    this.#config = config;
    this.#parts = parts;
    this.#limit = limit;
    this.#http = config.filter_chains.some(speaksHttp);
    this.#chains = config.filter_chains.map((each) => ({
      names: each.filter_chain_match?.server_names,
      chain: new ServedChain(each, config.per_connection_buffer_limit_bytes, parts),
    }));
  }

  /** The first address, as it is bound. */
  get bound(): { address: string; port: number } {
    const { address, port } = this.#servers[0]!.address() as AddressInfo;
    return { address, port };
  }

  async listen(): Promise<void> {
    const addresses = [this.#config.address, ...(this.#config.additional_addresses ?? []).map(({ address }) => address)];
    for (const { socket_address: { address, port_value: port } } of addresses) {
      const server = createServer({ noDelay: true, pauseOnConnect: false, allowHalfOpen: !this.#http }, (socket) => this.#accept(socket));
      await new Promise<void>((resolve, reject) => {
        server.once("error", (error: NodeJS.ErrnoException) => reject(new SelvedgeError({ code: "envoy-port", severity: "error", message: `listener ${this.name} can't listen on ${address}:${port}`, found: error.code ?? error.message })));
        server.listen({ host: address, port, exclusive: true }, resolve);
      });
      this.#servers.push(server);
    }
    for (const { chain } of this.#chains) chain.start();
  }

  /** Takes no more connections, and gives those that are there the drain time to finish their requests. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    const drainMs = Math.min(1000, ...this.#chains.map(({ chain }) => chain.drainMs));
    const deadline = Date.now() + drainMs;
    while (Date.now() < deadline && this.#chains.some(({ chain }) => chain.busy)) await new Promise((resolve) => setTimeout(resolve, 10));
    for (const { chain } of this.#chains) chain.close();
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
  }

  #stat(name: string, by = 1): void {
    const { address, port } = this.bound;
    this.#parts.counters.add(`listener.${address.replaceAll(":", "_")}_${port}.${name}`, by);
  }

  #accept(socket: Socket): void {
    socket.on("error", () => {}); // "close" follows
    if (this.#limit.active >= this.#limit.most) {
      this.#stat("downstream_global_cx_overflow");
      socket.destroy();
      return;
    }
    this.#limit.active++;
    this.#stat("downstream_cx_total");
    this.#sockets.add(socket);
    socket.once("close", () => {
      this.#limit.active--;
      this.#sockets.delete(socket);
    });
    const secure = this.#chains.some(({ chain }) => chain.secured);
    if (secure) this.#acceptTls(socket);
    else if (this.#http) this.#acceptPlain(socket);
    else this.#chains[0]!.chain.plain(socket, false); // its server may be the one who speaks first
  }

  #acceptTls(socket: Socket): void {
    peek(socket, PEEK_MS, (bytes) => {
      const hello = readClientHello(bytes);
      if (hello === "incomplete") return false;
      // What isn't TLS has no server name; a chain that takes any then fails in its handshake.
      const chain = chainFor(this.#chains, hello === "invalid" ? undefined : hello.serverName);
      if (chain === undefined) this.#stat("no_filter_chain_match");
      else if (hello !== "invalid") return () => chain.secure(socket, (name) => this.#stat(name));
      else this.#stat("ssl.connection_error");
      return () => socket.destroy();
    });
  }

  #acceptPlain(socket: Socket): void {
    const { chain } = this.#chains[0]!;
    peek(socket, PEEK_MS, (bytes) => {
      const http2 = PREFACE.subarray(0, bytes.length).equals(bytes.subarray(0, PREFACE.length));
      if (http2 && bytes.length < PREFACE.length) return false;
      return () => chain.plain(socket, http2);
    });
  }
}

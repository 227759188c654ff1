/** A listener: accepts connections, looks at how they begin, and hands each to a filter chain. */
import type { Server as HttpServer } from "node:http";
import type { ServerHttp2Session } from "node:http2";
import { createServer, type AddressInfo, type Server, type Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from "node:tls";
import type { Connection } from "../../host/index.ts";
import { SelvedgeError } from "../../errors.ts";
import { Chain, type ChainParts, type PeerFacts } from "../chain.ts";
import type { ListenerConfig } from "../schema/listener.ts";
import { readClientHello } from "../tls/client-hello.ts";
import { identityOf } from "../tls/peer.ts";
import { chainFor } from "../tls/server.ts";
import { http1Server } from "./http1.ts";
import { serveHttp2 } from "./http2.ts";
import { peek } from "./peek.ts";

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
  readonly #parts: ChainParts;
  readonly #limit: ConnectionLimit;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  constructor(config: ListenerConfig, parts: ChainParts, limit: ConnectionLimit) {
    this.name = config.name;
    this.#config = config;
    this.#parts = parts;
    this.#limit = limit;
    this.#chains = config.filter_chains.map((each) => ({
      names: each.filter_chain_match?.server_names,
      chain: new ServedChain(new Chain(each, config.per_connection_buffer_limit_bytes, parts), parts),
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
      const server = createServer({ noDelay: true, pauseOnConnect: false }, (socket) => this.#accept(socket));
      await new Promise<void>((resolve, reject) => {
        server.once("error", (error: NodeJS.ErrnoException) => reject(new SelvedgeError({ code: "envoy-port", severity: "error", message: `listener ${this.name} can't listen on ${address}:${port}`, found: error.code ?? error.message })));
        server.listen({ host: address, port, exclusive: true }, resolve);
      });
      this.#servers.push(server);
    }
    for (const { chain } of this.#chains) chain.chain.start();
  }

  /** Takes no more connections, and gives those that are there the drain time to finish their requests. */
  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())));
    const drainMs = Math.min(1000, ...this.#chains.map(({ chain }) => chain.chain.limits.drainMs));
    const deadline = Date.now() + drainMs;
    while (Date.now() < deadline && this.#chains.some(({ chain }) => chain.chain.streams.size > 0)) await new Promise((resolve) => setTimeout(resolve, 10));
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
    const secure = this.#chains.some(({ chain }) => chain.chain.tls !== undefined);
    if (secure) this.#acceptTls(socket);
    else this.#acceptPlain(socket);
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

/** A chain and Node's servers for it, which are handed connections and never listen. */
class ServedChain {
  readonly chain: Chain;
  readonly #parts: ChainParts;
  readonly #http1: HttpServer;
  readonly #tls: TlsServer | undefined;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #connections = new WeakMap<Duplex, Connection>();
  readonly #stats = new WeakMap<Duplex, (name: string) => void>();

  constructor(chain: Chain, parts: ChainParts) {
    this.chain = chain;
    this.#parts = parts;
    this.#http1 = http1Server(chain, (socket) => this.#connections.get(socket)!);
    if (!chain.tls) return;
    this.#tls = createTlsServer({ ...chain.tls.options, ...(chain.limits.handshakeMs > 0 && { handshakeTimeout: chain.limits.handshakeMs }) });
    this.#tls.on("secureConnection", (socket) => this.#secured(socket));
    this.#tls.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => {
      const raw = (socket as unknown as { _parent?: Duplex })._parent;
      const count = (raw && this.#stats.get(raw)) ?? (() => {});
      count(error.code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE" ? "ssl.fail_verify_no_cert" : "ssl.connection_error");
    });
  }

  plain(socket: Socket, http2: boolean): void {
    this.#serve(socket, http2, factsOf(socket));
  }

  secure(socket: Socket, count: (name: string) => void): void {
    this.#stats.set(socket, count);
    this.#tls!.emit("connection", socket);
  }

  close(): void {
    this.chain.close();
    for (const session of this.#sessions) session.close();
    this.#tls?.close();
    this.#http1.close();
  }

  #secured(socket: TLSSocket): void {
    socket.on("error", () => {}); // "close" follows
    const raw = (socket as unknown as { _parent?: Duplex })._parent;
    const count = (raw && this.#stats.get(raw)) ?? (() => {});
    const certificate = socket.getPeerX509Certificate();
    if (this.chain.tls!.verifies && (certificate ? !socket.authorized : this.chain.tls!.requiresCertificate)) {
      count("ssl.fail_verify_error");
      socket.destroy();
      return;
    }
    count("ssl.handshake");
    try {
      const local = socket.getX509Certificate();
      const facts: PeerFacts = {
        ...factsOf(socket),
        ...(certificate && this.chain.tls!.verifies && { identity: identityOf(certificate) }),
        tls: { version: socket.getProtocol() ?? "", serverName: (socket as { servername?: string | false }).servername || "", ...(local && { local: identityOf(local) }) },
      };
      this.#serve(socket, socket.alpnProtocol === "h2", facts);
    } catch (error) {
      // An identity that can't be read is nobody's.
      this.#parts.log(`[warning] ${(error as Error).message}`);
      socket.destroy();
    }
  }

  #serve(socket: Duplex, http2: boolean, facts: PeerFacts): void {
    const connection = this.chain.connection(facts);
    this.#connections.set(socket, connection);
    if (!http2) {
      this.#http1.emit("connection", socket);
      socket.resume(); // peek left it paused
      return;
    }
    const session = serveHttp2(this.chain, socket, connection);
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
  }
}

function factsOf(socket: Socket): PeerFacts {
  const plain = (address: string | undefined): string => (address ?? "").replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, "");
  return { address: plain(socket.remoteAddress), port: socket.remotePort ?? 0, localAddress: plain(socket.localAddress), localPort: socket.localPort ?? 0 };
}

/** One filter chain with Node's servers for it: TLS, who the peer is, then requests or connections. */
import type { Server as HttpServer } from "node:http";
import type { ServerHttp2Session } from "node:http2";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket, type TlsOptions } from "node:tls";
import type { Connection } from "../../host/index.ts";
import { Chain, type ChainParts } from "../chain.ts";
import type { PeerFacts } from "../connections.ts";
import type { ChainConfig } from "../schema/listener.ts";
import { TcpChain } from "../tcp/chain.ts";
import { identityOf } from "../tls/peer.ts";
import type { ServerTls } from "../tls/server.ts";
import { http1Server } from "./http1.ts";
import { serveHttp2 } from "./http2.ts";

export function speaksHttp({ filters }: ChainConfig): boolean {
  return filters.some(({ name }) => name === "envoy.filters.network.http_connection_manager");
}

/** What serves connections once it is known who is at their other end. */
interface End {
  readonly tls: ServerTls | undefined;
  /** 0: no limit. */
  readonly handshakeMs: number;
  /** How long requests may take to finish when the node stops. */
  readonly drainMs: number;
  readonly busy: boolean;
  start(): void;
  serve(socket: Duplex, alpn: string | false | null, facts: PeerFacts): void;
  close(): void;
}

class HttpEnd implements End {
  readonly #chain: Chain;
  readonly #http1: HttpServer;
  readonly #sessions = new Set<ServerHttp2Session>();
  readonly #connections = new WeakMap<Duplex, Connection>();

  constructor(chain: Chain) {
    this.#chain = chain;
    this.#http1 = http1Server(chain, (socket) => this.#connections.get(socket)!);
  }

  get tls(): ServerTls | undefined {
    return this.#chain.tls;
  }

  get handshakeMs(): number {
    return this.#chain.limits.handshakeMs;
  }

  get drainMs(): number {
    return this.#chain.limits.drainMs;
  }

  get busy(): boolean {
    return this.#chain.streams.size > 0;
  }

  start(): void {
    this.#chain.start();
  }

  serve(socket: Duplex, alpn: string | false | null, facts: PeerFacts): void {
    const connection = this.#chain.connection(facts);
    this.#connections.set(socket, connection);
    if (alpn !== "h2") {
      this.#http1.emit("connection", socket);
      socket.resume(); // peek left it paused
      return;
    }
    const session = serveHttp2(this.#chain, socket, connection);
    this.#sessions.add(session);
    session.once("close", () => this.#sessions.delete(session));
  }

  close(): void {
    this.#chain.close();
    for (const session of this.#sessions) session.close();
    this.#http1.close();
  }
}

/** Its servers are handed connections and never listen. */
export class ServedChain {
  readonly #end: End;
  readonly #parts: ChainParts;
  readonly #tls: TlsServer | undefined;
  readonly #stats = new WeakMap<Duplex, (name: string) => void>();

  constructor(config: ChainConfig, bufferLimit: number, parts: ChainParts) {
    const http = speaksHttp(config);
    const end = http ? new HttpEnd(new Chain(config, bufferLimit, parts)) : new TcpChain(config, parts);
    this.#end = end;
    this.#parts = parts;
    if (!end.tls) return;
    this.#tls = createTlsServer({ ...end.tls.options, allowHalfOpen: !http, ...(end.handshakeMs > 0 && { handshakeTimeout: end.handshakeMs }) } as TlsOptions);
    this.#tls.on("secureConnection", (socket) => this.#secured(socket));
    this.#tls.on("tlsClientError", (error: NodeJS.ErrnoException, socket) => {
      const raw = (socket as unknown as { _parent?: Duplex })._parent;
      const count = (raw && this.#stats.get(raw)) ?? (() => {});
      count(error.code === "ERR_SSL_PEER_DID_NOT_RETURN_A_CERTIFICATE" ? "ssl.fail_verify_no_cert" : "ssl.connection_error");
    });
  }

  get secured(): boolean {
    return this.#tls !== undefined;
  }

  get busy(): boolean {
    return this.#end.busy;
  }

  get drainMs(): number {
    return this.#end.drainMs;
  }

  start(): void {
    this.#end.start();
  }

  plain(socket: Socket, http2: boolean): void {
    this.#end.serve(socket, http2 ? "h2" : false, factsOf(socket));
  }

  secure(socket: Socket, count: (name: string) => void): void {
    this.#stats.set(socket, count);
    this.#tls!.emit("connection", socket);
  }

  close(): void {
    this.#end.close();
    this.#tls?.close();
  }

  #secured(socket: TLSSocket): void {
    socket.on("error", () => {}); // "close" follows
    const raw = (socket as unknown as { _parent?: Duplex })._parent;
    const count = (raw && this.#stats.get(raw)) ?? (() => {});
    const certificate = socket.getPeerX509Certificate();
    if (this.#end.tls!.verifies && (certificate ? !socket.authorized : this.#end.tls!.requiresCertificate)) {
      count("ssl.fail_verify_error");
      socket.destroy();
      return;
    }
    count("ssl.handshake");
    try {
      const local = socket.getX509Certificate();
      const facts: PeerFacts = {
        ...factsOf(socket),
        ...(certificate && this.#end.tls!.verifies && { identity: identityOf(certificate) }),
        tls: { version: socket.getProtocol() ?? "", serverName: (socket as { servername?: string | false }).servername || "", ...(local && { local: identityOf(local) }) },
      };
      this.#end.serve(socket, socket.alpnProtocol, facts);
    } catch (error) {
      // An identity that can't be read is nobody's.
      this.#parts.log(`[warning] ${(error as Error).message}`);
      socket.destroy();
    }
  }
}

function factsOf(socket: Socket): PeerFacts {
  const plain = (address: string | undefined): string => (address ?? "").replace(/^::ffff:(?=\d+\.\d+\.\d+\.\d+$)/, "");
  return { address: plain(socket.remoteAddress), port: socket.remotePort ?? 0, localAddress: plain(socket.localAddress), localPort: socket.localPort ?? 0 };
}

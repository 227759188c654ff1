/** One connection on its way: from the client through the filter to an endpoint, and back. */
import type { Socket } from "node:net";
import { StreamInfo, type Connection } from "../../host/stream-info.ts";
import { TcpConnection, type TcpSink } from "../../host/index.ts";
import { FLAGS, flagLetters, type Flag } from "../flags.ts";
import type { TcpChain } from "./chain.ts";

export class TcpSession implements TcpSink {
  readonly #chain: TcpChain;
  readonly #client: Socket;
  readonly #connection: Connection;
  readonly #gone: () => void;
  readonly #startMs = Date.now();
  #info: StreamInfo;
  #tcp: TcpConnection | undefined;
  #upstream: Socket | undefined;
  #release: (() => void) | undefined;
  /** Sent on before there was a connection to send it to. */
  #early: Uint8Array[] = [];
  #earlyEnd = false;
  #connecting = false;
  #over = false;
  /** In Envoy's words. */
  #reason: string | undefined;

  constructor(chain: TcpChain, client: Socket, connection: Connection, gone: () => void) {
    this.#chain = chain;
    this.#client = client;
    this.#connection = connection;
    this.#gone = gone;
    this.#info = new StreamInfo(connection, "", chain.host.clock.wallNs(), chain.host.clock.monotonicNs());
  }

  start(): void {
    const client = this.#client;
    client.pause();
    client.on("error", () => {}); // "close" follows
    client.on("close", () => this.#end("client"));
    client.setTimeout(this.#chain.idleMs, () => this.#end("envoy"));
    const { filter } = this.#chain;
    if (filter) {
      this.#tcp = new TcpConnection(filter, {}, 0, { connection: this.#connection, sink: this });
      this.#info = this.#tcp.info;
      if (this.#tcp.closedBy !== undefined) return this.closed(this.#tcp.closedBy);
    }
    if (this.#tcp?.paused) this.#listen(); // it wants to see something first
    else this.#connect();
  }

  close(): void {
    this.#end("envoy");
  }

  // --- what leaves the filter --------------------------------------------------------------------------------------

  toUpstream(data: Uint8Array, end: boolean): void {
    this.#info.bytesReceived += data.length;
    if (!this.#upstream) {
      this.#early.push(data);
      this.#earlyEnd ||= end;
      this.#client.pause();
      return this.#connect();
    }
    if (data.length > 0 && !this.#upstream.write(data)) this.#client.pause();
    if (end) this.#upstream.end();
  }

  toClient(data: Uint8Array, end: boolean): void {
    this.#info.bytesSent += data.length;
    if (data.length > 0 && !this.#client.write(data)) this.#upstream?.pause();
    if (end) this.#client.end();
  }

  /** The filter's word, or what followed from both ends: whatever was let through still goes out. */
  closed(by: NonNullable<TcpConnection["closedBy"]>): void {
    if (this.#over) return;
    this.#over = true;
    if (by === "filter" || by === "failure") this.#reason = "wasm_downstream_close";
    if (by === "client") this.#upstream?.destroySoon();
    else this.#upstream?.destroy();
    this.#client.destroySoon();
    this.#release?.();
    this.#gone();
    this.#info.endNs ??= this.#chain.host.clock.monotonicNs();
    const durationMs = Number(this.#info.endNs - this.#info.startMonotonicNs) / 1e6;
    this.#chain.log({ info: this.#info, status: 0, startMs: this.#startMs, durationMs, flags: flagLetters(this.#info.responseFlags), closed: this.#reason, upstreamBytesSent: this.#upstream?.bytesWritten ?? 0 });
  }

  // ------------------------------------------------------------------------------------------------------------------

  #listen(): void {
    this.#client.on("data", (chunk: Buffer) => (this.#tcp ? this.#tcp.data(chunk) : this.toUpstream(chunk, false)));
    const ended = (): void => (this.#tcp ? this.#tcp.data("", true) : this.toUpstream(new Uint8Array(0), true));
    this.#client.on("drain", () => this.#upstream?.resume());
    this.#client.resume();
    // A socket that is held says so all the same when its client ends without a word.
    if (this.#client.readableEnded) ended();
    else this.#client.on("end", ended);
  }

  #connect(): void {
    if (this.#connecting) return;
    this.#connecting = true;
    const cluster = this.#chain.cluster();
    this.#info.cluster = cluster.name;
    this.#release = cluster.connect((failure, socket, endpoint) => {
      if (this.#over) return void socket?.destroy();
      if (endpoint) this.#info.upstream = { address: endpoint.host, port: endpoint.port };
      if (!socket) {
        this.#flag(failure === "overflow" ? "upstreamOverflow" : failure === "no-host" ? "noHealthyUpstream" : "upstreamConnectionFailure");
        this.#reason = "tcp_initializion_failure:0"; // as Envoy spells it
        return this.#end("envoy");
      }
      this.#connected(socket);
    });
  }

  #connected(upstream: Socket): void {
    this.#upstream = upstream;
    upstream.on("data", (chunk: Buffer) => {
      this.#client.setTimeout(this.#chain.idleMs); // what the server sends is a sign of life, too
      if (this.#tcp) this.#tcp.upstreamData(chunk);
      else this.toClient(chunk, false);
    });
    upstream.on("end", () => (this.#tcp ? this.#tcp.upstreamData("", true) : this.toClient(new Uint8Array(0), true)));
    upstream.on("drain", () => this.#client.resume());
    upstream.on("error", () => {}); // "close" follows
    upstream.on("close", () => this.#end("envoy"));
    for (const data of this.#early.splice(0)) upstream.write(data);
    if (this.#earlyEnd) upstream.end();
    if (this.#client.listenerCount("data") === 0) this.#listen();
    else this.#client.resume();
  }

  #end(by: "client" | "envoy"): void {
    if (this.#over) return;
    if (this.#tcp && this.#tcp.closedBy === undefined) this.#chain.host.step(() => this.#tcp!.closeBy(by));
    this.closed(by);
  }

  #flag(flag: Flag): void {
    this.#info.responseFlags |= FLAGS[flag][0];
  }
}

/** The client and the upstream of a connection: each does what its script says, over real sockets. */
import { connect, createServer, isIPv6, type AddressInfo, type Server, type Socket } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { onCleanup } from "../../../cleanup.ts";
import { DESTINATION, type Act, type ConnectionPlan } from "../../connections.ts";
import type { Certificates } from "./certificates.ts";
import { proxyLine } from "./client.ts";

/** How long nothing may happen, before it is taken for granted that nothing will. */
const STALL_MS = 2_000;

/** What both ends saw; who ended first is known of them, but not whether the filter did. */
export interface Conversation {
  received: Uint8Array;
  upstream: { received: Uint8Array; connected: boolean };
  /** Undefined: neither did before it was over. */
  first: "client" | "upstream" | undefined;
}

/** What the two ends share. */
class Talk {
  /** Who ended, in this order. */
  readonly ended: ("client" | "upstream")[] = [];
  readonly client = new End("client", this);
  readonly upstream = new End("upstream", this);
  /** Nothing more is to come. */
  over = false;
  #pausing = 0;
  #waiting: (() => void)[] = [];
  #stall: NodeJS.Timeout | undefined;

  /** Something happened. */
  notify(): void {
    clearTimeout(this.#stall);
    if (!this.over) this.#stall = setTimeout(() => (this.#pausing > 0 ? this.notify() : this.stop()), STALL_MS);
    const all = this.#waiting;
    this.#waiting = [];
    for (const wake of all) wake();
  }

  stop(): void {
    this.over = true;
    clearTimeout(this.#stall);
    this.notify();
  }

  async until(condition: () => boolean): Promise<void> {
    while (!this.over && !condition()) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  async pause(ms: number): Promise<void> {
    this.#pausing++;
    await sleep(ms);
    this.#pausing--;
    this.notify();
  }
}

class End {
  socket: Socket | undefined;
  #raw: Socket | undefined;
  #chunks: Buffer[] = [];
  #awaited = 0;
  /** The other side has ended. */
  sawEnd = false;
  gone = false;
  finished = false;

  constructor(
    private readonly who: "client" | "upstream",
    private readonly talk: Talk,
  ) {}

  get received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get #ended(): boolean {
    return this.talk.ended.includes(this.who);
  }

  /** @param raw the connection beneath TLS */
  attach(socket: Socket, raw = socket): void {
    this.socket = socket;
    this.#raw = raw;
    socket.on("error", () => {});
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.talk.notify();
    });
    socket.on("end", () => {
      this.sawEnd = true;
      this.talk.notify();
    });
    socket.on("close", () => {
      this.sawEnd = this.gone = true;
      this.talk.notify();
    });
    this.talk.notify();
  }

  async play(script: readonly Act[]): Promise<void> {
    for (const act of script) {
      if (this.gone || this.talk.over) break;
      if (act === "await-end") await this.talk.until(() => this.sawEnd);
      else if (act === "end") await this.end();
      else if (act === "reset") this.#reset();
      else if ("send" in act) this.socket!.write(act.send);
      else if ("waitMs" in act) await this.talk.pause(act.waitMs);
      else await this.#comes(act.await);
    }
    this.finished = true;
    this.talk.notify();
  }

  async #comes(bytes: Uint8Array): Promise<void> {
    const at = (): number => this.received.indexOf(bytes, this.#awaited);
    await this.talk.until(() => this.sawEnd || at() >= 0);
    if (at() >= 0) this.#awaited = at() + bytes.length;
  }

  async end(): Promise<void> {
    // One that ends before Envoy has chosen what becomes of it may be dropped, bytes and all.
    await this.talk.until(() => this.talk.upstream.socket !== undefined || this.sawEnd);
    if (this.#ended) return;
    this.talk.ended.push(this.who);
    this.socket?.end();
  }

  #reset(): void {
    if (!this.#ended) this.talk.ended.push(this.who);
    this.#raw?.resetAndDestroy();
  }
}

/** The upstream of connections: one server, one connection at a time. */
export class TcpUpstream {
  /** How many connections came since it started. */
  accepted = 0;
  #talk: { talk: Talk; script: readonly Act[] } | undefined;
  readonly #sockets = new Set<Socket>();
  readonly #forget: () => void;

  private constructor(readonly server: Server) {
    server.on("connection", (socket: Socket) => this.#take(socket));
    this.#forget = onCleanup({ name: "server", run: () => this.close(), now: () => {} });
  }

  static async start(): Promise<TcpUpstream> {
    const upstream = new TcpUpstream(createServer({ allowHalfOpen: true, noDelay: true }));
    await new Promise<void>((resolve, reject) => {
      upstream.server.once("error", reject);
      upstream.server.listen(0, "127.0.0.1", resolve);
    });
    return upstream;
  }

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  /** The next connection is of this talk. */
  expect(talk: Talk | undefined, script: readonly Act[] = []): void {
    this.#talk = talk && { talk, script };
  }

  #take(socket: Socket): void {
    this.accepted++;
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
    const mine = this.#talk;
    if (mine === undefined) return void socket.destroy();
    this.#talk = undefined;
    const { upstream } = mine.talk;
    upstream.attach(socket);
    void upstream.play(mine.script).then(async () => {
      await mine.talk.until(() => upstream.sawEnd);
      await upstream.end();
    });
  }

  async close(): Promise<void> {
    this.#forget();
    for (const socket of this.#sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }
}

/** One connection, until both ends have done what they are to do, or it is closed. */
export async function converse(plan: ConnectionPlan, answers: readonly Act[], port: number, certificates: Certificates, server: TcpUpstream): Promise<Conversation> {
  const talk = new Talk();
  const { client, upstream } = talk;
  server.expect(talk, answers);
  const raw = await openSocket(plan, port);
  try {
    await open(plan, raw, client, certificates);
    await client.play(plan.script);
    // Then the client ends, and after it the upstream: on its way, everything arrives.
    await talk.until(() => upstream.finished || client.sawEnd);
    const upstreamEnded = (): boolean => talk.ended.includes("upstream");
    if (!client.sawEnd || upstreamEnded()) await client.end();
    await talk.until(() => client.sawEnd);
    if (upstreamEnded()) await talk.until(() => upstream.finished && upstream.sawEnd);
    return { received: client.received, first: talk.ended[0], upstream: { received: upstream.received, connected: upstream.socket !== undefined } };
  } finally {
    server.expect(undefined);
    talk.stop();
    raw.destroy();
    upstream.socket?.destroy();
  }
}

async function openSocket({ direct, source, destination = DESTINATION }: ConnectionPlan, port: number): Promise<Socket> {
  const socket = connect({ host: "127.0.0.1", port, localAddress: direct, noDelay: true, allowHalfOpen: true });
  await new Promise<void>((resolve, reject) => socket.once("connect", resolve).once("error", reject));
  socket.on("error", () => {});
  socket.write(proxyLine(source, isIPv6(source) && !isIPv6(destination.address) ? { ...destination, address: `::ffff:${destination.address}` } : destination));
  return socket;
}

/** Resolves also when the handshake fails: then the connection is gone. */
async function open({ tls, peer, sni }: ConnectionPlan, raw: Socket, client: End, certificates: Certificates): Promise<void> {
  if (!tls) return client.attach(raw);
  const credential = peer && (await certificates.client(peer.uriSans));
  const secure = connectTls({
    socket: raw,
    ca: certificates.authority.certificate,
    ...(credential && { cert: credential.certificate, key: credential.key }),
    ...(sni !== undefined && { servername: sni }),
    checkServerIdentity: () => undefined, // the name is the case's, and not what is tested
  });
  client.attach(secure, raw);
  await new Promise<void>((resolve) => secure.once("secureConnect", resolve).once("error", () => resolve()).once("close", () => resolve()));
}

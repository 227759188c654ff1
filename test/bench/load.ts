import { once } from "node:events";
import { connect, type TLSSocket } from "node:tls";
import { fail } from "../../harness/errors.ts";
import type { BenchCertificates } from "./certificates.ts";
import { FLAG, FRAME, frame, FrameReader, PREFACE, setStream, statusOf, type Frame } from "./h2.ts";

export interface LoadTarget {
  /** For messages. */
  name: string;
  port: number;
  certificates: BenchCertificates;
  /** Whole requests as frames; they are sent one after another, over and over. */
  requests: readonly Buffer[];
}

/** Requests that one connection has under way, sent in one write. */
const BATCH = 32;
const CONNECTIONS = 2;
const TIMEOUT_MS = 30_000;

/**
 * Load on one listener: HTTP/2 over mutual TLS, closed loop, in batches. Connections are opened once and kept, so that
 * no handshake falls into a measurement. It runs in the benchmark's process, which has nothing else to do meanwhile.
 *
 * Why not HTTP/1.1 with pipelining: Envoy closes the connection ("Too many responses queued") on the third request of
 * one read while two responses are unwritten, which is what happens wherever it answers by itself. With at most two
 * requests a read, system calls are most of what is measured, and vary by more than an empty filter costs.
 */
export class Load {
  private constructor(private readonly target: LoadTarget, private readonly lanes: Lane[]) {}

  static async connect(target: LoadTarget, connections = CONNECTIONS): Promise<Load> {
    const lanes = await Promise.all(Array.from({ length: connections }, (_, index) => Lane.open(target, index)));
    return new Load(target, lanes);
  }

  /** Sends this many requests, and returns when all are answered with 200. @throws SelvedgeError on anything else */
  async send(count: number): Promise<void> {
    let left = count;
    const take = (): number => {
      const taken = Math.min(BATCH, left);
      left -= taken;
      return taken;
    };
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error("no answer in time")), TIMEOUT_MS + count * 10);
    });
    try {
      await Promise.race([Promise.all(this.lanes.map((lane) => lane.run(take))), late]);
    } catch (error) {
      fail("bench-load", `the load on ${this.target.name} broke off`, { found: (error as Error).message });
    } finally {
      clearTimeout(timer);
    }
  }

  close(): void {
    for (const lane of this.lanes) lane.close();
  }
}

/** One connection. */
class Lane {
  #next: number;
  #stream = 1;
  #outstanding = 0;
  #take: () => number = () => 0;
  #settle: { resolve: () => void; reject: (error: Error) => void } | null = null;
  #broken: Error | null = null;
  readonly #reader = new FrameReader();

  private constructor(private readonly socket: TLSSocket, private readonly target: LoadTarget, index: number) {
    this.#next = index * 31;
    socket.on("data", (chunk: Buffer) => this.#reader.push(chunk, (received) => this.#receive(received)));
    socket.on("error", (error) => this.#break(error));
    socket.on("close", () => this.#break(new Error("Envoy closed the connection")));
    socket.write(PREFACE);
  }

  static async open(target: LoadTarget, index: number): Promise<Lane> {
    const { ca, client } = target.certificates;
    const socket = connect({ host: "127.0.0.1", port: target.port, servername: "localhost", ca, cert: client.certificate, key: client.key, ALPNProtocols: ["h2"] });
    socket.setNoDelay(true);
    await once(socket, "secureConnect");
    return new Lane(socket, target, index);
  }

  run(take: () => number): Promise<void> {
    if (this.#broken) return Promise.reject(this.#broken);
    return new Promise((resolve, reject) => {
      this.#take = take;
      this.#settle = { resolve, reject };
      this.#write();
    });
  }

  close(): void {
    this.socket.removeAllListeners("close");
    this.socket.destroy();
  }

  #write(): void {
    const count = this.#take();
    if (count === 0) {
      this.#settle?.resolve();
      this.#settle = null;
      return;
    }
    const { requests } = this.target;
    const frames = Buffer.concat(Array.from({ length: count }, () => requests[this.#next++ % requests.length]!));
    for (let at = 0; at < frames.length; at += 9 + frames.readUIntBE(at, 3)) {
      setStream(frames, at, this.#stream);
      this.#stream += 2;
    }
    this.#outstanding = count;
    this.socket.write(frames);
  }

  #receive({ type, flags, payload }: Frame): void {
    if (type === FRAME.headers && statusOf(payload) !== 200) return this.#break(new Error(`a response whose status isn't 200 (header block ${payload.subarray(0, 8).toString("hex")}…)`));
    if (type === FRAME.reset || type === FRAME.goaway) return this.#break(new Error(`frame ${type === FRAME.reset ? "RST_STREAM" : "GOAWAY"} ${payload.toString("hex")}`));
    if ((type === FRAME.settings || type === FRAME.ping) && !(flags & FLAG.ack)) this.socket.write(frame(type, FLAG.ack, 0, type === FRAME.ping ? payload : Buffer.alloc(0)));
    if ((type === FRAME.headers || type === FRAME.data) && flags & FLAG.endStream && --this.#outstanding === 0) this.#write();
  }

  #break(error: Error): void {
    this.#broken ??= error;
    this.#settle?.reject(error);
    this.#settle = null;
  }
}

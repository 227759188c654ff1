/**
 * Envoy's request_headers_timeout on HTTP/1 connections: a client that takes too long to say what it wants. Node's own check runs
 * on servers that listen, which these don't.
 */
import type { Socket } from "node:net";

interface Watched {
  /** Bytes that belong to requests that are known. */
  known: number;
  /** When more of them were seen. */
  sinceMs: number | undefined;
  /** A request is under way: what comes is its body, or waits behind it. */
  busy: boolean;
}

const MOST_OFTEN_MS = 50;
const AT_LEAST_EVERY_MS = 1_000;

export class HeaderWatch {
  readonly #sockets = new Map<Socket, Watched>();
  readonly #limitMs: number;
  readonly #late: (socket: Socket) => void;
  #timer: NodeJS.Timeout | undefined;

  /** @param limitMs 0: none @param late a client that took longer */
  constructor(limitMs: number, late: (socket: Socket) => void) {
    this.#limitMs = limitMs;
    this.#late = late;
  }

  add(socket: Socket): void {
    if (this.#limitMs === 0) return;
    this.#sockets.set(socket, { known: 0, sinceMs: undefined, busy: false });
    socket.once("close", () => this.forget(socket));
    this.#timer ??= setInterval(() => this.#look(), Math.min(AT_LEAST_EVERY_MS, Math.max(MOST_OFTEN_MS, this.#limitMs / 4))).unref();
  }

  requestBegan(socket: Socket): void {
    const watched = this.#sockets.get(socket);
    if (watched) Object.assign(watched, { busy: true, sinceMs: undefined });
  }

  requestEnded(socket: Socket): void {
    const watched = this.#sockets.get(socket);
    if (watched) Object.assign(watched, { busy: false, known: socket.bytesRead });
  }

  /** No requests come any more. */
  forget(socket: Socket): void {
    this.#sockets.delete(socket);
    if (this.#sockets.size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #look(): void {
    const now = performance.now();
    for (const [socket, watched] of this.#sockets) {
      if (watched.busy || socket.bytesRead <= watched.known) continue;
      watched.sinceMs ??= now;
      if (now - watched.sinceMs < this.#limitMs) continue;
      this.forget(socket);
      this.#late(socket);
    }
  }
}

/** A client's end where Node gives no response object: a request that it couldn't parse, or one that leaves HTTP. */
import { STATUS_CODES } from "node:http";
import type { Duplex } from "node:stream";
import type { HeaderMap } from "../../host/index.ts";
import type { ClientSide } from "../stream.ts";

export class RawClient implements ClientSide {
  readonly #socket: Duplex;
  /** The protocol has changed: bytes go both ways. */
  readonly #upgraded: () => void;

  constructor(socket: Duplex, upgraded: () => void = () => {}) {
    this.#socket = socket;
    this.#upgraded = upgraded;
  }

  respond(headers: HeaderMap, endStream: boolean): void {
    const { entries } = headers;
    const status = headers.get(":status")!;
    const switching = status === "101";
    let head = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n`;
    for (let i = 0; i < entries.length; i += 2) {
      // What a message can't carry would end this one early.
      if (/[\0\r\n]/.test(entries[i]! + entries[i + 1]!)) return void this.#socket.destroy();
      if (!entries[i]!.startsWith(":")) head += `${entries[i]}: ${entries[i + 1]}\r\n`;
    }
    if (!switching) head += `${endStream && headers.get("content-length") === undefined ? "content-length: 0\r\n" : ""}connection: close\r\n`;
    this.#socket.write(Buffer.from(`${head}\r\n`, "latin1"));
    if (switching) this.#upgraded();
    if (endStream) this.#socket.end();
  }

  write(data: Uint8Array): boolean {
    return this.#socket.write(data);
  }

  end(): void {
    this.#socket.end();
  }

  reset(): void {
    this.#socket.destroy();
  }

  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }
}

import { ByteBuffer } from "./byte-buffer.ts";
import type { HeaderMap } from "./header-map.ts";

/** Where a body stands against the length that its headers promise. */
export type Fit = "right" | "short" | "long";

/**
 * A message as its receiver gets it. Envoy sends headers and body on as filters left them, so a filter that changes a body
 * and leaves `content-length` sends bytes that belong to no message, or less than the receiver waits for.
 */
export class Message {
  headers: HeaderMap | undefined;
  readonly body = new ByteBuffer();
  trailers: HeaderMap | undefined;
  /** It ended with its headers: what frames it differs from an empty body that came by itself. */
  headersOnly = false;
  /** Whether its receiver has all of it. */
  complete = false;
  /** What content-length says; undefined: nothing, or there is no body whatever it says. */
  private promised: number | undefined;
  private sent = 0;
  private http2 = false;

  /** @param bodiless an answer to HEAD, a 204, a 304 @param protocol the receiver's */
  start(headers: HeaderMap, end: boolean, bodiless: boolean, protocol: string | undefined): void {
    this.http2 = protocol === "HTTP/2";
    this.headersOnly = end;
    this.headers = end ? headers : headers.share(); // what filters still change comes too late
    const length = bodiless ? undefined : headers.get("content-length");
    if (length !== undefined && /^\d+$/.test(length)) this.promised = Number(length);
  }

  /** Moves bytes of the body out of `data`, as far as the receiver takes them for such. */
  add(data: ByteBuffer): void {
    this.sent += data.length;
    const room = this.promised === undefined ? data.length : this.promised - this.body.length;
    if (data.length <= room) this.body.move(data);
    else if (!this.http2) this.body.add(data.read(0, room)); // HTTP/2 breaks the stream off at such a frame
    data.clear();
  }

  /** The sender has nothing more. */
  finish(): Fit {
    const fit = this.promised === undefined || this.sent === this.promised ? "right" : this.sent < this.promised ? "short" : "long";
    this.complete = fit === "right" || (fit === "long" && !this.http2);
    return fit;
  }

  /** What is wrong with its length. */
  get mismatch(): string {
    return `has ${this.sent} bytes and content-length says ${this.promised}`;
  }
}

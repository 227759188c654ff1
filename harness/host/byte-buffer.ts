import { concatBytes, EMPTY_BYTES } from "./bytes.ts";
import { Status, type StatusCode } from "./types.ts";

/** What `proxy_get_buffer_bytes` and friends can work on. */
export interface GuestBuffer {
  readonly length: number;
  /** Bytes from `start`; the caller keeps the range inside. */
  read(start: number, length: number): Uint8Array;
  /** Envoy's `copyFrom`: replaces bytes at the start (none: prepends) or appends; anything else is a bad argument. */
  write(start: number, length: number, data: Uint8Array): StatusCode;
}

/** Bytes that a module can only read: configurations, callout answers. */
export class FixedBuffer implements GuestBuffer {
  private readonly data: Uint8Array;

  constructor(data: Uint8Array) {
    this.data = data;
  }

  get length(): number {
    return this.data.length;
  }

  read(start: number, length: number): Uint8Array {
    return this.data.subarray(start, start + length);
  }

  write(): StatusCode {
    return Status.BadArgument;
  }
}

export const EMPTY_BUFFER: GuestBuffer = new FixedBuffer(EMPTY_BYTES);

/** A body on its way through the filters. */
export class ByteBuffer implements GuestBuffer {
  private chunks: Uint8Array[];
  private size: number;

  constructor(data?: Uint8Array) {
    this.chunks = data === undefined || data.length === 0 ? [] : [data];
    this.size = data?.length ?? 0;
  }

  get length(): number {
    return this.size;
  }

  add(data: Uint8Array): void {
    if (data.length === 0) return;
    this.chunks.push(data);
    this.size += data.length;
  }

  prepend(data: Uint8Array): void {
    if (data.length === 0) return;
    this.chunks.unshift(data);
    this.size += data.length;
  }

  clear(): void {
    this.chunks = [];
    this.size = 0;
  }

  /** Moves everything out of `from` to the end of this buffer. */
  move(from: ByteBuffer): void {
    if (from === this || from.size === 0) return;
    this.chunks.push(...from.chunks);
    this.size += from.size;
    from.clear();
  }

  /** All bytes as one array; keeps them. */
  bytes(): Uint8Array {
    if (this.chunks.length > 1) this.chunks = [concatBytes(this.chunks)];
    return this.chunks[0] ?? EMPTY_BYTES;
  }

  read(start: number, length: number): Uint8Array {
    return this.bytes().subarray(start, start + length);
  }

  write(start: number, length: number, data: Uint8Array): StatusCode {
    if (start === 0) {
      const rest = this.bytes().subarray(Math.min(length, this.size));
      this.clear();
      this.add(data);
      this.add(rest);
      return Status.Ok;
    }
    if (start < this.size) return Status.BadArgument;
    this.add(data);
    return Status.Ok;
  }
}

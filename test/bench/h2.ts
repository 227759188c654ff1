/**
 * As much of HTTP/2 (RFC 9113) and HPACK (RFC 7541) as the load generator needs: requests without a body, encoded once;
 * responses told apart by frame headers. Node's own client costs tens of microseconds a request, more than Envoy does.
 *
 * @module
 */

export const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goaway: 7 } as const;
export const FLAG = { ack: 1, endStream: 1, endHeaders: 4 } as const;
const FRAME_HEADER = 9;

/** What a client says first: the preface and SETTINGS that change nothing. */
export const PREFACE = Buffer.concat([Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), frame(FRAME.settings, 0, 0, Buffer.alloc(0))]);

export function frame(type: number, flags: number, stream: number, payload: Buffer): Buffer {
  const header = Buffer.alloc(FRAME_HEADER);
  header.writeUIntBE(payload.length, 0, 3);
  header[3] = type;
  header[4] = flags;
  header.writeUInt32BE(stream, 5);
  return Buffer.concat([header, payload]);
}

/** A whole request in one frame, on stream 0: {@link setStream} gives it its own. Pseudo-headers come first. */
export function requestFrame(headers: readonly (readonly [name: string, value: string])[]): Buffer {
  return frame(FRAME.headers, FLAG.endStream | FLAG.endHeaders, 0, Buffer.concat(headers.map(([name, value]) => literal(name, value))));
}

export function setStream(frames: Buffer, at: number, stream: number): void {
  frames.writeUInt32BE(stream, at + 5);
}

/** "Literal header field without indexing, new name" (RFC 7541, 6.2.2), not Huffman coded: stateless, so it can be sent again. */
function literal(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  return Buffer.concat([integer(bytes.length), bytes]);
}

/** An integer with a 7-bit prefix (RFC 7541, 5.1). */
function integer(value: number): Buffer {
  if (value < 127) return Buffer.from([value]);
  const bytes = [127];
  let rest = value - 127;
  for (; rest >= 128; rest >>= 7) bytes.push((rest & 127) | 128);
  return Buffer.from([...bytes, rest]);
}

export interface Frame {
  type: number;
  flags: number;
  stream: number;
  payload: Buffer;
}

/** Cuts a byte stream into frames. */
export class FrameReader {
  #rest: Buffer = Buffer.alloc(0);

  push(chunk: Buffer, each: (frame: Frame) => void): void {
    const bytes = this.#rest.length ? Buffer.concat([this.#rest, chunk]) : chunk;
    let at = 0;
    while (bytes.length - at >= FRAME_HEADER) {
      const end = at + FRAME_HEADER + bytes.readUIntBE(at, 3);
      if (end > bytes.length) break;
      each({ type: bytes[at + 3]!, flags: bytes[at + 4]!, stream: bytes.readUInt32BE(at + 5) & 0x7fffffff, payload: bytes.subarray(at + FRAME_HEADER, end) });
      at = end;
    }
    this.#rest = bytes.subarray(at);
  }
}

/** Static table entries 8 to 14 (RFC 7541, appendix A): the statuses that take one byte. */
const STATUSES = [200, 204, 206, 304, 400, 404, 500];

/** The status of a header block, as far as it is in the static table; `:status` is always first. */
export function statusOf(block: Buffer): number | null {
  const first = block[0] ?? 0;
  return first >= 0x88 && first <= 0x8e ? STATUSES[first - 0x88]! : null;
}

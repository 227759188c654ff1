/** The server name in a TLS ClientHello (RFC 8446 4.1.2, RFC 6066 3): what a filter chain is chosen by. Pure. */

export type Hello =
  /** More bytes are needed. */
  | "incomplete"
  /** Not TLS, or no ClientHello that anybody could read. */
  | "invalid"
  | { serverName: string | undefined };

/** As much as Envoy's TLS inspector looks at. */
export const MOST_BYTES = 16 * 1024;

const HANDSHAKE = 22;
const CLIENT_HELLO = 1;
const SERVER_NAME = 0;

class Reader {
  at = 0;

  constructor(readonly bytes: Uint8Array) {}

  get left(): number {
    return this.bytes.length - this.at;
  }

  /** @throws RangeError past the end */
  number(size: number): number {
    if (this.left < size) throw new RangeError();
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + this.bytes[this.at++]!;
    return value;
  }

  take(size: number): Uint8Array {
    if (this.left < size) throw new RangeError();
    this.at += size;
    return this.bytes.subarray(this.at - size, this.at);
  }
}

/** @param bytes what a client has sent so far */
export function readClientHello(bytes: Uint8Array): Hello {
  const message = handshake(bytes);
  if (typeof message === "string") return message;
  try {
    return { serverName: serverName(new Reader(message)) };
  } catch (error) {
    if (error instanceof RangeError) return "invalid";
    throw error;
  }
}

/** The first handshake message, put together from its records. */
function handshake(bytes: Uint8Array): Uint8Array | "incomplete" | "invalid" {
  const body: number[] = [];
  let at = 0;
  for (;;) {
    if (bytes.length > at && bytes[at] !== HANDSHAKE) return "invalid";
    if (bytes.length > at + 1 && bytes[at + 1] !== 3) return "invalid";
    if (bytes.length < at + 5) return tooMuch(bytes);
    const size = bytes[at + 3]! * 256 + bytes[at + 4]!;
    if (size === 0 || size > 16_384) return "invalid";
    body.push(...bytes.subarray(at + 5, at + 5 + size));
    if (body.length > 0 && body[0] !== CLIENT_HELLO) return "invalid";
    const length = body.length >= 4 ? body[1]! * 65_536 + body[2]! * 256 + body[3]! : undefined;
    if (length !== undefined && length > MOST_BYTES) return "invalid";
    if (length !== undefined && body.length >= 4 + length) return Uint8Array.from(body.slice(4, 4 + length));
    if (bytes.length < at + 5 + size) return tooMuch(bytes);
    at += 5 + size;
  }
}

function tooMuch(bytes: Uint8Array): "incomplete" | "invalid" {
  return bytes.length > MOST_BYTES ? "invalid" : "incomplete";
}

function serverName(hello: Reader): string | undefined {
  hello.take(2 + 32); // version, random
  hello.take(hello.number(1)); // session
  hello.take(hello.number(2)); // cipher suites
  hello.take(hello.number(1)); // compression
  if (hello.left === 0) return undefined;
  const extensions = new Reader(hello.take(hello.number(2)));
  while (extensions.left > 0) {
    const type = extensions.number(2);
    const data = new Reader(extensions.take(extensions.number(2)));
    if (type !== SERVER_NAME) continue;
    const list = new Reader(data.take(data.number(2)));
    while (list.left > 0) {
      const kind = list.number(1);
      const name = list.take(list.number(2));
      if (kind === 0) return Buffer.from(name).toString("latin1").toLowerCase();
    }
  }
  return undefined;
}

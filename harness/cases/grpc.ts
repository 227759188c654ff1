/** gRPC over HTTP/2 as far as cases need it: framed messages, and a status in trailers. Pure. */
import type { MessageSpec } from "./schema-parts.ts";

const HEAD = 5;

export function messageBytes(message: MessageSpec): Buffer {
  return typeof message === "string" ? Buffer.from(message) : Buffer.from(message.hex, "hex");
}

export function messageList(spec: MessageSpec | MessageSpec[] | undefined): Buffer[] {
  return (spec === undefined ? [] : Array.isArray(spec) ? spec : [spec]).map(messageBytes);
}

/** A message behind its length: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md */
export function frame(message: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** The messages in a body; undefined when it isn't made of whole ones. */
export function unframe(body: Uint8Array): Buffer[] | undefined {
  const bytes = Buffer.from(body.buffer, body.byteOffset, body.length);
  const messages: Buffer[] = [];
  for (let at = 0; at < bytes.length; ) {
    if (at + HEAD > bytes.length) return undefined;
    const end = at + HEAD + bytes.readUInt32BE(at + 1);
    if (end > bytes.length) return undefined;
    messages.push(bytes.subarray(at + HEAD, end));
    at = end;
  }
  return messages;
}

export const isGrpc = (headers: readonly (readonly [string, string])[]): boolean => headers.some(([name, value]) => name === "content-type" && /^application\/grpc($|[+;])/.test(value));

/** As reports show it: a text where it is one, else its bytes. */
export function showMessage(message: Uint8Array): string {
  const text = Buffer.from(message).toString();
  return Buffer.from(text).equals(Buffer.from(message)) && !/[\u0000-\u0008\u000e-\u001f\u007f]/.test(text) ? text : `hex ${Buffer.from(message).toString("hex")}`;
}

/** A status's text as it stands in `grpc-message`. */
export function encodeStatusText(text: string): string {
  return [...Buffer.from(text)].map((byte) => (byte < 0x20 || byte > 0x7e || byte === 0x25 ? `%${byte.toString(16).toUpperCase().padStart(2, "0")}` : String.fromCharCode(byte))).join("");
}

export function decodeStatusText(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

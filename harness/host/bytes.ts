/**
 * Text and bytes. Inside the host every header, key and log line is a "byte string": one JavaScript character per
 * byte (latin1), so that what a module wrote is kept exactly. People's strings are UTF-8 at the border.
 */

const NOT_ASCII = /[^\x00-\x7f]/;

/** A person's string as a byte string (UTF-8 bytes, one character each). */
export function toByteString(text: string): string {
  return NOT_ASCII.test(text) ? Buffer.from(text, "utf8").toString("latin1") : text;
}

/** A byte string as a person reads it; bytes that are no UTF-8 become U+FFFD. */
export function fromByteString(bytes: string): string {
  return NOT_ASCII.test(bytes) ? Buffer.from(bytes, "latin1").toString("utf8") : bytes;
}

/** A byte string in lower case, as header names are: ASCII letters only, unlike `toLowerCase`, which would change bytes of UTF-8. */
export function lowerCase(bytes: string): string {
  return NOT_ASCII.test(bytes) ? bytes.replace(/[A-Z]+/g, (upper) => upper.toLowerCase()) : bytes.toLowerCase();
}

/** The bytes of a byte string. */
export function byteStringToBytes(bytes: string): Uint8Array {
  return Buffer.from(bytes, "latin1");
}

/** Bytes as a byte string. */
export function bytesToByteString(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
}

/** A person's value (text or bytes) as bytes. */
export function toBytes(value: string | Uint8Array): Uint8Array {
  return typeof value === "string" ? Buffer.from(value, "utf8") : value;
}

/** Bytes as text, for people. */
export function toText(value: Uint8Array): string {
  return Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("utf8");
}

export const EMPTY_BYTES = new Uint8Array(0);

/** Joins chunks into one array. */
export function concatBytes(chunks: readonly Uint8Array[]): Uint8Array {
  if (chunks.length === 1) return chunks[0]!;
  return chunks.length === 0 ? EMPTY_BYTES : Buffer.concat(chunks);
}

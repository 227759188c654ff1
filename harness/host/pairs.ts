/**
 * The wire form of header maps and lists between host and module: u32 count, then u32 name length and u32 value
 * length for each pair, then name NUL value NUL for each; all little endian. Source: proxy-wasm spec v0.2.1 and
 * Envoy's limits (1 MiB, 1024 pairs).
 */
export const PAIRS_MAX_BYTES = 1024 * 1024;
export const PAIRS_MAX_COUNT = 1024;

/** Size of the encoded form of flat entries (name, value, name, value, …; byte strings). */
export function pairsSize(flat: readonly string[]): number {
  let size = 4 + flat.length * 5;
  for (let i = 0; i < flat.length; i++) size += flat[i]!.length;
  return size;
}

/** Writes flat entries at `at`; the caller has made sure that `pairsSize` bytes fit. @internal */
export function writePairs(flat: readonly string[], target: Buffer, at: number): void {
  target.writeUInt32LE(flat.length >>> 1, at);
  let head = at + 4;
  let pos = head + flat.length * 4;
  for (let i = 0; i < flat.length; i++) {
    const text = flat[i]!;
    const length = text.length;
    target[head] = length & 255;
    target[head + 1] = (length >>> 8) & 255;
    target[head + 2] = (length >>> 16) & 255;
    target[head + 3] = length >>> 24;
    head += 4;
    if (length > 48) target.write(text, pos, "latin1");
    else for (let j = 0; j < length; j++) target[pos + j] = text.charCodeAt(j);
    pos += length;
    target[pos++] = 0;
  }
}

/** Encodes pairs of byte strings. */
export function encodePairs(pairs: readonly (readonly [string, string])[]): Uint8Array {
  const flat: string[] = [];
  for (const [name, value] of pairs) flat.push(name, value);
  const buffer = Buffer.alloc(pairsSize(flat));
  writePairs(flat, buffer, 0);
  return buffer;
}

/**
 * Decodes what a module wrote, as flat entries. Anything malformed or over the limits gives an EMPTY list, silently:
 * that is what Envoy does.
 */
export function decodePairs(data: Uint8Array): string[] {
  const size = data.length;
  if (size > PAIRS_MAX_BYTES || size < 4) return [];
  const buffer = Buffer.from(data.buffer, data.byteOffset, size);
  const count = buffer.readUInt32LE(0);
  if (count > PAIRS_MAX_COUNT || 4 + count * 8 > size) return [];
  const flat: string[] = new Array(count * 2);
  let pos = 4 + count * 8;
  for (let i = 0; i < count * 2; i++) {
    const length = buffer.readUInt32LE(4 + i * 4);
    if (pos + length + 1 > size) return [];
    flat[i] = buffer.toString("latin1", pos, pos + length);
    pos += length;
    if (buffer[pos++] !== 0) return [];
  }
  return pos === size ? flat : [];
}

/** Why `decodePairs` gives nothing; undefined: the map is well formed, and empty. */
export function pairsProblem(data: Uint8Array): string | undefined {
  if (data.length > PAIRS_MAX_BYTES) return `${data.length} bytes, more than ${PAIRS_MAX_BYTES}`;
  if (data.length < 4) return `${data.length} bytes, not even a count`;
  const count = Buffer.from(data.buffer, data.byteOffset, data.length).readUInt32LE(0);
  if (count > PAIRS_MAX_COUNT) return `${count} pairs, more than ${PAIRS_MAX_COUNT}`;
  return count === 0 && data.length === 4 ? undefined : `${count} pairs that do not fill ${data.length} bytes with a NUL after each name and value`;
}

import { leb, signedLeb } from "./leb.ts";
import { Reader } from "./wasm.ts";

/**
 * Every static text of a filter is a data segment of its own, with six to eight bytes around it. Segments that (nearly) follow
 * each other become one: 4 % of a module. Nothing that comes before the data section changes its length, so that the source
 * map holds. Pure.
 *
 * @returns the bytes themselves where a segment isn't at a fixed place
 */
export function mergeData(wasm: Uint8Array): Uint8Array {
  const section = findSection(wasm, DATA);
  const segments = section && readSegments(section.content);
  if (!section || !segments) return wasm;
  const merged: { at: number; bytes: number[] }[] = [];
  for (const { at, bytes } of segments.sort((a, b) => a.at - b.at)) {
    const last = merged.at(-1);
    const gap = last ? at - last.at - last.bytes.length : Infinity;
    if (gap < 0) return wasm;
    if (gap <= HEADER) last!.bytes.push(...new Array<number>(gap).fill(0), ...bytes);
    else merged.push({ at, bytes: [...bytes] });
  }
  const content = [...leb(merged.length), ...merged.flatMap(({ at, bytes }) => [0, I32_CONST, ...signedLeb(at | 0), END, ...leb(bytes.length), ...bytes])];
  const result = Uint8Array.from([...wasm.subarray(0, section.start), DATA, ...leb(content.length), ...content, ...wasm.subarray(section.content.end)]);
  const count = findSection(result, DATA_COUNT);
  if (count) result.set(leb(merged.length, count.content.end - count.content.at), count.content.at);
  return result;
}

const DATA = 11;
const DATA_COUNT = 12;
const I32_CONST = 0x41;
const END = 0x0b;
/** What a segment costs apart from its bytes: a longer gap of zeros costs more than it saves. */
const HEADER = 5;
const MAGIC_AND_VERSION = 8;

/** @returns where it starts, with its id and size, and what is in it */
function findSection(wasm: Uint8Array, wanted: number): { start: number; content: Reader } | undefined {
  const reader = new Reader(wasm, MAGIC_AND_VERSION, wasm.length);
  while (reader.at < reader.end) {
    const start = reader.at;
    const id = reader.byte();
    const content = reader.slice(reader.leb());
    if (id === wanted) return { start, content };
  }
  return undefined;
}

/** Undefined: one of them is passive, in another memory, or at a computed place. */
function readSegments(section: Reader): { at: number; bytes: Uint8Array }[] | undefined {
  const reader = new Reader(section.bytes, section.at, section.end);
  const segments: { at: number; bytes: Uint8Array }[] = [];
  for (let left = reader.leb(); left > 0; left--) {
    if (reader.byte() !== 0 || reader.byte() !== I32_CONST) return undefined;
    const at = readSigned(reader);
    if (reader.byte() !== END) return undefined;
    const bytes = reader.slice(reader.leb());
    segments.push({ at: at >>> 0, bytes: section.bytes.subarray(bytes.at, bytes.end) });
  }
  return segments;
}

function readSigned(reader: Reader): number {
  let value = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = reader.byte();
    value |= (byte & 0x7f) << shift;
    if (byte < 0x80) return shift < 25 && byte & 0x40 ? value | (-1 << (shift + 7)) : value;
  }
}

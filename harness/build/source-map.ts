/**
 * Source maps of WebAssembly: one "line", whose columns are byte offsets in the module's file.
 * https://tc39.es/ecma426/, and https://github.com/WebAssembly/tool-conventions/blob/main/Debugging.md
 */
import { fail } from "../errors.ts";

/** From `offset` up to the next segment's, code comes from this place; `source` undefined: from nowhere. */
export interface Segment {
  offset: number;
  /** Index in {@link SourceMap.sources}. */
  source: number | undefined;
  /** Count from 1. */
  line: number;
  col: number;
}

export interface SourceMap {
  sources: string[];
  /** Texts of the sources, where the map has them. */
  contents: (string | undefined)[];
  /** What relative sources start from, besides the map's folder; often empty. */
  sourceRoot: string;
  /** In the order of their offsets. */
  segments: Segment[];
}

/** @throws SelvedgeError `source-map-malformed` that names the file; for any text, never anything else */
export function readSourceMap(text: string, file: string): SourceMap {
  const malformed = (found: string): never => fail("source-map-malformed", "this is not a source map that can be read", { where: { file }, found, fix: "build the module again with a source map" });
  let json: { version?: unknown; sources?: unknown; sourcesContent?: unknown; sourceRoot?: unknown; mappings?: unknown; sections?: unknown };
  try {
    json = JSON.parse(text.replace(/^\)\]\}'[^\n]*\n/, "")) as typeof json;
  } catch (error) {
    return malformed((error as Error).message);
  }
  if (typeof json !== "object" || json === null || json.version !== 3) return malformed("no version 3");
  if (json.sections !== undefined) return malformed("an index of maps");
  if (!Array.isArray(json.sources) || typeof json.mappings !== "string") return malformed("no sources or no mappings");
  const sources = json.sources.map((source) => (typeof source === "string" ? source : "unknown"));
  const texts = Array.isArray(json.sourcesContent) ? (json.sourcesContent as unknown[]) : [];
  const segments = decodeMappings(json.mappings, sources.length);
  if (typeof segments === "string") return malformed(segments);
  return {
    sources,
    contents: sources.map((_, index) => (typeof texts[index] === "string" ? texts[index] : undefined)),
    sourceRoot: typeof json.sourceRoot === "string" ? json.sourceRoot : "",
    segments,
  };
}

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const DIGITS = new Map([...BASE64].map((digit, value) => [digit, value]));

/** The segments of the first line (there is no other in a module's map), or what is wrong with them. */
function decodeMappings(mappings: string, sourceCount: number): Segment[] | string {
  const segments: Segment[] = [];
  let [offset, source, line, col] = [0, 0, 0, 0];
  for (const text of (mappings.split(";", 1)[0] ?? "").split(",")) {
    if (text === "") continue;
    const fields = decodeVlq(text);
    if (fields === undefined || ![1, 4, 5].includes(fields.length)) return `segment ${text}`;
    offset += fields[0]!;
    if (offset < 0) return `a negative offset in segment ${text}`;
    if (fields.length === 1) {
      segments.push({ offset, source: undefined, line: 0, col: 0 });
      continue;
    }
    source += fields[1]!;
    line += fields[2]!;
    col += fields[3]!;
    if (source < 0 || source >= sourceCount || line < 0 || col < 0) return `segment ${text} leads to source ${source}, line ${line}`;
    segments.push({ offset, source, line: line + 1, col: col + 1 });
  }
  return segments.sort((a, b) => a.offset - b.offset);
}

/** Base64 digits of five bits each, the lowest first; the last bit of a number is its sign. */
function decodeVlq(text: string): number[] | undefined {
  const numbers: number[] = [];
  let [value, scale] = [0, 1];
  for (const digit of text) {
    const bits = DIGITS.get(digit);
    if (bits === undefined || scale > 2 ** 35) return undefined;
    value += (bits & 31) * scale;
    scale *= 32;
    if (bits & 32) continue;
    numbers.push(value % 2 ? -(value - 1) / 2 : value / 2);
    [value, scale] = [0, 1];
  }
  return scale === 1 ? numbers : undefined;
}

/** The last segment that starts at or before an offset, but not before `from` (where a function starts). */
export function segmentAt(segments: readonly Segment[], offset: number, from = 0): Segment | undefined {
  let [low, high] = [0, segments.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (segments[middle]!.offset <= offset) low = middle + 1;
    else high = middle;
  }
  const segment = segments[low - 1];
  return segment === undefined || segment.offset < from || segment.source === undefined ? undefined : segment;
}

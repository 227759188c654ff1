/**
 * Makes a module note which lines of its source have run: before the first instruction of each line it sets a bit in an
 * exported global of its own. Neither its memory nor its stack nor its functions' indices change. Pure.
 */
import { leb, signedLeb } from "../build/leb.ts";
import { readWasm } from "../build/wasm.ts";
import { segmentAt, type Segment } from "../build/source-map.ts";
import { instructionsIn } from "./code.ts";

/** Names of the exported globals: this and their number. Each holds {@link LINES_PER_GLOBAL} lines. */
export const GLOBAL_PREFIX = "selvedge.coverage.";
const LINES_PER_GLOBAL = 32;

/** A line of a source that has code in the module. */
export interface CodeLine {
  /** Index in the source map. */
  source: number;
  line: number;
}

export interface Instrumented {
  code: Uint8Array;
  /** Line by line what bit 0 of the first global and those after it stand for. */
  lines: CodeLine[];
  /** The source map's segments as they are for `code`. */
  segments: Segment[];
}

/**
 * @param segments of the module's source map
 * @param wanted which sources count
 * @throws SelvedgeError `coverage-opcode`
 */
export function instrument(bytes: Uint8Array, segments: readonly Segment[], wanted: (source: number) => boolean): Instrumented {
  const module = readWasm(bytes);
  const lines = new LineNumbers();
  const firstGlobal = countGlobals(bytes, module.imports.filter(({ kind }) => kind === "global").length);
  const probes = module.functionOffsets.map((start, index) => probesOf(bytes, start, start + module.functionSizes[index]!, segments, wanted, lines));
  const count = Math.ceil(lines.all.length / LINES_PER_GLOBAL);
  const moves: Move[] = [];
  const out = new Output(moves);
  out.copy(bytes, 0, 8);
  let globalsDone = count === 0;
  for (const { id, at, body, end } of sections(bytes)) {
    if (!globalsDone && placeOf(id) > placeOf(GLOBAL)) {
      out.section(GLOBAL, [leb(count), globals(count)]);
      globalsDone = true;
    }
    if (id === GLOBAL) {
      const [declared, next] = readLeb(bytes, body);
      out.section(GLOBAL, [leb(declared + count), bytes.subarray(next, end), globals(count)]);
      globalsDone = true;
    } else if (id === EXPORT) {
      const [declared, next] = readLeb(bytes, body);
      out.section(EXPORT, [leb(declared + count), bytes.subarray(next, end), exports_(firstGlobal, count)]);
    } else if (id === CODE) out.code(bytes, module.functionOffsets, module.functionSizes, probes, firstGlobal);
    else out.copy(bytes, at, end);
  }
  return { code: out.bytes(), lines: lines.all, segments: moved(segments, moves) };
}

/** Lines that have run, by their numbers in {@link Instrumented.lines}, in an instance of the module. */
export function linesRun(exports: Readonly<Record<string, unknown>>): number[] {
  const found: number[] = [];
  for (let index = 0; ; index++) {
    const global = exports[`${GLOBAL_PREFIX}${index}`] as { value: number } | undefined;
    if (global === undefined) return found;
    for (let bits = global.value, bit = 0; bits !== 0; bits >>>= 1, bit++) if (bits & 1) found.push(index * LINES_PER_GLOBAL + bit);
  }
}

/** Numbers lines in the order in which they are met. */
class LineNumbers {
  readonly all: CodeLine[] = [];
  readonly #known = new Map<string, number>();

  of(source: number, line: number): number {
    const key = `${source}:${line}`;
    let number = this.#known.get(key);
    if (number === undefined) {
      this.#known.set(key, (number = this.all.length));
      this.all.push({ source, line });
    }
    return number;
  }
}

/** Before the instruction at an offset, a line's bit is set. */
interface Probe {
  at: number;
  line: number;
}

/**
 * One for each instruction with which code of a line begins. An instruction without a segment of its own (asc's own
 * additions: a local to release, a jump back) belongs to none. In a straight run the same line is noted once.
 */
function probesOf(bytes: Uint8Array, start: number, end: number, segments: readonly Segment[], wanted: (source: number) => boolean, lines: LineNumbers): Probe[] {
  const probes: Probe[] = [];
  const noted = new Set<number>();
  let last: Segment | undefined;
  for (const { at, branches } of instructionsIn(bytes, start, end)) {
    const segment = segmentAt(segments, at, start);
    if (segment !== undefined && segment !== last && wanted(segment.source!)) {
      const line = lines.of(segment.source!, segment.line);
      if (!noted.has(line)) probes.push({ at, line });
      noted.add(line);
    }
    last = segment;
    if (branches) noted.clear();
  }
  return probes;
}

// --- the binary format -------------------------------------------------------------------------------------------

const GLOBAL = 6;
const EXPORT = 7;
const CODE = 10;
/** Sections come in the order of their ids, but for these. */
const placeOf = (id: number): number => (id === 12 ? 9.5 : id === 13 ? 5.5 : id === 0 ? -1 : id);

function* sections(bytes: Uint8Array): Generator<{ id: number; at: number; body: number; end: number }> {
  for (let at = 8; at < bytes.length; ) {
    const [size, body] = readLeb(bytes, at + 1);
    yield { id: bytes[at]!, at, body, end: body + size };
    at = body + size;
  }
}

function countGlobals(bytes: Uint8Array, imported: number): number {
  for (const { id, body } of sections(bytes)) if (id === GLOBAL) return imported + readLeb(bytes, body)[0];
  return imported;
}

/** Mutable i32 globals that start at 0. */
const globals = (count: number): Uint8Array => Uint8Array.from({ length: count * 5 }, (_, index) => [0x7f, 1, 0x41, 0, 0x0b][index % 5]!);

function exports_(firstGlobal: number, count: number): Uint8Array {
  return Uint8Array.from(Array.from({ length: count }, (_, index) => {
    const name = new TextEncoder().encode(`${GLOBAL_PREFIX}${index}`);
    return [...leb(name.length), ...name, 3, ...leb(firstGlobal + index)];
  }).flat());
}

/** `global = global | bit` */
function note(line: number, firstGlobal: number): number[] {
  const global = leb(firstGlobal + Math.floor(line / LINES_PER_GLOBAL));
  return [0x23, ...global, 0x41, ...signedLeb((1 << line % LINES_PER_GLOBAL) | 0), 0x72, 0x24, ...global];
}

/** What stood at `from` stands at `to` now, and all that follows it up to the next move. */
interface Move {
  from: number;
  to: number;
}

class Output {
  readonly #parts: Uint8Array[] = [];
  #size = 0;

  constructor(readonly moves: Move[]) {}

  copy(bytes: Uint8Array, from: number, end: number): void {
    this.moves.push({ from, to: this.#size });
    this.#add(bytes.subarray(from, end));
  }

  section(id: number, parts: ArrayLike<number>[]): void {
    const size = parts.reduce((sum, part) => sum + part.length, 0);
    for (const part of [[id, ...leb(size)], ...parts]) this.#add(Uint8Array.from(part));
  }

  code(bytes: Uint8Array, starts: readonly number[], sizes: readonly number[], probes: readonly Probe[][], firstGlobal: number): void {
    const bodies = starts.map((start, index) => {
      const notes = probes[index]!.map(({ at, line }) => ({ at, note: note(line, firstGlobal) }));
      const size = sizes[index]! + notes.reduce((sum, each) => sum + each.note.length, 0);
      return { start, end: start + sizes[index]!, notes, head: leb(size), size };
    });
    const count = leb(bodies.length);
    const size = bodies.reduce((sum, body) => sum + body.head.length + body.size, count.length);
    this.#add(Uint8Array.from([CODE, ...leb(size), ...count]));
    for (const { start, end, notes, head } of bodies) {
      this.#add(Uint8Array.from(head));
      let at = start;
      for (const each of notes) {
        this.copy(bytes, at, each.at);
        this.#add(Uint8Array.from(each.note));
        at = each.at;
      }
      this.copy(bytes, at, end);
    }
  }

  #add(part: Uint8Array): void {
    this.#parts.push(part);
    this.#size += part.length;
  }

  bytes(): Uint8Array {
    return new Uint8Array(Buffer.concat(this.#parts));
  }
}

function moved(segments: readonly Segment[], moves: readonly Move[]): Segment[] {
  let next = 0;
  const sorted = moves.toSorted((a, b) => a.from - b.from || a.to - b.to);
  return segments.map((segment) => {
    while (next < sorted.length && sorted[next]!.from <= segment.offset) next++;
    const { from, to } = sorted[Math.max(0, next - 1)]!;
    return { ...segment, offset: segment.offset - from + to };
  });
}

function readLeb(bytes: Uint8Array, at: number): [value: number, next: number] {
  let value = 0;
  for (let scale = 1; ; scale *= 128) {
    const byte = bytes[at++]!;
    value += (byte & 127) * scale;
    if (byte < 128) return [value, at];
  }
}

import { leb, signedLeb } from "../build/leb.ts";
import { InstructionReader } from "./opcodes.ts";

/**
 * Node cannot limit what a module's memory or a callback may take, so the limits are written into the module:
 * every memory gets a maximum, beyond which `memory.grow` fails exactly as it does in Envoy; and every round of a
 * loop and every function that calls another one counts down a number. At zero the module asks the host how long it
 * has been running (see `Deadline`), which costs nothing while callbacks are short and needs no second thread.
 * The start section becomes an exported function, so that it runs under the same limits.
 */
export const START_EXPORT = "selvedge:start";
export const DEADLINE_EXPORT = "selvedge:deadline";

/** Rounds between two looks at the clock: some 20 µs of a tight loop. */
export const ROUNDS_PER_SLICE = 20_000;
/** What an instruction that moves memory counts for. */
const BULK_ROUNDS = 200;

const SECTION = { type: 1, import: 2, function: 3, table: 4, memory: 5, global: 6, export: 7, start: 8, code: 10 } as const;
/** The order that sections must have; 13 is tags, 12 the data count. */
const ORDER = [1, 2, 3, 4, 5, 13, 6, 7, 8, 9, 12, 10, 11];
const utf8 = new TextEncoder();

export interface RewriteOptions {
  /** Limit of linear memory, in pages of 64 KiB. */
  maxPages: number;
  /** Whether callbacks are to be stoppable. */
  stoppable: boolean;
}

export interface Rewritten {
  code: Uint8Array;
  /** An offset in the rewritten module as an offset in the original. */
  original: (offset: number) => number;
  /** Index of the function that asks for the time; not part of the original. */
  checkFunction: number | undefined;
  /** Where an instruction is that this reader does not know, so that the module could not be made stoppable. */
  unknownInstruction: number | undefined;
}

interface Section {
  id: number;
  /** Of its body. */
  start: number;
  end: number;
}

/** A growing module, with a note wherever its bytes move against the original's. */
class Output {
  private readonly parts: Uint8Array[] = [];
  private size = 0;
  /** From `at` on, an offset is `shift` larger than in the original; ascending. */
  readonly moves: { at: number; shift: number }[] = [];

  add(bytes: Uint8Array | readonly number[]): void {
    const part = bytes instanceof Uint8Array ? bytes : Uint8Array.from(bytes);
    this.parts.push(part);
    this.size += part.length;
  }

  /** Copies a piece of the original. */
  copy(original: Uint8Array, from: number, to: number): void {
    this.moves.push({ at: this.size, shift: this.size - from });
    this.add(original.subarray(from, to));
  }

  /** Takes over another output's bytes and notes. */
  append(other: Output): void {
    for (const { at, shift } of other.moves) this.moves.push({ at: at + this.size, shift: shift + this.size });
    this.parts.push(...other.parts);
    this.size += other.size;
  }

  get length(): number {
    return this.size;
  }

  bytes(): Uint8Array {
    return Buffer.concat(this.parts);
  }
}

/** Rewrites a module that the engine accepts. */
export function rewriteModule(code: Uint8Array, options: RewriteOptions): Rewritten {
  const sections = readSections(code);
  const counts = new Counts(code, sections);
  const bodies = options.stoppable ? rewriteCode(code, sections.get(SECTION.code), counts) : undefined;
  const stoppable = bodies instanceof Output;
  const output = new Output();
  output.copy(code, 0, 8);
  const pending = new Set(ORDER);
  const emit = (id: number, original: Section | undefined) => {
    if (stoppable && id === SECTION.code) writeSection(output, id, bodies);
    else if (id === SECTION.start) return;
    else {
      const extra = additions(id, counts, stoppable);
      if (id === SECTION.memory && original !== undefined) writeSection(output, id, capped(code, original, options.maxPages));
      else if (extra.length > 0) writeSection(output, id, extended(code, original, extra));
      else if (original !== undefined) {
        output.add([id, ...leb(original.end - original.start)]);
        output.copy(code, original.start, original.end);
      }
    }
  };
  for (const section of sections.all) {
    // Sections that come before this one and that the original does not have.
    for (const id of section.id === 0 ? [] : ORDER.slice(0, ORDER.indexOf(section.id))) if (pending.delete(id)) emit(id, sections.get(id));
    if (section.id === 0) {
      output.add([0, ...leb(section.end - section.start)]);
      output.copy(code, section.start, section.end);
    } else if (pending.delete(section.id)) emit(section.id, section);
  }
  for (const id of ORDER) if (pending.delete(id)) emit(id, sections.get(id));
  const { moves } = output;
  return {
    code: output.bytes(),
    original: (offset) => offset - (moves[lastAt(moves, offset)]?.shift ?? 0),
    checkFunction: stoppable ? counts.functions : undefined,
    unknownInstruction: typeof bodies === "number" ? bodies : undefined,
  };
}

function lastAt(moves: readonly { at: number }[], offset: number): number {
  let low = 0;
  let high = moves.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (moves[middle]!.at <= offset) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

function readSections(code: Uint8Array): { all: Section[]; get(id: number): Section | undefined } {
  const all: Section[] = [];
  const reader = new InstructionReader(code, 8);
  while (reader.at < code.length) {
    const id = code[reader.at++]!;
    const size = reader.leb();
    all.push({ id, start: reader.at, end: reader.at + size });
    reader.at += size;
  }
  return { all, get: (id) => all.find((section) => section.id === id) };
}

/** How many of each kind there are, imports included: what is added comes after them. */
class Counts {
  types: number;
  functions: number;
  tables: number;
  globals: number;
  start: number | undefined;

  constructor(code: Uint8Array, sections: { get(id: number): Section | undefined }) {
    const first = (id: number): number => {
      const section = sections.get(id);
      return section === undefined ? 0 : new InstructionReader(code, section.start).leb();
    };
    const imported = importCounts(code, sections.get(SECTION.import));
    this.types = first(SECTION.type);
    this.functions = imported[0]! + first(SECTION.function);
    this.tables = imported[1]! + first(SECTION.table);
    this.globals = imported[3]! + first(SECTION.global);
    this.start = sections.get(SECTION.start) && first(SECTION.start);
  }
}

/** Imported functions, tables, memories, globals, tags. */
function importCounts(code: Uint8Array, section: Section | undefined): number[] {
  const counts = [0, 0, 0, 0, 0];
  if (section === undefined) return counts;
  const reader = new InstructionReader(code, section.start);
  for (let left = reader.leb(); left > 0; left--) {
    for (let i = 0; i < 2; i++) {
      const size = reader.leb();
      reader.at += size;
    }
    const kind = code[reader.at++]!;
    counts[kind]!++;
    if (kind === 1 || kind === 3) {
      const type = code[reader.at++]!;
      if (type === 0x63 || type === 0x64) reader.leb();
    }
    if (kind === 1 || kind === 2) {
      const flags = reader.leb();
      reader.leb();
      if (flags & 1) reader.leb();
    } else {
      if (kind === 4) reader.at++;
      reader.leb();
    }
  }
  return counts;
}

const exported = (name: string, kind: number, index: number): number[] => [...leb(name.length), ...utf8.encode(name), kind, ...leb(index)];

/** What a section gains, entry by entry. */
function additions(id: number, counts: Counts, stoppable: boolean): number[][] {
  const start = id === SECTION.export && counts.start !== undefined ? [exported(START_EXPORT, 0, counts.start)] : [];
  if (!stoppable) return start;
  switch (id) {
    case SECTION.type:
      return [[0x60, 0, 1, 0x7f], [0x60, 0, 0]];
    case SECTION.function:
      return [leb(counts.types + 1)];
    case SECTION.table:
      return [[0x70, 1, 1, 1]];
    case SECTION.global:
      return [[0x7f, 1, 0x41, ...signedLeb(ROUNDS_PER_SLICE), 0x0b]];
    case SECTION.export:
      return [...start, exported(DEADLINE_EXPORT, 1, counts.tables)];
    default:
      return [];
  }
}

function writeSection(output: Output, id: number, body: Output): void {
  output.add([id, ...leb(body.length)]);
  output.append(body);
}

/** A section's vector with more entries at its end. */
function extended(code: Uint8Array, section: Section | undefined, entries: readonly number[][]): Output {
  const body = new Output();
  const reader = new InstructionReader(code, section?.start ?? 0);
  body.add(leb((section === undefined ? 0 : reader.leb()) + entries.length));
  if (section !== undefined) body.copy(code, reader.at, section.end);
  for (const entry of entries) body.add(entry);
  return body;
}

/** The memory section with every maximum lowered to `maxPages`. */
function capped(code: Uint8Array, section: Section, maxPages: number): Output {
  const body = new Output();
  const reader = new InstructionReader(code, section.start);
  const count = reader.leb();
  body.add(leb(count));
  for (let i = 0; i < count; i++) {
    const flags = reader.leb();
    const min = reader.leb();
    const max = Math.min(flags & 1 ? reader.leb() : maxPages, maxPages);
    body.add([flags | 1, ...leb(min), ...leb(Math.max(max, min))]);
  }
  return body;
}

/** The code section with countdowns; the offset of an unknown instruction instead when there is one. */
function rewriteCode(code: Uint8Array, section: Section | undefined, counts: Counts): Output | number {
  const body = new Output();
  const reader = new InstructionReader(code, section?.start ?? 0);
  const functions = section === undefined ? 0 : reader.leb();
  body.add(leb(functions + 1));
  const one = countdown(counts, 1);
  const many = countdown(counts, BULK_ROUNDS);
  for (let i = 0; i < functions; i++) {
    const size = reader.leb();
    const end = reader.at + size;
    const start = reader.at;
    for (let groups = reader.leb(); groups > 0; groups--) {
      reader.leb();
      const type = reader.leb();
      if (type === 0x63 || type === 0x64) reader.leb();
    }
    const entry = reader.at;
    const points: { at: number; bytes: Uint8Array }[] = [];
    let calls = false;
    while (reader.at < end) {
      const at = reader.at;
      const kind = reader.next();
      if (kind === undefined) return at;
      if (kind === "loop") points.push({ at: reader.at, bytes: one });
      else if (kind === "bulk") points.push({ at, bytes: many });
      else if (kind === "call") calls = true;
    }
    if (calls) points.unshift({ at: entry, bytes: one });
    const added = points.reduce((sum, point) => sum + point.bytes.length, 0);
    body.add(leb(size + added));
    let from = start;
    for (const { at, bytes } of points) {
      body.copy(code, from, at);
      body.add(bytes);
      from = at;
    }
    body.copy(code, from, end);
  }
  const check = checkBody(counts);
  body.add([...leb(check.length), ...check]);
  return body;
}

/** `if (--left < 1) check()` */
function countdown({ globals, functions }: Counts, by: number): Uint8Array {
  const left = leb(globals);
  return Uint8Array.from([0x23, ...left, 0x41, ...signedLeb(by), 0x6b, 0x24, ...left, 0x23, ...left, 0x41, 1, 0x48, 0x04, 0x40, 0x10, ...leb(functions), 0x0b]);
}

/** `left = deadline(); if (left == 0) unreachable`: a trap, since exceptions could be caught by the module. */
function checkBody({ globals, types, tables }: Counts): number[] {
  const left = leb(globals);
  return [0, 0x41, 0, 0x11, ...leb(types), ...leb(tables), 0x24, ...left, 0x23, ...left, 0x45, 0x04, 0x40, 0x00, 0x0b, 0x0b];
}

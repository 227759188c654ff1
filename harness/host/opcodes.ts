/**
 * How long WebAssembly instructions are: enough of a decoder to walk over a function's body. Source: the WebAssembly
 * specification, "Binary Format, Instructions", with SIMD, threads, tail calls and both forms of exceptions.
 */

/** What follows an opcode: L a LEB128 number, B a block type, M a memory argument, T a vector of LEB128 and one more, digits: bytes. */
type Immediates = string;

const LOOP = 0x03;
const SIMPLE: readonly (Immediates | undefined)[] = simple();

function simple(): (Immediates | undefined)[] {
  const table: (Immediates | undefined)[] = new Array<Immediates | undefined>(256).fill(undefined);
  const set = (immediates: Immediates, ...codes: number[]) => {
    for (const code of codes) table[code] = immediates;
  };
  const range = (immediates: Immediates, first: number, last: number) => {
    for (let code = first; code <= last; code++) table[code] = immediates;
  };
  set("", 0x00, 0x01, 0x05, 0x0a, 0x0b, 0x0f, 0x19, 0x1a, 0x1b, 0xd1, 0xd3, 0xd4);
  set("B", 0x02, LOOP, 0x04, 0x06);
  set("L", 0x07, 0x08, 0x09, 0x0c, 0x0d, 0x10, 0x12, 0x14, 0x15, 0x18, 0x3f, 0x40, 0x41, 0x42, 0xd0, 0xd2, 0xd5, 0xd6);
  set("T", 0x0e);
  set("LL", 0x11, 0x13);
  range("L", 0x20, 0x26);
  range("M", 0x28, 0x3e);
  set("4", 0x43);
  set("8", 0x44);
  range("", 0x45, 0xc4);
  return table;
}

/** 0xfc: saturating conversions, bulk memory, tables. */
const MISC: readonly Immediates[] = ["", "", "", "", "", "", "", "", "LL", "L", "LL", "L", "LL", "L", "LL", "L", "L", "L"];
/** Of those, the ones that work through memory or a table and so can take long by themselves. */
const BULK: ReadonlySet<number> = new Set([8, 10, 11, 12, 14, 17]);

function simd(code: number): Immediates {
  if (code <= 11 || code === 92 || code === 93) return "M";
  if (code === 12 || code === 13) return "88"; // 16 bytes
  if (code >= 21 && code <= 34) return "1";
  return code >= 84 && code <= 91 ? "M1" : "";
}

/** What an instruction is to those who count work. */
export type InstructionKind = "loop" | "call" | "bulk" | "other";

/** Walks over the instructions of one body. */
export class InstructionReader {
  at: number;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  leb(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++]!;
      value += (byte & 0x7f) * scale;
      if (!(byte & 0x80)) return value;
    }
  }

  /** Steps over one instruction; undefined: it is unknown. Only for modules that the engine has validated. */
  next(): InstructionKind | undefined {
    const code = this.bytes[this.at++]!;
    if (code === 0xfc) {
      const sub = this.leb();
      const known = MISC[sub];
      if (known === undefined) return undefined;
      this.skip(known);
      return BULK.has(sub) ? "bulk" : "other";
    }
    if (code === 0xfd) this.skip(simd(this.leb()));
    else if (code === 0xfe) this.skip(this.leb() === 3 ? "1" : "M");
    else if (code === 0x1c) for (let left = this.leb(); left > 0; left--) this.leb();
    else if (code === 0x1f) this.skipTryTable();
    else {
      const known = SIMPLE[code];
      if (known === undefined) return undefined;
      this.skip(known);
    }
    if (code === LOOP) return "loop";
    return code >= 0x10 && code <= 0x15 ? "call" : "other";
  }

  private skip(immediates: Immediates): void {
    for (const one of immediates) {
      if (one === "L") this.leb();
      else if (one === "B") this.blockType();
      else if (one === "M") {
        if (this.leb() & 0x40) this.leb(); // which memory
        this.leb();
      } else if (one === "T") for (let left = this.leb() + 1; left > 0; left--) this.leb();
      else this.at += Number(one);
    }
  }

  /** Empty, a value type (references to a type have a second part), or the number of a type. */
  private blockType(): void {
    const code = this.leb();
    if (code === 0x63 || code === 0x64) this.leb();
  }

  private skipTryTable(): void {
    this.blockType();
    for (let left = this.leb(); left > 0; left--) {
      const kind = this.bytes[this.at++]!;
      if (kind < 2) this.leb(); // the tag
      this.leb();
    }
  }
}

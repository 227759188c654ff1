/** Walks through a function's instructions. https://webassembly.github.io/spec/core/appendix/index-instructions.html */
import { fail } from "../errors.ts";

/** Opcodes that end a straight run of instructions: what follows may run without what went before, or the other way round. */
const BRANCHING = new Set([
  0x00, 0x02, 0x03, 0x04, 0x05, 0x06, 0x07, 0x08, 0x09, 0x0a, 0x0b, 0x0c, 0x0d, 0x0e, 0x0f, // control
  0x10, 0x11, 0x12, 0x13, 0x14, 0x15, 0x18, 0x19, 0x1f, // calls, which may not come back
]);

export interface Instruction {
  /** Offset in the module's file. */
  at: number;
  /** Whether a run ends with it. */
  branches: boolean;
}

/**
 * A function's instructions, in order, the last `end` excepted.
 *
 * @param start of the body, as the code section has it: its locals come first
 * @throws SelvedgeError `coverage-opcode` for an instruction that isn't known
 */
export function* instructionsIn(bytes: Uint8Array, start: number, end: number): Generator<Instruction> {
  const cursor = new Cursor(bytes, start);
  for (let groups = cursor.u32(); groups > 0; groups--) {
    cursor.u32();
    cursor.valueType();
  }
  while (cursor.at < end - 1) {
    const at = cursor.at;
    const opcode = bytes[cursor.at++]!;
    cursor.skipImmediates(opcode, at);
    yield { at, branches: BRANCHING.has(opcode) };
  }
}

class Cursor {
  constructor(readonly bytes: Uint8Array, public at: number) {}

  u32(): number {
    let value = 0;
    for (let scale = 1; ; scale *= 128) {
      const byte = this.bytes[this.at++]!;
      value += (byte & 127) * scale;
      if (byte < 128) return value;
    }
  }

  /** Any LEB128 number, signed ones too. */
  leb(count = 1): void {
    for (; count > 0; count--) while (this.bytes[this.at++]! >= 128);
  }

  valueType(): void {
    const code = this.bytes[this.at++]!;
    if (code === 0x63 || code === 0x64) this.leb();
  }

  private memoryArgument(): void {
    const alignment = this.u32();
    if (alignment & 0x40) this.leb(); // of another memory than the first
    this.leb();
  }

  private blockType(): void {
    const code = this.bytes[this.at]!;
    if (code === 0x63 || code === 0x64) this.valueType();
    else this.leb();
  }

  skipImmediates(opcode: number, at: number): void {
    if (opcode >= 0x45 && opcode <= 0xc4) return; // numeric
    if (opcode >= 0x28 && opcode <= 0x3e) return this.memoryArgument();
    switch (opcode) {
      case 0x00: case 0x01: case 0x05: case 0x0a: case 0x0b: case 0x0f: case 0x19: case 0x1a: case 0x1b: case 0xd1: case 0xd3: case 0xd4:
        return;
      case 0x02: case 0x03: case 0x04: case 0x06: // block, loop, if, try
        return this.blockType();
      case 0x07: case 0x08: case 0x09: case 0x0c: case 0x0d: case 0x10: case 0x12: case 0x14: case 0x15: case 0x18:
      case 0x20: case 0x21: case 0x22: case 0x23: case 0x24: case 0x25: case 0x26:
      case 0x3f: case 0x40: case 0x41: case 0x42: case 0xd0: case 0xd2: case 0xd5: case 0xd6:
        return this.leb();
      case 0x11: case 0x13: // call_indirect
        return this.leb(2);
      case 0x0e: // br_table
        return this.leb(this.u32() + 1);
      case 0x1c: // select with types
        for (let count = this.u32(); count > 0; count--) this.valueType();
        return;
      case 0x1f: // try_table
        this.blockType();
        for (let count = this.u32(); count > 0; count--) this.leb(this.bytes[this.at++]! < 2 ? 2 : 1);
        return;
      case 0x43:
        this.at += 4;
        return;
      case 0x44:
        this.at += 8;
        return;
      case 0xfc:
        return this.bulk(this.u32(), at);
      case 0xfd:
        return this.vector(this.u32());
      case 0xfe:
        return this.u32() === 3 ? void this.at++ : this.memoryArgument(); // atomics
      default:
        return unknown(opcode, at);
    }
  }

  private bulk(operation: number, at: number): void {
    if (operation <= 7) return; // saturating conversions
    if (operation <= 17) return this.leb([9, 11, 13, 15, 16, 17].includes(operation) ? 1 : 2);
    unknown(operation, at);
  }

  private vector(operation: number): void {
    if (operation <= 11 || operation === 92 || operation === 93) return this.memoryArgument();
    if (operation === 12 || operation === 13) this.at += 16;
    else if (operation >= 21 && operation <= 34) this.at++;
    else if (operation >= 84 && operation <= 91) {
      this.memoryArgument();
      this.at++;
    }
  }
}

function unknown(operation: number, at: number): never {
  fail("coverage-opcode", `instruction 0x${operation.toString(16)} at byte ${at} isn't known here, so this module's lines can't be counted`, { fix: "build without the feature (garbage collected types, stack switching), or leave the module out of --coverage" });
}

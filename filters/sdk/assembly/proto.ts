/** Just enough of the protobuf wire format (varint, eight-byte and length-delimited fields) for messages to and from the host. */
import { View, address, size, view } from "./bytes";

export class ProtoWriter {
  private buffer: usize = heap.alloc(256);
  private room: u32 = 256;
  private used: u32 = 0;

  varint(field: u32, value: u64): this {
    this.reserve(20);
    this.putVarint(field << 3);
    this.putVarint(value);
    return this;
  }

  bytes(field: u32, value: View): this {
    const n = size(value);
    this.reserve(n + 20);
    this.putVarint((field << 3) | 2);
    this.putVarint(n);
    memory.copy(this.buffer + this.used, address(value), n);
    this.used += n;
    return this;
  }

  /** The message, in memory of its own until the next {@link finish} of any writer. */
  finish(): View {
    if (lastMessage != 0) heap.free(lastMessage);
    lastMessage = this.buffer;
    this.buffer = 0;
    return view(lastMessage, this.used);
  }

  private reserve(more: u32): void {
    if (this.used + more <= this.room) return;
    this.room = max<u32>(this.room * 2, this.used + more);
    this.buffer = heap.realloc(this.buffer, this.room);
  }

  private putVarint(value: u64): void {
    while (value > 127) {
      store<u8>(this.buffer + this.used++, <u8>(value | 128));
      value >>= 7;
    }
    store<u8>(this.buffer + this.used++, <u8>value);
  }
}

let lastMessage: usize = 0;

/** Walks over a message's fields; anything malformed ends the walk with {@link valid} false. */
export class ProtoReader {
  valid: bool = true;
  field: u32 = 0;
  /** Wire type: 0 varint, 1 eight bytes, 2 length-delimited; others are refused. */
  wire: u32 = 0;
  /** Value of a varint field, or the eight bytes. */
  varint: u64 = 0;
  /** Value of a length-delimited field. */
  bytes: View = 0;
  private at: usize;
  private readonly end: usize;

  constructor(message: View) {
    this.at = address(message);
    this.end = this.at + size(message);
  }

  next(): bool {
    if (!this.valid || this.at >= this.end) return false;
    const tag = this.takeVarint();
    this.field = <u32>(tag >> 3);
    const wire = <u32>tag & 7;
    this.wire = wire;
    if (wire == 0) {
      this.varint = this.takeVarint();
    } else if (wire == 1) {
      if (this.end - this.at < 8) this.valid = false;
      else {
        this.varint = load<u64>(this.at);
        this.at += 8;
      }
    } else if (wire == 2) {
      const n = this.takeVarint();
      if (n > <u64>(this.end - this.at)) this.valid = false;
      else {
        this.bytes = view(this.at, <u32>n);
        this.at += <usize>n;
      }
    } else {
      this.valid = false;
    }
    return this.valid;
  }

  private takeVarint(): u64 {
    let value: u64 = 0;
    for (let shift: u32 = 0; shift < 64; shift += 7) {
      if (this.at >= this.end) break;
      const byte = load<u8>(this.at++);
      value |= (<u64>(byte & 127)) << shift;
      if (byte < 128) return value;
    }
    this.valid = false;
    return 0;
  }
}

/**
 * A plugin configuration written as `google.protobuf.Struct` reaches the module as that message's bytes (measured on Envoy
 * 1.40, though wasm.proto says JSON). This makes JSON of it again. Pure. Source: google/protobuf/struct.proto.
 */
import { ABSENT, View, address, size, view } from "../bytes";
import { allocateForCallback } from "../memory";
import { ProtoReader } from "../proto";

/** As deep as the JSON reader goes. */
const MAX_DEPTH = 64;
const HEX = memory.data<u8>([48, 49, 50, 51, 52, 53, 54, 55, 56, 57, 97, 98, 99, 100, 101, 102]);

/** The JSON in a configuration: itself, or made of a Struct. Lives as long as the callback. */
export function jsonOf(configuration: View): View {
  // A Struct starts with the tag of its first member, which in JSON would be white space: so it must fit entirely.
  if (configuration == ABSENT || size(configuration) < 2 || load<u8>(address(configuration)) != 10) return configuration;
  const writer = new Writer();
  const fits = writer.members(configuration, 0);
  return writer.finish(fits, configuration);
}

class Writer {
  private buffer: usize = heap.alloc(1024);
  private room: u32 = 1024;
  private used: u32 = 0;

  finish(fits: bool, otherwise: View): View {
    let result = otherwise;
    if (fits) {
      const at = allocateForCallback(this.used);
      memory.copy(at, this.buffer, this.used);
      result = view(at, this.used);
    }
    heap.free(this.buffer);
    return result;
  }

  /** `Struct`: a map of members, each an entry of key and value. */
  members(struct: View, depth: i32): bool {
    if (depth == MAX_DEPTH) return false;
    const reader = new ProtoReader(struct);
    this.put(123);
    let first = true;
    while (reader.next()) {
      if (reader.field != 1 || reader.wire != 2) return false;
      if (!first) this.put(44);
      first = false;
      if (!this.member(reader.bytes, depth)) return false;
    }
    this.put(125);
    return reader.valid;
  }

  private member(entry: View, depth: i32): bool {
    const reader = new ProtoReader(entry);
    let key: View = view(0, 0);
    let value: View = view(0, 0);
    while (reader.next()) {
      if (reader.wire != 2) return false;
      if (reader.field == 1) key = reader.bytes;
      else if (reader.field == 2) value = reader.bytes;
      else return false;
    }
    this.text(key);
    this.put(58);
    return reader.valid && this.value(value, depth);
  }

  private value(message: View, depth: i32): bool {
    const reader = new ProtoReader(message);
    if (!reader.next()) return false;
    const wire = reader.wire;
    if (reader.field == 1 && wire == 0) this.ascii("null");
    else if (reader.field == 2 && wire == 1) this.number(reinterpret<f64>(reader.varint));
    else if (reader.field == 3 && wire == 2) this.text(reader.bytes);
    else if (reader.field == 4 && wire == 0) this.ascii(reader.varint != 0 ? "true" : "false");
    else if (reader.field == 5 && wire == 2) return this.members(reader.bytes, depth + 1) && !reader.next() && reader.valid;
    else if (reader.field == 6 && wire == 2) return this.elements(reader.bytes, depth + 1) && !reader.next() && reader.valid;
    else return false;
    return !reader.next() && reader.valid;
  }

  private elements(list: View, depth: i32): bool {
    if (depth == MAX_DEPTH) return false;
    const reader = new ProtoReader(list);
    this.put(91);
    let first = true;
    while (reader.next()) {
      if (reader.field != 1 || reader.wire != 2) return false;
      if (!first) this.put(44);
      first = false;
      if (!this.value(reader.bytes, depth)) return false;
    }
    this.put(93);
    return reader.valid;
  }

  /** Whole numbers exactly, others to six decimals: configurations have no finer ones. */
  private number(value: f64): void {
    if (!(Math.abs(value) < 9007199254740992)) return this.ascii("1e999"); // refused by whoever reads it as a number
    if (value < 0) this.put(45);
    const magnitude = Math.abs(value);
    let whole = <u64>magnitude;
    let millionths = <u64>Math.round((magnitude - <f64>whole) * 1000000);
    if (millionths == 1000000) {
      whole++;
      millionths = 0;
    }
    this.digits(whole, 1);
    if (millionths == 0) return;
    this.put(46);
    this.digits(millionths, 6);
  }

  private digits(value: u64, least: u32): void {
    let divisor: u64 = 1;
    for (let n: u32 = 1; n < least || value / divisor >= 10; n++) divisor *= 10;
    for (; divisor > 0; divisor /= 10) this.put(<u8>(48 + (value / divisor) % 10));
  }

  private text(value: View): void {
    this.put(34);
    const end = address(value) + size(value);
    for (let at = address(value); at < end; at++) {
      const c = load<u8>(at);
      if (c == 34 || c == 92) this.put(92);
      if (c < 32) {
        this.ascii("\\u00");
        this.put(load<u8>(HEX + (c >> 4)));
        this.put(load<u8>(HEX + (c & 15)));
      } else this.put(c);
    }
    this.put(34);
  }

  private ascii(text: string): void {
    for (let i = 0; i < text.length; i++) this.put(<u8>text.charCodeAt(i));
  }

  private put(byte: u8): void {
    if (this.used == this.room) {
      this.room *= 2;
      this.buffer = heap.realloc(this.buffer, this.room);
    }
    store<u8>(this.buffer + this.used++, byte);
  }
}

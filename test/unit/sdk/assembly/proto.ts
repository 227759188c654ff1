import { ABSENT } from "../../../../filters/sdk/assembly/bytes";
import { ProtoReader, ProtoWriter } from "../../../../filters/sdk/assembly/proto";
import { atTheEnd, copy, over } from "./support";

let writer: ProtoWriter = new ProtoWriter();

export function begin(): void {
  writer = new ProtoWriter();
}

export function varint(field: u32, value: u64): void {
  writer.varint(field, value);
}

export function bytes(field: u32, value: ArrayBuffer): void {
  writer.bytes(field, over(value));
}

export function finish(): ArrayBuffer {
  return copy(writer.finish());
}

/** `field=varint` and `field:hex` of all fields, then `!` where the message is malformed. */
export function read(message: ArrayBuffer): string {
  const reader = new ProtoReader(atTheEnd(message));
  let text = "";
  for (;;) {
    reader.bytes = ABSENT;
    if (!reader.next()) return reader.valid ? text : text + "!";
    text += reader.field.toString();
    if (reader.bytes == ABSENT) text += "=" + reader.varint.toString() + ";";
    else text += ":" + hex(copy(reader.bytes)) + ";";
  }
  return text; // never reached
}

function hex(buffer: ArrayBuffer): string {
  let text = "";
  for (let i = 0; i < buffer.byteLength; i++) text += (<i32>load<u8>(changetype<usize>(buffer) + i) | 256).toString(16).substring(1);
  return text;
}

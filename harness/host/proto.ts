/**
 * Just enough of the protocol buffer wire format: what foreign functions take, and what properties that are messages
 * read as. https://protobuf.dev/programming-guides/encoding/
 */

/** One field as parsed: varints as bigint, everything else as its bytes. */
export interface ProtoField {
  number: number;
  wire: number;
  varint: bigint;
  bytes: Uint8Array;
}

/** Parses a message; undefined when it is malformed. */
export function parseProto(data: Uint8Array): ProtoField[] | undefined {
  const fields: ProtoField[] = [];
  let at = 0;
  const varint = (): bigint | undefined => {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      if (at >= data.length) return undefined;
      const byte = data[at++]!;
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    return undefined;
  };
  while (at < data.length) {
    const tag = varint();
    if (tag === undefined || tag > 0xffffffffn) return undefined;
    const wire = Number(tag & 7n);
    const field: ProtoField = { number: Number(tag >> 3n), wire, varint: 0n, bytes: data.subarray(at, at) };
    if (field.number === 0) return undefined;
    if (wire === 0) {
      const value = varint();
      if (value === undefined) return undefined;
      field.varint = value;
    } else {
      const announced = wire === 2 ? varint() : wire === 1 ? 8n : wire === 5 ? 4n : undefined;
      if (announced === undefined || announced > BigInt(data.length - at)) return undefined;
      field.bytes = data.subarray(at, at + Number(announced));
      at += Number(announced);
    }
    fields.push(field);
  }
  return fields;
}

/** The last value of a length-delimited field (the one that counts); empty when absent. */
export function protoBytes(fields: readonly ProtoField[], number: number): Uint8Array {
  return fields.findLast((field) => field.number === number && field.wire === 2)?.bytes ?? new Uint8Array(0);
}

export function protoText(fields: readonly ProtoField[], number: number): string {
  return Buffer.from(protoBytes(fields, number)).toString("utf8");
}

export function protoNumber(fields: readonly ProtoField[], number: number): number {
  return Number(fields.findLast((field) => field.number === number && field.wire === 0)?.varint ?? 0n);
}

/** Writes messages field by field; defaults are left out, as proto3 does. */
export class ProtoWriter {
  private readonly parts: number[] = [];

  varint(number: number, value: number | bigint): this {
    if (BigInt(value) === 0n) return this;
    return this.tag(number, 0).raw(value);
  }

  bool(number: number, value: boolean): this {
    return value ? this.varint(number, 1) : this;
  }

  double(number: number, value: number): this {
    this.tag(number, 1);
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(value);
    this.parts.push(...bytes);
    return this;
  }

  /** Text or bytes; empty ones are left out unless `always`. */
  bytes(number: number, value: string | Uint8Array, always = false): this {
    const data = typeof value === "string" ? Buffer.from(value, "utf8") : value;
    if (data.length === 0 && !always) return this;
    this.tag(number, 2).raw(data.length);
    for (const byte of data) this.parts.push(byte);
    return this;
  }

  finish(): Uint8Array {
    return Uint8Array.from(this.parts);
  }

  private tag(number: number, wire: number): this {
    return this.raw(number * 8 + wire);
  }

  private raw(value: number | bigint): this {
    let rest = BigInt.asUintN(64, BigInt(value));
    do {
      const low = Number(rest & 0x7fn);
      rest >>= 7n;
      this.parts.push(rest > 0n ? low | 0x80 : low);
    } while (rest > 0n);
    return this;
  }
}

/** JSON as `google.protobuf.Struct`, `Value` and `ListValue` hold it. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json };

export function encodeStruct(object: { readonly [key: string]: Json }): Uint8Array {
  const writer = new ProtoWriter();
  for (const [key, value] of Object.entries(object)) {
    writer.bytes(1, new ProtoWriter().bytes(1, key).bytes(2, encodeValue(value), true).finish(), true);
  }
  return writer.finish();
}

function encodeValue(value: Json): Uint8Array {
  const writer = new ProtoWriter();
  // A oneof field is written even when it holds the default.
  if (value === null) return Uint8Array.of(0x08, 0x00);
  if (typeof value === "number") return writer.double(2, value).finish();
  if (typeof value === "string") return writer.bytes(3, value, true).finish();
  if (typeof value === "boolean") return Uint8Array.of(0x20, value ? 1 : 0);
  if (Array.isArray(value)) {
    const list = new ProtoWriter();
    for (const item of value as readonly Json[]) list.bytes(1, encodeValue(item), true);
    return writer.bytes(6, list.finish(), true).finish();
  }
  return writer.bytes(5, encodeStruct(value as { readonly [key: string]: Json }), true).finish();
}

/** `envoy.config.core.v3.Metadata`: filter_metadata is field 1. */
export function encodeMetadata(metadata: { readonly [namespace: string]: Json }): Uint8Array {
  const writer = new ProtoWriter();
  for (const [key, value] of Object.entries(metadata)) {
    writer.bytes(1, new ProtoWriter().bytes(1, key).bytes(2, encodeStruct(value as { readonly [key: string]: Json }), true).finish(), true);
  }
  return writer.finish();
}

import { byteStringToBytes, bytesToByteString, EMPTY_BYTES, toByteString } from "./bytes.ts";
import { encodePairs } from "./pairs.ts";
import { encodeMetadata, type Json } from "./proto.ts";

/**
 * A property value: what CEL calls a value, and how Envoy hands it to a module. Numbers, durations and timestamps
 * are 8 bytes little endian, text and bytes are raw, maps and lists are pairs, messages are protocol buffers.
 */
export type Value =
  | { kind: "string"; text: string }
  | { kind: "bytes"; bytes: Uint8Array }
  | { kind: "int" | "uint" | "duration" | "timestamp"; value: bigint }
  | { kind: "double"; value: number }
  | { kind: "bool"; value: boolean }
  | { kind: "null" }
  | MapValue
  | ListValue
  | MessageValue;

export interface MapValue {
  kind: "map";
  get(key: string): Value | undefined;
  /** Undefined: the map cannot be listed, so it cannot be handed out as a whole. */
  entries?: () => (readonly [string, Value])[];
}
export interface ListValue {
  kind: "list";
  items: readonly Value[];
}
export interface MessageValue {
  kind: "message";
  /** A field by its proto name; undefined: the message has no such field. */
  field(name: string): Value | undefined;
  encode(): Uint8Array;
}

/** Byte string as a string value. */
export const stringOf = (text: string): Value => ({ kind: "string", text });
export const bytesOf = (bytes: Uint8Array): Value => ({ kind: "bytes", bytes });
export const intOf = (value: number | bigint): Value => ({ kind: "int", value: BigInt(value) });
export const uintOf = (value: number | bigint): Value => ({ kind: "uint", value: BigInt(value) });
export const doubleOf = (value: number): Value => ({ kind: "double", value });
export const boolOf = (value: boolean): Value => ({ kind: "bool", value });
/** Nanoseconds. */
export const durationOf = (ns: bigint): Value => ({ kind: "duration", value: ns });
/** Nanoseconds since the Unix epoch. */
export const timestampOf = (ns: bigint): Value => ({ kind: "timestamp", value: ns });

/** The value as a module receives it: a byte string (cheap for text) or bytes; undefined: it has no such form. */
export function serialize(value: Value): string | Uint8Array | undefined {
  switch (value.kind) {
    case "string":
      return value.text;
    case "bytes":
      return value.bytes;
    case "bool":
      return Uint8Array.of(value.value ? 1 : 0);
    case "double": {
      const bytes = Buffer.alloc(8);
      bytes.writeDoubleLE(value.value);
      return bytes;
    }
    case "int":
    case "uint":
    case "duration":
    case "timestamp": {
      const bytes = Buffer.alloc(8);
      bytes.writeBigUInt64LE(BigInt.asUintN(64, value.value));
      return bytes;
    }
    case "message":
      return value.encode();
    case "map": {
      const entries = value.entries?.();
      return entries && serializePairs(entries);
    }
    case "list":
      return serializePairs(value.items.map((item) => [item, undefined] as const));
    case "null":
      return undefined;
  }
}

/** Entries as pairs; lists are pairs whose second half is empty. Undefined: one has no such form. */
export function serializePairs(entries: readonly (readonly [string | Value, Value | undefined])[]): Uint8Array | undefined {
  const pairs: [string, string][] = [];
  for (const [key, value] of entries) {
    const left = typeof key === "string" ? key : serialize(key);
    const right = value === undefined ? "" : serialize(value);
    if (left === undefined || right === undefined) return undefined;
    pairs.push([asText(left), asText(right)]);
  }
  return encodePairs(pairs);
}

const asText = (data: string | Uint8Array): string => (typeof data === "string" ? data : bytesToByteString(data));

/** What is inside a value: a map's entry, a message's field, a list's item. */
export function member(value: Value, key: string): Value | undefined {
  if (value.kind === "map") return value.get(key);
  if (value.kind === "message") return value.field(key);
  if (value.kind === "list") return /^\s*[+-]?\d+\s*$/.test(key) && Number(key) >= 0 ? value.items[Number(key)] : undefined;
  return undefined;
}

/** JSON (a `google.protobuf.Struct`) as CEL sees it: numbers are doubles, objects are maps. */
export function jsonValue(json: Json): Value {
  if (json === null) return { kind: "null" };
  if (typeof json === "string") return stringOf(toByteString(json));
  if (typeof json === "number") return doubleOf(json);
  if (typeof json === "boolean") return boolOf(json);
  if (Array.isArray(json)) return { kind: "list", items: (json as readonly Json[]).map(jsonValue) };
  const object = json as { readonly [key: string]: Json };
  return {
    kind: "map",
    get: (key) => (Object.hasOwn(object, key) ? jsonValue(object[key]!) : undefined),
    entries: () => Object.entries(object).map(([key, value]) => [toByteString(key), jsonValue(value)] as const),
  };
}

/** `envoy.config.core.v3.Metadata` by namespace. */
export function metadataValue(metadata: { readonly [namespace: string]: Json }): Value {
  return {
    kind: "message",
    field: (name) => (name === "filter_metadata" ? jsonValue(metadata) : name === "typed_filter_metadata" ? jsonValue({}) : undefined),
    encode: () => encodeMetadata(metadata),
  };
}

/** A message with given fields, encoded by a function. */
export function messageValue(fields: Readonly<Record<string, () => Value>>, encode: () => Uint8Array): Value {
  return { kind: "message", field: (name) => (Object.hasOwn(fields, name) ? fields[name]!() : undefined), encode };
}

/** How tests write property values: text, whole numbers (int64), other numbers (double), booleans, bytes, JSON objects, or a Value. */
export type PropertyInit = string | number | bigint | boolean | Uint8Array | { readonly [key: string]: Json } | Value;

/** A test's value as a property value. */
export function propertyValue(init: PropertyInit): Value {
  if (typeof init === "string") return stringOf(toByteString(init));
  if (typeof init === "number") return Number.isInteger(init) ? intOf(init) : doubleOf(init);
  if (typeof init === "bigint") return intOf(init);
  if (typeof init === "boolean") return boolOf(init);
  if (init instanceof Uint8Array) return bytesOf(init);
  if ("kind" in init && typeof init.kind === "string" && VALUE_KINDS.has(init.kind)) return init as Value;
  return jsonValue(init as { readonly [key: string]: Json });
}

const VALUE_KINDS: ReadonlySet<string> = new Set(["string", "bytes", "int", "uint", "duration", "timestamp", "double", "bool", "null", "map", "list", "message"]);

/** A serialised property back as bytes; for those who compare. */
export function serializedBytes(value: Value): Uint8Array {
  const data = serialize(value);
  return data === undefined ? EMPTY_BYTES : typeof data === "string" ? byteStringToBytes(data) : data;
}

import { celList, celMap, celUint, isCelList, isCelMap, isCelType, isCelUint, type CelInput, type CelMap, type CelValue } from "@bufbuild/cel";
import { create, toBinary } from "@bufbuild/protobuf";
import type { ReflectMessage } from "@bufbuild/protobuf/reflect";
import { DurationSchema, TimestampSchema, type Duration, type Timestamp } from "@bufbuild/protobuf/wkt";
import { fromByteString, toByteString } from "./bytes.ts";
import { boolOf, bytesOf, doubleOf, durationOf, intOf, serializePairs, stringOf, timestampOf, uintOf, type Value } from "./values.ts";

/** Maps that were made of attributes: what comes back as a whole is handed over as the attribute it was. */
const origins = new WeakMap<CelMap, Value>();

/** An attribute as CEL sees it. Maps are read when they are asked. */
export function toCel(value: Value): CelInput {
  switch (value.kind) {
    case "string":
      return fromByteString(value.text);
    case "bytes":
      return value.bytes;
    case "int":
      return value.value;
    case "uint":
      return celUint(value.value);
    case "double":
    case "bool":
      return value.value;
    case "null":
      return null;
    case "duration":
      return create(DurationSchema, { seconds: value.value / NS, nanos: Number(value.value % NS) });
    case "timestamp":
      return create(TimestampSchema, { seconds: floorDivide(value.value), nanos: Number(BigInt.asUintN(64, value.value - floorDivide(value.value) * NS)) });
    case "list":
      return celList(value.items.map(toCel));
    case "map":
    case "message": {
      const map = celMap(new AttributeMap(value));
      origins.set(map, value);
      return map;
    }
  }
}

const NS = 1_000_000_000n;
const floorDivide = (ns: bigint): bigint => (ns < 0n && ns % NS !== 0n ? ns / NS - 1n : ns / NS);

/** A map or message of attributes as a JavaScript map. */
class AttributeMap implements ReadonlyMap<string, CelInput> {
  private readonly value: Value & { kind: "map" | "message" };

  constructor(value: Value & { kind: "map" | "message" }) {
    this.value = value;
  }

  get(key: unknown): CelInput | undefined {
    if (typeof key !== "string") return undefined;
    const found = this.value.kind === "map" ? this.value.get(toByteString(key)) : this.value.field(key);
    return found && toCel(found);
  }

  has(key: unknown): boolean {
    return this.get(key) !== undefined;
  }

  get size(): number {
    return this.listed().length;
  }

  private listed(): (readonly [string, Value])[] {
    return (this.value.kind === "map" ? this.value.entries?.() : undefined) ?? [];
  }

  *entries(): MapIterator<[string, CelInput]> {
    for (const [key, value] of this.listed()) yield [fromByteString(key), toCel(value)];
  }

  *keys(): MapIterator<string> {
    for (const [key] of this.entries()) yield key;
  }

  *values(): MapIterator<CelInput> {
    for (const [, value] of this.entries()) yield value;
  }

  [Symbol.iterator](): MapIterator<[string, CelInput]> {
    return this.entries();
  }

  forEach(visit: (value: CelInput, key: string, map: ReadonlyMap<string, CelInput>) => void): void {
    for (const [key, value] of this.entries()) visit(value, key, this);
  }
}

/** A result as a value; undefined: it has no form that could be handed over (a type). */
export function fromCel(result: CelValue): Value | undefined {
  if (typeof result === "string") return stringOf(toByteString(result));
  if (typeof result === "bigint") return intOf(result);
  if (typeof result === "number") return doubleOf(result);
  if (typeof result === "boolean") return boolOf(result);
  if (result === null) return { kind: "null" };
  if (result instanceof Uint8Array) return bytesOf(result);
  if (isCelUint(result)) return uintOf(result.value);
  if (isCelType(result)) return undefined;
  if (isCelList(result)) return collect([...result].map((item) => [item, undefined] as const));
  if (isCelMap(result)) return origins.get(result) ?? collect([...result.entries()]);
  const { desc, message } = result as ReflectMessage;
  if (desc.typeName === DurationSchema.typeName) return durationOf(nanoseconds(message as Duration));
  if (desc.typeName === TimestampSchema.typeName) return timestampOf(nanoseconds(message as Timestamp));
  return bytesOf(toBinary(desc, message));
}

/** As much as 64 bits hold. */
function nanoseconds({ seconds, nanos }: Duration | Timestamp): bigint {
  const exact = seconds * NS + BigInt(nanos);
  return BigInt.asIntN(64, exact) === exact ? exact : exact < 0n ? -(2n ** 63n) : 2n ** 63n - 1n;
}

/** Entries as the bytes that are handed over. */
function collect(entries: readonly (readonly [CelValue, CelValue | undefined])[]): Value | undefined {
  const converted: [Value, Value | undefined][] = [];
  for (const [left, right] of entries) {
    const values = [fromCel(left), right === undefined ? undefined : fromCel(right)] as const;
    if (values[0] === undefined || (right !== undefined && values[1] === undefined)) return undefined;
    converted.push([values[0], values[1]]);
  }
  const bytes = serializePairs(converted);
  return bytes && bytesOf(bytes);
}

/** The attribute that a map was made of; undefined: an expression made it. */
export const originOf = (map: CelMap): Value | undefined => origins.get(map);

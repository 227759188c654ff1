import { ABSENT, View, address, size, toString } from "../../../../filters/sdk/assembly/bytes";
import { JsonKind, JsonReader } from "../../../../filters/sdk/assembly/json/reader";
import { enter, leave } from "../../../../filters/sdk/assembly/memory";
import { utf8 } from "../../../../filters/sdk/assembly/bytes";
import { atTheEnd, over } from "./support";

/** Reads over a whole document; the error, or nothing. */
export function check(text: ArrayBuffer): string {
  enter();
  const reader = new JsonReader(atTheEnd(text));
  reader.skip();
  reader.finish();
  const error = toString(reader.error);
  leave();
  return error;
}

/** The same document with hexadecimal strings and the bits of its numbers, or the error. */
export function render(text: ArrayBuffer): string {
  enter();
  const reader = new JsonReader(over(text));
  const rendered = value(reader);
  reader.finish();
  const result = reader.ok ? rendered : toString(reader.error);
  leave();
  return result;
}

function value(reader: JsonReader): string {
  let text = "";
  switch (reader.kind()) {
    case JsonKind.Object:
      reader.beginObject();
      while (reader.nextKey()) text += hex(reader.key) + ":" + value(reader) + ";";
      return "{" + text + "}";
    case JsonKind.Array:
      reader.beginArray();
      while (reader.nextElement()) text += reader.index.toString() + ":" + value(reader) + ";";
      return "[" + text + "]";
    case JsonKind.String:
      return "s" + hex(reader.string());
    case JsonKind.Number:
      return "n" + reinterpret<u64>(reader.number()).toString(16);
    case JsonKind.Boolean:
      return reader.boolean() ? "true" : "false";
    default:
      if (!reader.optionalNull()) reader.fail(utf8("a value"));
      return "null";
  }
}

function hex(bytes: View): string {
  if (bytes == ABSENT) return "absent";
  let text = "";
  for (let i: u32 = 0; i < size(bytes); i++) text += (<i32>load<u8>(address(bytes) + i) | 256).toString(16).substring(1);
  return text;
}

/** A number as its bits; what isn't one as NaN. */
export function number(text: ArrayBuffer): u64 {
  return reinterpret<u64>(new JsonReader(over(text)).number());
}

/** Of a configuration that isn't there. */
export function nothing(): string {
  const reader = new JsonReader(ABSENT);
  reader.beginObject(utf8("the configuration"));
  return toString(reader.error);
}

export function integer(text: ArrayBuffer, min: i64, max: i64): string {
  const reader = new JsonReader(over(text));
  const value = reader.integer(min, max);
  return reader.ok ? value.toString() : toString(reader.error);
}

const NAME = utf8("name");
const ARMS = utf8("arms");
const WEIGHT = utf8("weight");
const SHARED = utf8("shared");

/** A consumer as a filter has them: `{"name": string, "arms": [{"name", "weight": 0–100}], "shared": bool | null}`. */
export function configure(text: ArrayBuffer): string {
  enter();
  const reader = new JsonReader(over(text));
  let summary = "";
  if (reader.beginObject(utf8("the configuration"))) {
    while (reader.nextKey()) {
      if (reader.field(NAME, 0)) summary += " name=" + hex(reader.string(utf8("the rollout's name")));
      else if (reader.field(ARMS, 1)) summary += arms(reader);
      else if (reader.field(SHARED, 2)) summary += reader.optionalNull() ? " null" : reader.boolean() ? " shared" : " own";
      else reader.unknownField(utf8("name, arms, shared"));
    }
  }
  const result = reader.finish() ? "ok" + summary : toString(reader.error);
  leave();
  return result;
}

function arms(reader: JsonReader): string {
  let summary = "";
  if (!reader.beginArray(utf8("a list of arms"))) return summary;
  while (reader.nextElement()) {
    if (!reader.beginObject(utf8("an arm"))) continue;
    while (reader.nextKey()) {
      if (reader.field(NAME, 0)) summary += " " + hex(reader.string());
      else if (reader.field(WEIGHT, 1)) summary += "=" + reader.integer(0, 100).toString();
      else reader.unknownField(utf8("name, weight"));
    }
  }
  return summary;
}

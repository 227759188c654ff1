/** What telemetry is made of, for tests: bytes come and go as ArrayBuffers. */
import { ABSENT, View, address, size, view } from "../../../../filters/sdk/assembly/bytes";
import { LabelledName } from "../../../../filters/sdk/assembly/labels";
import { Names } from "../../../../filters/sdk/assembly/names";
import { SeriesTable, seriesKey } from "../../../../filters/telemetry/assembly/series";
import { contentLength, methodId, statusCode } from "../../../../filters/telemetry/assembly/values";

export { seriesKey };

function over(buffer: ArrayBuffer | null): View {
  return buffer === null ? ABSENT : view(changetype<usize>(buffer), buffer.byteLength);
}

function copy(v: View): ArrayBuffer {
  const buffer = new ArrayBuffer(size(v));
  memory.copy(changetype<usize>(buffer), address(v), size(v));
  return buffer;
}

export function labelled(metric: ArrayBuffer, label: ArrayBuffer, value: ArrayBuffer): ArrayBuffer {
  return copy(new LabelledName().begin(over(metric)).label(over(label), over(value)).text);
}

export function method(text: ArrayBuffer | null): u32 {
  return methodId(over(text));
}

export function status(text: ArrayBuffer | null): u32 {
  return statusCode(over(text));
}

export function length(text: ArrayBuffer | null): i64 {
  return contentLength(over(text));
}

let table = new SeriesTable(0);

export function newTable(limit: u32): void {
  table = new SeriesTable(limit);
}

/** What is stored under the key: `value` where it is new, 0 where the table is full. */
export function remember(key: u64, value: u32): u32 {
  let ids = table.find(key);
  if (ids == 0) {
    ids = table.add(key);
    if (ids == 0) return 0;
    for (let i: usize = 0; i < 16; i += 4) store<u32>(ids + i, value);
  }
  return load<u32>(ids, 12);
}

let names = new Names();

export function newNames(): void {
  names = new Names();
}

export function find(name: ArrayBuffer): i32 {
  return names.find(over(name));
}

export function add(name: ArrayBuffer): i32 {
  return names.add(over(name));
}

export function at(number: i32): ArrayBuffer {
  return copy(names.at(number));
}

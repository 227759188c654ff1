/** The shapes that come again and again: lists of strings, label maps, references. */
import { ABSENT, View, address, indexOf, size, slice, utf8 } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { List, append, appendText, make } from "../memory/list";
import { scratch } from "../memory/arena";
import { Target } from "../model";
import { readName, refuse, refuseValue } from "./members";

const EQUALS = utf8("=");

/** `["…", …]`, none of them empty. */
export function readStrings(reader: JsonReader, to: List): void {
  if (!reader.beginArray()) return;
  while (reader.nextElement()) {
    const value = readName(reader);
    if (value != ABSENT) appendText(to, value);
  }
}

/** `{"app": "reviews"}`, as texts `app=reviews`. A label twice is a label that no workload has, or that no selector asks. */
export function readLabels(reader: JsonReader, to: List, selector: bool): void {
  if (!reader.beginObject()) return;
  while (reader.nextKey()) {
    const value = reader.string();
    if (value == ABSENT) return;
    const label = scratch.join(scratch.join(reader.key, EQUALS), value);
    if (selector && indexOf(label, 42) >= 0) refuse(reader, utf8("a wildcard"), utf8("no '*': a selector compares labels as they are"));
    appendText(to, label);
  }
}

/** `"Backend/reviews"`, or with the namespace `"prod/Backend/reviews"`. */
export function readTargets(reader: JsonReader, to: List): void {
  if (!reader.beginArray()) return;
  while (reader.nextElement()) {
    const text = reader.string();
    if (text == ABSENT) return;
    const first = indexOf(text, 47);
    const second = first < 0 ? -1 : indexOf(text, 47, first + 1);
    const name = <u32>(second < 0 ? first : second) + 1;
    if (first <= 0 || second == first + 1 || name == size(text) || indexOf(text, 47, name) >= 0) {
      refuseValue(reader, text, utf8("'<kind>/<name>' or '<namespace>/<kind>/<name>'"));
    }
    const target = make<Target>();
    target.namespace = second < 0 ? ABSENT : slice(text, 0, first);
    target.name = second < 0 ? text : slice(text, first + 1, size(text));
    append(to, changetype<usize>(target));
  }
}

/** Lower-case letters, digits, `-` and `.`: an RFC 1123 name, which is safe in logs, stats and response details. */
export function readResourceName(reader: JsonReader): View {
  const name = reader.string();
  if (name == ABSENT) return ABSENT;
  let ok = size(name) > 0 && size(name) <= 253;
  for (let i: u32 = 0; i < size(name); i++) {
    const c = <u32>load<u8>(address(name) + i);
    ok = ok && (c - 97 < 26 || c - 48 < 10 || c == 45 || c == 46);
  }
  if (!ok) refuseValue(reader, name, utf8("a name of lower-case letters, digits, '-' and '.'"));
  return name;
}

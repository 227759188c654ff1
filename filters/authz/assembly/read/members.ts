/** How members of objects are read and refused. */
import { ABSENT, View, address, size, utf8 } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";

/** Refuses what is at the reader's cursor, unless something was refused before. */
export function refuse(reader: JsonReader, found: View, expected: View): void {
  reader.failWith(found, expected);
}

/** As {@link refuse}, where the value itself says what is wrong. */
export function refuseValue(reader: JsonReader, value: View, expected: View): void {
  reader.failValue(value, expected);
}

/**
 * Which of the names the current member has, or -1 with the error set: unknown, or there for the second time.
 *
 * @param names what the object may have, as the message lists it: `"from, to, when"`
 */
export function memberOf(reader: JsonReader, names: View): i32 {
  const index = wordIn(names, reader.key);
  if (index < 0) {
    reader.unknownField(names);
    return -1;
  }
  return reader.field(reader.key, index) ? index : -1;
}

/** Position of the string among those expected, or -1 with the error set. */
export function readWord(reader: JsonReader, words: View): i32 {
  const value = reader.string();
  if (value == ABSENT) return -1;
  const index = wordIn(words, value);
  if (index < 0) refuseValue(reader, value, words);
  return index;
}

/** A string that isn't empty, or {@link ABSENT} with the error set. */
export function readName(reader: JsonReader): View {
  const value = reader.string();
  if (value != ABSENT && size(value) == 0) refuse(reader, utf8("an empty string"), utf8("a string that isn't empty"));
  return value;
}

/** Position of a word in a list such as `"ALLOW, DENY"`, or -1. */
export function wordIn(words: View, word: View): i32 {
  let from = address(words);
  const end = from + size(words);
  for (let index = 0; from < end; index++) {
    let i: u32 = 0;
    let same = true;
    for (; from < end && load<u8>(from) != 44; from++, i++) {
      same = same && i < size(word) && load<u8>(address(word) + i) == load<u8>(from);
    }
    if (same && i == size(word)) return index;
    from += 2;
  }
  return -1;
}

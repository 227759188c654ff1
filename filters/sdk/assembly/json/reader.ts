/**
 * Reads a configuration in one pass, without building a tree: 2 MB of policies must be read in milliseconds, and a message
 * must say where (`$.policies[3].spec.rules[0]`), what was found and what was expected. The first error sticks; from then
 * on every call answers "no more", so that a consumer checks {@link ok} once, at its end. Pure.
 */
import { ABSENT, View, address, sameBytes, size, utf8, view } from "../bytes";
import { endLine, put, putNumber, putText, startLine } from "../line";
import { allocateForCallback } from "../memory";
import { scanNumber, scanString, skipSpace, stoppedAt } from "./scan";

export enum JsonKind { End, Object, Array, String, Number, Boolean, Null, Invalid }

/** Deeper than any configuration of ours; a bound, so that hostile nesting is an error and not a trap. */
const MAX_DEPTH = 64;
const EXACT: i64 = 1 << 53;
/** A key or value in a message is cut here, so that what was expected still fits. */
const MOST: u32 = 256;

// The literals as they lie in memory.
const TRUE: u32 = 0x65757274;
const FALS: u32 = 0x736c6166;
const NULL: u32 = 0x6c6c756e;

export class JsonReader {
  /** `path: found …, expected …`, as UTF-8 that lives until the callback returns; {@link ABSENT} while all is well. */
  error: View = ABSENT;
  private at: usize;
  private readonly end: usize;
  private depth: i32 = 0;
  // One entry for each open object or array: its current key (ABSENT in an array), index, and which fields were seen.
  private keys: StaticArray<u64> = new StaticArray<u64>(MAX_DEPTH);
  private indexes: StaticArray<i32> = new StaticArray<i32>(MAX_DEPTH);
  private seen: StaticArray<u64> = new StaticArray<u64>(MAX_DEPTH);

  constructor(source: View) {
    this.at = address(source);
    this.end = this.at + size(source);
  }

  get ok(): bool {
    return this.error == ABSENT;
  }

  /** What the next value is, without reading it. */
  kind(): JsonKind {
    this.at = skipSpace(this.at, this.end);
    if (this.at >= this.end) return JsonKind.End;
    const c = load<u8>(this.at);
    if (c == 123) return JsonKind.Object;
    if (c == 91) return JsonKind.Array;
    if (c == 34) return JsonKind.String;
    if (c == 45 || <u32>c - 48 < 10) return JsonKind.Number;
    if (this.end - this.at < 4) return JsonKind.Invalid;
    const word = load<u32>(this.at);
    if (word == TRUE || (word == FALS && this.end - this.at > 4 && load<u8>(this.at + 4) == 101)) return JsonKind.Boolean;
    return word == NULL ? JsonKind.Null : JsonKind.Invalid;
  }

  /** Enters an object: then {@link nextKey} until it says false. */
  beginObject(expected: View = utf8("an object")): bool {
    return this.begin(JsonKind.Object, 0, expected);
  }

  /** Enters an array: then {@link nextElement} until it says false. */
  beginArray(expected: View = utf8("an array")): bool {
    return this.begin(JsonKind.Array, ABSENT, expected);
  }

  private begin(kind: JsonKind, key: View, expected: View): bool {
    if (!this.ok) return false;
    if (this.kind() != kind) return this.fail(expected);
    if (this.depth == MAX_DEPTH) return this.failWith(utf8("nested deeper than 64 levels"), utf8("a flatter document"));
    unchecked((this.keys[this.depth] = key));
    unchecked((this.indexes[this.depth] = -1));
    unchecked((this.seen[this.depth] = 0));
    this.depth++;
    this.at++;
    return true;
  }

  /** Moves to the next member: compare {@link field} or {@link key}, then read or {@link skip} its value. */
  nextKey(): bool {
    if (!this.more(125, utf8("',' or '}'"))) return false;
    unchecked((this.keys[this.depth - 1] = 0)); // not the member before, in messages
    if (this.at >= this.end || load<u8>(this.at) != 34) return this.fail(utf8("a field name in double quotes"));
    const name = scanString(this.at, this.end);
    this.at = stoppedAt;
    if (name == ABSENT) return this.fail(utf8("a valid string"));
    unchecked((this.keys[this.depth - 1] = name));
    this.at = skipSpace(this.at, this.end);
    if (this.at >= this.end || load<u8>(this.at) != 58) return this.fail(utf8("':'"));
    this.at++;
    return true;
  }

  /** Moves to the next element. */
  nextElement(): bool {
    return this.more(93, utf8("',' or ']'"));
  }

  private more(close: u8, separator: View): bool {
    if (!this.ok) return false;
    const top = this.depth - 1;
    this.at = skipSpace(this.at, this.end);
    if (this.at >= this.end) return this.fail(separator);
    const c = load<u8>(this.at);
    const index = unchecked(this.indexes[top]) + 1;
    if (c == close) {
      this.at++;
      this.depth = top;
      return false;
    }
    if (index > 0) {
      if (c != 44) return this.fail(separator);
      this.at = skipSpace(this.at + 1, this.end);
      if (this.at < this.end && load<u8>(this.at) == close) return this.fail(utf8("a value after ','"));
    }
    unchecked((this.indexes[top] = index));
    return true;
  }

  /** The current member's name; valid while the configuration is being read. */
  get key(): View {
    return unchecked(this.keys[this.depth - 1]);
  }

  /** The current element's index in its array. */
  get index(): i32 {
    return unchecked(this.indexes[this.depth - 1]);
  }

  /**
   * Is the current member this field? `bit` (0–63) is the field's own number in its object: a field that comes twice is an
   * error, because two readers may disagree on which one counts.
   */
  field(name: View, bit: u32): bool {
    if (!sameBytes(this.key, name)) return false;
    const top = this.depth - 1;
    const mask: u64 = 1 << <u64>bit;
    if (unchecked(this.seen[top]) & mask) {
      this.failWith(utf8("this field twice"), utf8("each field once"));
      return false;
    }
    unchecked((this.seen[top] |= mask));
    return true;
  }

  /** A member that nobody knows: always an error, since ignoring it could ignore a restriction. */
  unknownField(known: View): bool {
    if (!this.ok) return false;
    this.startError();
    put(utf8("an unknown field, expected one of "));
    put(known);
    return this.endError();
  }

  /** A string's decoded bytes, or {@link ABSENT} with the error set. */
  string(expected: View = utf8("a string")): View {
    if (!this.ok) return ABSENT;
    if (this.kind() != JsonKind.String) {
      this.fail(expected);
      return ABSENT;
    }
    const text = scanString(this.at, this.end);
    if (text == ABSENT) {
      this.at = stoppedAt;
      this.fail(utf8("a valid string"));
      return ABSENT;
    }
    this.at = stoppedAt;
    return text;
  }

  /** A whole number within bounds, and within ±2^53, where each is exact; `min` with the error set otherwise. */
  integer(min: i64, max: i64, expected: View = ABSENT): i64 {
    const least = min > -EXACT ? min : -EXACT;
    const most = max < EXACT ? max : EXACT;
    const start = this.at;
    const value = this.number(expected == ABSENT ? utf8("an integer") : expected);
    if (!this.ok) return min;
    if (value != Math.floor(value) || value < <f64>least || value > <f64>most) {
      this.at = start;
      if (expected != ABSENT) this.fail(expected);
      else {
        this.startError();
        this.putFound();
        put(utf8(", expected an integer from "));
        putNumber(least);
        put(utf8(" to "));
        putNumber(most);
        this.endError();
      }
      return min;
    }
    return <i64>value;
  }

  number(expected: View = utf8("a number")): f64 {
    if (!this.ok) return 0;
    if (this.kind() != JsonKind.Number) {
      this.fail(expected);
      return 0;
    }
    const value = scanNumber(this.at, this.end);
    if (isNaN(value)) {
      this.fail(expected);
      return 0;
    }
    this.at = stoppedAt;
    return value;
  }

  boolean(expected: View = utf8("true or false")): bool {
    if (!this.ok) return false;
    if (this.kind() != JsonKind.Boolean) return this.fail(expected);
    const value = load<u8>(this.at) == 116;
    this.at += value ? 4 : 5;
    return value;
  }

  /** Reads over a `null` if there is one. */
  optionalNull(): bool {
    if (!this.ok || this.kind() != JsonKind.Null) return false;
    this.at += 4;
    return true;
  }

  /** Reads over the next value, whatever it is; still an error where it is malformed. */
  skip(): bool {
    switch (this.kind()) {
      case JsonKind.Object:
        if (!this.beginObject()) return false;
        while (this.nextKey()) this.skip();
        return this.ok;
      case JsonKind.Array:
        if (!this.beginArray()) return false;
        while (this.nextElement()) this.skip();
        return this.ok;
      case JsonKind.String:
        this.string();
        return this.ok;
      case JsonKind.Number:
        this.number();
        return this.ok;
      case JsonKind.Boolean:
        this.boolean();
        return this.ok;
      case JsonKind.Null:
        return this.optionalNull();
      default:
        return this.fail(utf8("a value"));
    }
  }

  /** After the outermost value: nothing may follow. */
  finish(): bool {
    if (this.ok && this.kind() != JsonKind.End) this.fail(utf8("the end of the document"));
    return this.ok;
  }

  /** Refuses what is at the cursor: `found` is described from the text. Returns false. */
  fail(expected: View): bool {
    return this.failWith(ABSENT, expected);
  }

  /** Refuses with the caller's own words; only the first refusal counts. Returns false. */
  failWith(found: View, expected: View): bool {
    if (!this.ok) return false;
    this.startError();
    if (found == ABSENT) this.putFound();
    else put(found);
    return this.endExpecting(expected);
  }

  /** As {@link failWith}, where the value itself says what is wrong. */
  failValue(value: View, expected: View): bool {
    if (!this.ok) return false;
    this.startError();
    putQuoted(value);
    return this.endExpecting(expected);
  }

  /** Refuses an element of a list in the current object, once the whole is read. Returns false. */
  failAt(list: View, index: i32, found: View, expected: View): bool {
    if (!this.ok) return false;
    startLine();
    this.putPath();
    put(utf8("."));
    put(list);
    putIndex(index);
    put(FOUND);
    put(found);
    return this.endExpecting(expected);
  }

  private startError(): void {
    startLine();
    this.putPath();
    put(FOUND);
  }

  private endExpecting(expected: View): bool {
    put(utf8(", expected "));
    put(expected);
    return this.endError();
  }

  /** Keeps the line, since others write theirs into the same buffer. */
  private endError(): bool {
    const line = endLine();
    const kept = allocateForCallback(size(line));
    memory.copy(kept, address(line), size(line));
    this.error = view(kept, size(line));
    return false;
  }

  /** Where the cursor is, e.g. `$.policies[3].spec`. */
  private putPath(): void {
    put(utf8("$"));
    for (let i = 0; i < this.depth; i++) {
      const key = unchecked(this.keys[i]);
      const index = unchecked(this.indexes[i]);
      if (index < 0) break;
      if (key == ABSENT) putIndex(index);
      else if (key != 0) {
        put(utf8("."));
        putText(key, MOST);
      }
    }
  }

  private putFound(): void {
    switch (this.kind()) {
      case JsonKind.End: put(utf8("the end of the document")); return;
      case JsonKind.Object: put(utf8("an object")); return;
      case JsonKind.Array: put(utf8("an array")); return;
      case JsonKind.Null: put(utf8("null")); return;
    }
    const most: usize = 40;
    let stop = this.at;
    while (stop < this.end && (stop - this.at < most || (load<u8>(stop) & 0xc0) == 0x80)) {
      const c = load<u8>(stop);
      if (c < 32 || c == 44 || c == 125) break;
      stop++;
    }
    putQuoted(view(this.at, <u32>max<usize>(stop - this.at, 1)));
  }
}

const FOUND = utf8(": found ");

function putQuoted(text: View): void {
  put(utf8("'"));
  putText(text, MOST);
  put(utf8("'"));
}

function putIndex(index: i32): void {
  put(utf8("["));
  putNumber(index);
  put(utf8("]"));
}

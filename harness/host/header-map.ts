import { fromByteString, lowerCase, toByteString } from "./bytes.ts";
import { INLINE_REQUEST, INLINE_RESPONSE, INLINE_RESPONSE_TRAILERS } from "./inline-headers.ts";
import type { HeadersInit } from "./types.ts";

/** Which of Envoy's maps it is: they differ in the headers that are merged when added twice. */
export type HeaderMapKind = "request" | "response" | "responseTrailers" | "other";

const INLINE: Readonly<Record<HeaderMapKind, ReadonlySet<string>>> = {
  request: INLINE_REQUEST,
  response: INLINE_RESPONSE,
  responseTrailers: INLINE_RESPONSE_TRAILERS,
  other: new Set(),
};

/**
 * An ordered header map that keeps every value of a repeated name, with Envoy's rules: names are lower case, pseudo
 * headers come first, inline headers are merged, `host` is another name of `:authority` in a request. Names and
 * values are byte strings (see bytes.ts). `share()` gives a copy that costs nothing until one of the two is changed.
 */
export class HeaderMap {
  /** Flat: name, value, name, value, … — half the objects of a list of pairs. */
  private flat: string[];
  private owned: boolean;
  readonly kind: HeaderMapKind;

  private constructor(flat: string[], owned: boolean, kind: HeaderMapKind) {
    this.flat = flat;
    this.owned = owned;
    this.kind = kind;
  }

  static empty(kind: HeaderMapKind = "other"): HeaderMap {
    return new HeaderMap([], true, kind);
  }

  /** From what a person wrote: text is UTF-8, values lose the white space around them, as on the wire. */
  static from(init: HeadersInit | HeaderMap | undefined, kind: HeaderMapKind = "other"): HeaderMap {
    const map = HeaderMap.empty(kind);
    if (init === undefined) return map;
    if (init instanceof HeaderMap) {
      if (init.kind === kind) return init.share();
      for (let i = 0; i < init.flat.length; i += 2) map.add(init.flat[i]!, init.flat[i + 1]!);
    } else if (Array.isArray(init)) {
      for (const [name, value] of init as readonly (readonly [string, string])[]) map.add(toByteString(name), trimmed(toByteString(String(value))));
    } else {
      for (const [name, value] of Object.entries(init)) {
        for (const one of Array.isArray(value) ? (value as readonly string[]) : [value as string]) map.add(toByteString(name), trimmed(toByteString(String(one))));
      }
    }
    return map;
  }

  /** From pairs that are byte strings already. */
  static fromPairs(pairs: readonly (readonly [string, string])[], kind: HeaderMapKind = "other"): HeaderMap {
    const map = HeaderMap.empty(kind);
    for (const [name, value] of pairs) map.add(name, value);
    return map;
  }

  /** A copy; the entries are shared until either map changes. */
  share(): HeaderMap {
    this.owned = false;
    return new HeaderMap(this.flat, false, this.kind);
  }

  private own(): void {
    if (!this.owned) {
      this.flat = this.flat.slice();
      this.owned = true;
    }
  }

  private key(name: string): string {
    const lower = lowerCase(name);
    return lower === "host" && this.kind === "request" ? ":authority" : lower;
  }

  /** Number of entries (a repeated name counts each time). */
  get size(): number {
    return this.flat.length / 2;
  }

  /** Sum of the lengths of all names and values: what Envoy's `proxy_get_header_map_size` answers. */
  get byteSize(): number {
    let sum = 0;
    for (const part of this.flat) sum += part.length;
    return sum;
  }

  /** Raw entries, name and value alternating. Do not change. */
  get entries(): readonly string[] {
    return this.flat;
  }

  /** First value of a name, or undefined. */
  get(name: string): string | undefined {
    const value = this.find(name);
    return value !== undefined || this.flat.length === 0 ? value : this.find(this.key(name));
  }

  private find(name: string): string | undefined {
    const flat = this.flat;
    for (let i = 0; i < flat.length; i += 2) if (flat[i] === name) return flat[i + 1];
    return undefined;
  }

  /** All values of a name, in order. */
  getAll(name: string): string[] {
    const key = this.key(name);
    const values: string[] = [];
    for (let i = 0; i < this.flat.length; i += 2) if (this.flat[i] === key) values.push(this.flat[i + 1]!);
    return values;
  }

  private indexOf(key: string): number {
    for (let i = 0; i < this.flat.length; i += 2) if (this.flat[i] === key) return i;
    return -1;
  }

  private insert(key: string, value: string): void {
    const { flat } = this;
    if (key.charCodeAt(0) !== COLON) {
      flat.push(key, value);
      return;
    }
    let at = 0;
    while (at < flat.length && flat[at]!.charCodeAt(0) === COLON) at += 2;
    flat.splice(at, 0, key, value);
  }

  add(name: string, value: string): void {
    this.own();
    const key = this.key(name);
    if (INLINE[this.kind].has(key)) {
      const at = this.indexOf(key);
      if (at >= 0) {
        const known = this.flat[at + 1]!;
        // An empty one takes the other's place instead of leaving a comma behind.
        if (value !== "") this.flat[at + 1] = known === "" ? value : `${known},${value}`;
        return;
      }
    }
    this.insert(key, value);
  }

  /** Leaves one value of the name, at the end (pseudo headers: the last of those). */
  set(name: string, value: string): void {
    this.own();
    const key = this.key(name);
    this.drop(key);
    this.insert(key, value);
  }

  /** Sets the one value of a name in its place, or adds it: what Envoy does for headers that it sets itself. */
  assign(name: string, value: string): void {
    this.own();
    const key = this.key(name);
    const at = this.indexOf(key);
    if (at >= 0) this.flat[at + 1] = value;
    else this.insert(key, value);
  }

  remove(name: string): void {
    this.own();
    this.drop(this.key(name));
  }

  private drop(key: string): void {
    for (let i = this.flat.length - 2; i >= 0; i -= 2) if (this.flat[i] === key) this.flat.splice(i, 2);
  }

  clear(): void {
    this.flat = [];
    this.owned = true;
  }

  /** As people read it: UTF-8 text, order and repetition kept. */
  toList(): [string, string][] {
    const list: [string, string][] = [];
    for (let i = 0; i < this.flat.length; i += 2) list.push([fromByteString(this.flat[i]!), fromByteString(this.flat[i + 1]!)]);
    return list;
  }

  /** As an object; values of a repeated name are joined by ",". */
  toObject(): Record<string, string> {
    const object: Record<string, string> = {};
    for (const [name, value] of this.toList()) object[name] = name in object ? `${object[name]},${value}` : value;
    return object;
  }
}

const COLON = 58;

/** Without the optional white space that HTTP allows around a value. */
const trimmed = (value: string): string => (/^[ \t]|[ \t]$/.test(value) ? value.replace(/^[ \t]+|[ \t]+$/g, "") : value);

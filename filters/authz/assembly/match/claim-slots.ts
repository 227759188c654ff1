/**
 * Claims of the request's verified token, and other filters' dynamic metadata: each that policies look at is a slot, read
 * when a rule that could decide asks for it, and at most once for a request.
 *
 * A slot's source is a CEL expression whose value is a list of nothing but strings. A property alone would not do: its bytes
 * don't tell a string from a number, nor a list from an object with the key "0", and a claim may be either, as the caller likes.
 */
import { ABSENT, View, address, size, slice, utf8, view } from "../../../sdk/assembly/bytes";
import { HeaderPairs } from "../../../sdk/assembly/headers";
import { allocateForCallback, currentCallback } from "../../../sdk/assembly/memory";
import { Arena, scratch } from "../memory/arena";
import { hashBytes } from "../memory/hash";
import { Table } from "../memory/table";
import { HeaderValue } from "./header-slots";

const PAYLOAD = utf8('metadata.filter_metadata["envoy.filters.http.jwt_authn"]["payload"]');
const METADATA = utf8("metadata.filter_metadata");
const ISS = utf8("iss");
const SUB = utf8("sub");
const OPEN = utf8('["');
const CLOSE = utf8('"]');
const SOURCES: u32 = 0;
const BACKSLASH: u8 = 92;

/** Which types of a value count: numbers, booleans and objects never do. */
export enum ClaimType { String = 1, List = 2, Either = 3 }

/** A condition's slot is the address of one of these. */
// @ts-ignore: decorator
@unmanaged
export class ClaimRecord {
  /** The one made before. */
  next: usize;
  /** Of an issuer: the subject beside it. */
  subject: usize;
  /** The callback that {@link values} are of. */
  callback: u32;
  /** First {@link HeaderValue}, or 0. */
  values: usize;
  /** The CEL expression. */
  source: View;
  /** The {@link ClaimSource}'s own. */
  token: u32;
}

/** Evaluates a slot's expression for the current request. */
export abstract class ClaimSource {
  /** The list, as Envoy serialises it; {@link ABSENT}: there is no such claim. */
  abstract read(slot: ClaimRecord): View;
}

export class ClaimSlots {
  /** Address of the record made last. */
  last: usize = 0;
  source: ClaimSource | null = null;
  private issuer: u32 = 0;
  private readonly names: Table = new Table();
  private readonly pairs: HeaderPairs = new HeaderPairs();

  constructor(private readonly arena: Arena) {}

  /** The slot of `iss`; `sub` is its {@link ClaimRecord.subject}. */
  principal(): u32 {
    if (this.issuer == 0) {
      this.issuer = this.slot(member(PAYLOAD, ISS), ClaimType.String);
      changetype<ClaimRecord>(this.issuer).subject = this.slot(member(PAYLOAD, SUB), ClaimType.String);
    }
    return this.issuer;
  }

  /** The slot of an expression, as {@link claim} or {@link metadata} make them. */
  slot(path: View, type: ClaimType): u32 {
    const list = joined(utf8("type(#)!=list?[]:#.all(x,type(x)==string)?#:#.filter(x,type(x)==string)"), path);
    const source = type == ClaimType.List ? list
      : scratch.join(joined(utf8("type(#)==string?[#]:"), path), type == ClaimType.String ? utf8("[]") : list);
    const found = this.names.find(SOURCES, hashBytes(address(source), size(source)), address(source), size(source));
    if (found !== null) return <u32>found.allow;
    const kept = this.arena.copy(source);
    const record = changetype<ClaimRecord>(this.arena.alloc(offsetof<ClaimRecord>()));
    record.source = kept;
    record.next = this.last;
    this.last = changetype<usize>(record);
    this.names.put(SOURCES, hashBytes(address(kept), size(kept)), address(kept), size(kept)).allow = this.last;
    return <u32>this.last;
  }

  /** The slot's strings in the current request, linked. */
  values(slot: u32): HeaderValue | null {
    const record = changetype<ClaimRecord>(slot);
    if (record.callback != currentCallback()) {
      record.callback = currentCallback();
      record.values = 0;
      const source = this.source;
      const list = source === null ? ABSENT : source.read(record);
      this.pairs.over(list == ABSENT ? 0 : address(list), size(list));
      while (this.pairs.next()) {
        const value = changetype<HeaderValue>(allocateForCallback(offsetof<HeaderValue>()));
        value.value = this.pairs.name;
        value.next = record.values;
        record.values = changetype<usize>(value);
      }
    }
    return changetype<HeaderValue | null>(record.values);
  }

  free(): void {
    this.names.clear();
  }
}

/** `[a][b]` as a path below the token's payload; {@link ABSENT} where it is no list of names in brackets. */
export function claim(names: View): View {
  let path = PAYLOAD;
  const n = size(names);
  let at: u32 = 0;
  do {
    const start = at + 1;
    if (at >= n || load<u8>(address(names) + at) != 91) return ABSENT;
    for (at = start; at < n && load<u8>(address(names) + at) != 93; at++) {
      if (load<u8>(address(names) + at) == 91) return ABSENT;
    }
    if (at == n || at == start) return ABSENT;
    path = member(path, slice(names, start, at));
    at++;
  } while (at < n);
  return path;
}

/** A key of another filter's metadata. */
export function metadata(filter: View, key: View): View {
  return member(member(METADATA, filter), key);
}

/** `path["name"]`, in scratch memory; the name is any text. */
function member(path: View, name: View): View {
  const n = size(name);
  const to = scratch.alloc(n * 2);
  let m: u32 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const c = load<u8>(address(name) + i);
    if (c == BACKSLASH || c == 34) store<u8>(to + m++, BACKSLASH);
    store<u8>(to + m++, c);
  }
  return scratch.join(path, scratch.join(OPEN, scratch.join(view(to, m), CLOSE)));
}

/** The text with the path for each `#`. */
function joined(text: View, path: View): View {
  let all: View = 0;
  let from: u32 = 0;
  for (let i: u32 = 0; i <= size(text); i++) {
    if (i < size(text) && load<u8>(address(text) + i) != 35) continue;
    all = scratch.join(all, slice(text, from, i));
    if (i < size(text)) all = scratch.join(all, path);
    from = i + 1;
  }
  return all;
}

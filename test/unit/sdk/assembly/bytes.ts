import {
  ABSENT, View, address, asciiFromUtf16, copyOf, endsWith, equal, indexOf, sameBytes, size, slice, startsWith, toString, utf8,
} from "../../../../filters/sdk/assembly/bytes";
import { Peer } from "../../../../filters/sdk/assembly/http/peer";
import { atTheEnd, copy, over } from "./support";

export function same(a: ArrayBuffer, b: ArrayBuffer): bool {
  return sameBytes(over(a), atTheEnd(b));
}

/** Of the first `n` bytes. */
export function equals(a: ArrayBuffer, b: ArrayBuffer, n: u32): bool {
  return equal(changetype<usize>(a), address(atTheEnd(b)), n);
}

export function starts(text: ArrayBuffer, prefix: ArrayBuffer): bool {
  return startsWith(atTheEnd(text), over(prefix));
}

export function ends(text: ArrayBuffer, suffix: ArrayBuffer): bool {
  return endsWith(atTheEnd(text), over(suffix));
}

export function find(text: ArrayBuffer, byte: u32, from: u32): i32 {
  return indexOf(atTheEnd(text), <u8>byte, from);
}

export function part(text: ArrayBuffer, from: u32, to: u32): ArrayBuffer {
  return copy(slice(over(text), from, to));
}

/** The text, through UTF-8 and a copy of its bytes, and back. */
export function roundTrip(text: string): string {
  const bytes = utf8(text);
  const copied = copyOf(bytes);
  heap.free(address(bytes));
  const again = toString(copied);
  heap.free(address(copied));
  return again;
}

export function encoded(text: string): ArrayBuffer {
  const bytes = utf8(text);
  const buffer = copy(bytes);
  heap.free(address(bytes));
  return buffer;
}

export function ascii(text: string, room: u32): ArrayBuffer {
  const buffer = new ArrayBuffer(room);
  return buffer.slice(0, asciiFromUtf16(text, changetype<usize>(buffer), room));
}

/** Absent is equal to nothing, not even itself. */
export function absent(other: ArrayBuffer): bool {
  return !sameBytes(ABSENT, over(other)) && !sameBytes(over(other), ABSENT) && !sameBytes(ABSENT, ABSENT) && toString(ABSENT) == "" && copyOf(ABSENT) == ABSENT;
}

const peer = new Peer();

export function single(uri: ArrayBuffer): string {
  peer.single(over(uri));
  return show();
}

export function list(uris: ArrayBuffer): string {
  peer.list(over(uris));
  return show();
}

function show(): string {
  if (peer.ambiguous) return "ambiguous";
  return text(peer.id) + "|" + text(peer.trustDomain) + "|" + text(peer.namespace) + "|" + text(peer.serviceAccount);
}

function text(v: View): string {
  return v == ABSENT ? "-" : String.UTF8.decodeUnsafe(address(v), size(v));
}

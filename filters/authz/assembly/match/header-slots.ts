/**
 * The headers that policies look at, each with a slot. One pass over the request's header pairs collects all their values,
 * however many policies ask. Each value of a repeated header counts on its own, as in Envoy's RBAC since 1.37.1: joined
 * values (`a,b`) would slip past an exact comparison.
 */
import { View, address, equal, size, slice, utf8, view } from "../../../sdk/assembly/bytes";
import { HeaderPairs } from "../../../sdk/assembly/headers";
import { allocateForCallback } from "../../../sdk/assembly/memory";
import { Arena } from "../memory/arena";
import { hashBytes } from "../memory/hash";
import { Slot, Table } from "../memory/table";
import { ClaimSlots } from "./claim-slots";

const HOST = utf8("host");
const AUTHORITY = utf8(":authority");
const NAMES: u32 = 0;

/** One value of a header in a request. */
// @ts-ignore: decorator
@unmanaged
export class HeaderValue {
  value: View;
  next: usize;
}

export class HeaderSlots {
  count: u32 = 0;
  private readonly names: Table = new Table();
  /** Bit n: some name has n characters (63: or more). Spares hashing most of a request's header names. */
  private lengths: u64 = 0;
  /** For each slot the first {@link HeaderValue} of the current request, or 0. */
  private first: usize = 0;

  readonly claims: ClaimSlots;

  constructor(private readonly arena: Arena) {
    this.claims = new ClaimSlots(arena);
  }

  /** The slot of a header name, in any case. Envoy keeps `host` as `:authority`. */
  slot(name: View): u32 {
    const lower = lowerCase(name, this.arena.alloc(size(name)));
    const key = equalViews(lower, HOST) ? AUTHORITY : lower;
    const slot = this.names.put(NAMES, hashBytes(address(key), size(key)), address(key), size(key));
    if (slot.allow == 0) {
      slot.allow = ++this.count;
      this.lengths |= lengthBit(size(key));
    }
    return <u32>slot.allow - 1;
  }

  /** After the last {@link slot}, before the first {@link load}. */
  finish(): void {
    this.first = this.arena.alloc(<usize>this.count * sizeof<usize>());
  }

  /** Collects the values that the policies look at. */
  load(pairs: HeaderPairs): void {
    memory.fill(this.first, 0, <usize>this.count * sizeof<usize>());
    pairs.rewind();
    while (pairs.next()) {
      if ((this.lengths & lengthBit(pairs.nameSize)) == 0) continue;
      const slot = this.names.find(NAMES, hashBytes(pairs.nameAt, pairs.nameSize), pairs.nameAt, pairs.nameSize);
      if (slot !== null) this.add(slot, pairs.value);
    }
  }

  private add(slot: Slot, value: View): void {
    const at = changetype<HeaderValue>(allocateForCallback(offsetof<HeaderValue>()));
    const head = this.first + <usize>(slot.allow - 1) * sizeof<usize>();
    at.value = value;
    at.next = load<usize>(head);
    store<usize>(head, changetype<usize>(at));
  }

  /** The values of a slot in the current request, linked; their order says nothing. */
  // @ts-ignore: decorator
  @inline
  values(slot: u32): HeaderValue | null {
    return changetype<HeaderValue | null>(load<usize>(this.first + <usize>slot * sizeof<usize>()));
  }

  free(): void {
    this.claims.free();
    this.names.clear();
  }
}

// @ts-ignore: decorator
@inline
function lengthBit(n: u32): u64 {
  return (<u64>1) << <u64>min<u32>(n, 63);
}

function equalViews(a: View, b: View): bool {
  return size(a) == size(b) && equal(address(a), address(b), size(a));
}

/** The ASCII lower case of a value, written to `at`. */
export function lowerCase(v: View, at: usize): View {
  const n = size(v);
  const from = address(v);
  for (let i: u32 = 0; i < n; i++) {
    const c = load<u8>(from + i);
    store<u8>(at + i, <u32>c - 65 < 26 ? c | 32 : c);
  }
  return view(at, n);
}

/** The value itself where it has no upper-case letter, or a lower-case copy that lives as long as this callback. */
export function inLowerCase(v: View): View {
  const n = size(v);
  const from = address(v);
  for (let i: u32 = 0; i < n; i++) {
    if (<u32>load<u8>(from + i) - 65 < 26) return lowerCase(v, allocateForCallback(n));
  }
  return slice(v, 0, n);
}

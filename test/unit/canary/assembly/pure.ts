/** What the canary decides with, for tests: bytes come and go as ArrayBuffers; null stands for an absent view. */
import { ABSENT, View, address, size, view } from "../../../../filters/sdk/assembly/bytes";
import { xxh64 } from "../../../../filters/sdk/assembly/hash/xxh64";
import { enter, leave } from "../../../../filters/sdk/assembly/memory";
import { cookieValue } from "../../../../filters/canary/assembly/cookie";
import { SplitMix64 } from "../../../../filters/canary/assembly/random";
import { stickyHash, withoutPort } from "../../../../filters/canary/assembly/rollout";
import { Split, scale } from "../../../../filters/canary/assembly/split";

export { scale };

function over(buffer: ArrayBuffer): View {
  return view(changetype<usize>(buffer), buffer.byteLength);
}

function copy(v: View): ArrayBuffer | null {
  if (v == ABSENT) return null;
  const buffer = new ArrayBuffer(size(v));
  memory.copy(changetype<usize>(buffer), address(v), size(v));
  return buffer;
}

export function hash(bytes: ArrayBuffer, seed: u64): u64 {
  return xxh64(changetype<usize>(bytes), bytes.byteLength, seed);
}

export function hashWithPrefix(prefix: ArrayBuffer, key: ArrayBuffer): u64 {
  enter();
  const hash = stickyHash(over(prefix), over(key));
  leave();
  return hash;
}

export function cookie(header: ArrayBuffer, name: ArrayBuffer): ArrayBuffer | null {
  return copy(cookieValue(over(header), over(name)));
}

export function host(endpoint: ArrayBuffer): ArrayBuffer | null {
  return copy(withoutPort(over(endpoint)));
}

/** @param weights u32 each, the stable arm's first */
export function pick(weights: ArrayBuffer, bits: u64): i32 {
  const split = new Split();
  for (let i = 0; i < weights.byteLength; i += 4) split.add(load<u32>(changetype<usize>(weights) + i));
  return split.pick(bits);
}

let random = new SplitMix64(0);

export function seed(value: u64): void {
  random = new SplitMix64(value);
}

export function next(): u64 {
  return random.next();
}

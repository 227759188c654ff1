/** Hashes for the index: not cryptographic, and need not be, since only the policies' own values are ever stored. */

const MULTIPLIER: u64 = 0x9e3779b97f4a7c15;

/** Of a whole value, eight bytes at a time. */
export function hashBytes(at: usize, n: u32): u32 {
  let h: u64 = <u64>n * MULTIPLIER;
  const end = at + n;
  if (n >= 8) {
    const last = end - 8;
    while (at < last) {
      h = (h ^ load<u64>(at)) * MULTIPLIER;
      h ^= h >> 29;
      at += 8;
    }
    h = (h ^ load<u64>(last)) * MULTIPLIER;
  } else {
    let tail: u64 = 0;
    while (at < end) tail = (tail << 8) | <u64>load<u8>(at++);
    h = (h ^ tail) * MULTIPLIER;
  }
  return <u32>(h ^ (h >> 32));
}

// The running hash of a growing prefix (FNV-1a), or, fed from the end, of a growing suffix.
export const RUNNING_SEED: u32 = 0x811c9dc5;

// @ts-ignore: decorator
@inline
export function running(h: u32, byte: u8): u32 {
  return (h ^ byte) * 0x01000193;
}

export function prefixHash(at: usize, n: u32): u32 {
  let h = RUNNING_SEED;
  for (let i: u32 = 0; i < n; i++) h = running(h, load<u8>(at + i));
  return h;
}

export function suffixHash(at: usize, n: u32): u32 {
  let h = RUNNING_SEED;
  for (let i = n; i > 0; i--) h = running(h, load<u8>(at + i - 1));
  return h;
}

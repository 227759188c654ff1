/**
 * One hash table for everything that is looked up by bytes: which rules may match a value, which values a large set holds,
 * which workload a route leads to. Open addressing over flat memory. A {@link Slot}'s `key` says which space and which kind
 * of pattern a value belongs to, so that equal bytes in different spaces stay apart.
 */
import { equal } from "../../../sdk/assembly/bytes";

// @ts-ignore: decorator
@unmanaged
export class Slot {
  /** 0: the slot is free. */
  hash: u32;
  key: u32;
  at: usize;
  size: u32;
  /** Heads of the lists of rules to try, or whatever else the space maps its values to. */
  deny: usize;
  allow: usize;
  /** A layer of further rules, which are too many for a list. */
  layer: usize;
}

const SLOT: usize = offsetof<Slot>();
const FIRST: u32 = 64;

// @ts-ignore: decorator
@inline
function mixed(hash: u32, key: u32): u32 {
  let h = (hash ^ (key * 0x9e3779b1)) * 0x85ebca6b;
  h ^= h >> 15;
  h *= 0xc2b2ae35;
  h ^= h >> 16;
  return h | u32(h == 0);
}

export class Table {
  private slots: usize = 0;
  private mask: u32 = 0;
  private used: u32 = 0;

  /** The slot of these bytes, or null. */
  find(key: u32, hash: u32, at: usize, size: u32): Slot | null {
    if (this.used == 0) return null;
    const h = mixed(hash, key);
    const mask = this.mask;
    let i = h & mask;
    let found: u32 = 1;
    do {
      const slot = changetype<Slot>(this.slots + <usize>i * SLOT);
      found = slot.hash;
      if (found == h && slot.key == key && slot.size == size && equal(slot.at, at, size)) return slot;
      i = (i + 1) & mask;
    } while (found != 0);
    return null;
  }

  /** The slot of these bytes, made if there is none; the bytes must live as long as the table. Slots move when others are made. */
  put(key: u32, hash: u32, at: usize, size: u32): Slot {
    const existing = this.find(key, hash, at, size);
    if (existing !== null) return existing;
    if (this.used * 2 >= this.mask) this.grow();
    const slot = this.free(mixed(hash, key));
    slot.hash = mixed(hash, key);
    slot.key = key;
    slot.at = at;
    slot.size = size;
    this.used++;
    return slot;
  }

  private free(h: u32): Slot {
    let i = h & this.mask;
    while (load<u32>(this.slots + <usize>i * SLOT) != 0) i = (i + 1) & this.mask;
    return changetype<Slot>(this.slots + <usize>i * SLOT);
  }

  private grow(): void {
    const old = this.slots;
    const count: u32 = old == 0 ? 0 : this.mask + 1;
    const next: u32 = count == 0 ? FIRST : count * 2;
    this.slots = heap.alloc(<usize>next * SLOT);
    memory.fill(this.slots, 0, <usize>next * SLOT);
    this.mask = next - 1;
    for (let i: u32 = 0; i < count; i++) {
      const from = old + <usize>i * SLOT;
      const h = load<u32>(from);
      if (h != 0) memory.copy(changetype<usize>(this.free(h)), from, SLOT);
    }
    if (old != 0) heap.free(old);
  }

  clear(): void {
    if (this.slots != 0) heap.free(this.slots);
    this.slots = 0;
    this.mask = 0;
    this.used = 0;
  }
}

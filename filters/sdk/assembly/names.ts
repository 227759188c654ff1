/**
 * Byte strings kept beyond the callback, and tables of them. Everything here is managed memory: it goes when its owner
 * goes, nothing needs to be freed. Lookups allocate nothing. Pure.
 */
import { View, address, equal, size, view } from "./bytes";
import { xxh64 } from "./hash/xxh64";

const CHUNK: u32 = 4096;

/** Copies of byte strings. A copy stays where it is for as long as this object lives. */
export class Texts {
  private readonly chunks: StaticArray<u8>[] = [];
  private at: usize = 0;
  private left: u32 = 0;

  keep(text: View): View {
    const to = this.room(size(text));
    memory.copy(to, address(text), size(text));
    return view(to, size(text));
  }

  /** Uninitialised room for `bytes`. */
  room(bytes: u32): usize {
    if (bytes > this.left) {
      const chunk = new StaticArray<u8>(max<u32>(bytes, CHUNK));
      this.chunks.push(chunk);
      // What is left of a chunk is still the better place for the small ones that follow a large one.
      if (bytes >= CHUNK) return changetype<usize>(chunk);
      this.at = changetype<usize>(chunk);
      this.left = CHUNK;
    }
    const at = this.at;
    this.at += bytes;
    this.left -= bytes;
    return at;
  }
}

/** Numbers byte strings from 0 in the order in which they were added: open addressing, at most half full. */
export class Names {
  count: i32 = 0;
  private readonly texts: Texts = new Texts();
  private mask: u32 = 15;
  /** Number + 1 of the name in this slot; 0 is a free slot. */
  private slots: StaticArray<u32> = new StaticArray<u32>(16);
  private hashes: StaticArray<u64> = new StaticArray<u64>(8);
  private views: StaticArray<u64> = new StaticArray<u64>(8);

  /** The number of this name, or -1. */
  find(name: View): i32 {
    return <i32>unchecked(this.slots[this.slotOf(name, xxh64(address(name), size(name)))]) - 1;
  }

  /** The number of this name, new or not. */
  add(name: View): i32 {
    const hash = xxh64(address(name), size(name));
    const slot = this.slotOf(name, hash);
    const known = <i32>unchecked(this.slots[slot]) - 1;
    if (known >= 0) return known;
    const number = this.count++;
    if (number == this.hashes.length) this.grow();
    unchecked((this.hashes[number] = hash));
    unchecked((this.views[number] = this.texts.keep(name)));
    unchecked((this.slots[this.free(hash)] = <u32>number + 1));
    return number;
  }

  /** The name with this number; valid as long as the table. */
  // @ts-ignore: decorator
  @inline
  at(number: i32): View {
    return unchecked(this.views[number]);
  }

  private slotOf(name: View, hash: u64): u32 {
    let slot = <u32>hash & this.mask;
    for (let n = unchecked(this.slots[slot]); n != 0; n = unchecked(this.slots[slot])) {
      if (unchecked(this.hashes[n - 1]) == hash) {
        const other = unchecked(this.views[n - 1]);
        if (<u32>other == <u32>name && equal(address(other), address(name), size(name))) return slot;
      }
      slot = (slot + 1) & this.mask;
    }
    return slot;
  }

  private free(hash: u64): u32 {
    let slot = <u32>hash & this.mask;
    while (unchecked(this.slots[slot]) != 0) slot = (slot + 1) & this.mask;
    return slot;
  }

  private grow(): void {
    const old = this.hashes.length;
    const hashes = new StaticArray<u64>(old * 2);
    const views = new StaticArray<u64>(old * 2);
    memory.copy(changetype<usize>(hashes), changetype<usize>(this.hashes), <usize>old << 3);
    memory.copy(changetype<usize>(views), changetype<usize>(this.views), <usize>old << 3);
    this.hashes = hashes;
    this.views = views;
    this.mask = this.mask * 2 + 1;
    this.slots = new StaticArray<u32>(this.mask + 1);
    for (let i = 0; i < old; i++) unchecked((this.slots[this.free(unchecked(hashes[i]))] = <u32>i + 1));
  }
}

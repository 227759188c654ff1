/**
 * Raw memory that is freed as a whole: everything a compiled set of policies consists of. Thousands of small records as
 * managed objects would cost headers, code that visits them, and a mark phase over all of them at each collection.
 */
import { View, address, size, view } from "../../../sdk/assembly/bytes";

const CHUNK: usize = 64 * 1024;

export class Arena {
  /** Chunks, linked through their first word. */
  private chunks: usize = 0;
  private at: usize = 0;
  private end: usize = 0;

  /** `bytes` of zeroed memory, aligned to 8. */
  alloc(bytes: usize): usize {
    const need = (bytes + 7) & ~7;
    if (this.at + need > this.end) this.grow(need);
    const at = this.at;
    this.at = at + need;
    memory.fill(at, 0, need);
    return at;
  }

  private grow(need: usize): void {
    const bytes = max(CHUNK, need + 8);
    const chunk = heap.alloc(bytes);
    store<usize>(chunk, this.chunks);
    this.chunks = chunk;
    this.at = chunk + 8;
    this.end = chunk + bytes;
  }

  /** A copy of the bytes. */
  copy(v: View): View {
    const at = this.alloc(size(v));
    memory.copy(at, address(v), size(v));
    return view(at, size(v));
  }

  /** Both texts, one behind the other. */
  join(a: View, b: View): View {
    const at = this.alloc(size(a) + size(b));
    memory.copy(at, address(a), size(a));
    memory.copy(at + size(a), address(b), size(b));
    return view(at, size(a) + size(b));
  }

  free(): void {
    let chunk = this.chunks;
    while (chunk != 0) {
      const next = load<usize>(chunk);
      heap.free(chunk);
      chunk = next;
    }
    this.chunks = 0;
    this.at = 0;
    this.end = 0;
  }
}

/** For what only lives while a configuration is read and compiled. */
export const scratch: Arena = new Arena();

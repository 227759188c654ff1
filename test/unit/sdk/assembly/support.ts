import { View, address, size, view } from "../../../../filters/sdk/assembly/bytes";

export function over(buffer: ArrayBuffer): View {
  return view(changetype<usize>(buffer), buffer.byteLength);
}

export function copy(v: View): ArrayBuffer {
  const buffer = new ArrayBuffer(size(v));
  memory.copy(changetype<usize>(buffer), address(v), size(v));
  return buffer;
}

// The last page of memory, which the allocator can't reach: it has the pages that were there at first, and may not grow.
heap.alloc(1);
memory.grow(1);

/** The bytes moved to the very end of memory: a read behind them traps. At most 64 KiB. */
export function atTheEnd(buffer: ArrayBuffer): View {
  assert(buffer.byteLength <= 0x10000);
  const at = (<usize>memory.size() << 16) - buffer.byteLength;
  memory.copy(at, changetype<usize>(buffer), buffer.byteLength);
  return view(at, buffer.byteLength);
}

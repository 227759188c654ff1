/** Between views, which die with the callback, and the array buffers that this interface hands out. */
import { ABSENT, View, address, size, view } from "../assembly/bytes";

// @ts-ignore: decorator
@inline
export function viewOf(buffer: ArrayBuffer): View {
  return view(changetype<usize>(buffer), buffer.byteLength);
}

/** A copy; empty for {@link ABSENT}. */
export function copyToBuffer(v: View): ArrayBuffer {
  if (v == ABSENT) return new ArrayBuffer(0);
  const buffer = new ArrayBuffer(size(v));
  memory.copy(changetype<usize>(buffer), address(v), size(v));
  return buffer;
}

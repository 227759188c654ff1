/** Writes one bounded line of text without allocating. What comes from a request is cut and made harmless. */
import { View, address, size, view } from "../../sdk/assembly/bytes";

const ROOM: u32 = 2048;
const buffer = memory.data(2048);
let used: u32 = 0;

export function startLine(): void {
  used = 0;
}

export function endLine(): View {
  return view(buffer, used);
}

/** Text of ours. */
export function put(text: View): void {
  const n = min(size(text), ROOM - used);
  memory.copy(buffer + used, address(text), n);
  used += n;
}

/** Text of somebody else: control characters, quotes and anything but ASCII become `?`; at most `most` bytes. */
export function putForeign(text: View, most: u32): void {
  const n = min(min(size(text), most), ROOM - used);
  for (let i: u32 = 0; i < n; i++) {
    const c = load<u8>(address(text) + i);
    store<u8>(buffer + used + i, c < 33 || c > 126 || c == 34 ? 63 : c);
  }
  used += n;
}

export function putNumber(value: u32): void {
  let digits: u32 = 1;
  for (let rest = value / 10; rest != 0; rest /= 10) digits++;
  if (digits > ROOM - used) return;
  used += digits;
  let at = buffer + used;
  do {
    store<u8>(--at, <u8>(48 + value % 10));
    value /= 10;
  } while (value != 0);
}

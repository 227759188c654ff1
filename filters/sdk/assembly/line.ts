/**
 * One bounded line of text, written without allocating: for log lines, response details and messages. There is one buffer:
 * what {@link endLine} gives is valid until the next {@link startLine}. What comes from a request is cut and made harmless. Pure.
 */
import { View, address, size, view } from "./bytes";

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

/** Text of somebody else: control characters, spaces, quotes and anything but ASCII become `?`; at most `most` bytes. */
export function putForeign(text: View, most: u32): void {
  putHarmless(text, most, 33, 126);
}

/** Text of the operator: as it is but for control characters and what is not ASCII, which become `?`; at most `most` bytes. */
export function putText(text: View, most: u32): void {
  putHarmless(text, most, 32, 126);
}

function putHarmless(text: View, most: u32, least: u32, greatest: u32): void {
  const n = min(min(size(text), most), ROOM - used);
  for (let i: u32 = 0; i < n; i++) {
    const c = <u32>load<u8>(address(text) + i);
    store<u8>(buffer + used + i, c < least || c > greatest || c == 127 || (c == 34 && least == 33) ? 63 : c);
  }
  used += n;
}

export function putNumber(value: i64): void {
  if (ROOM - used < 20) return;
  if (value < 0) {
    store<u8>(buffer + used++, 45);
    value = -value;
  }
  let rest = <u64>value;
  let digits: u32 = 1;
  for (let more = rest / 10; more != 0; more /= 10) digits++;
  used += digits;
  let at = buffer + used;
  do {
    store<u8>(--at, <u8>(48 + rest % 10));
    rest /= 10;
  } while (rest != 0);
}

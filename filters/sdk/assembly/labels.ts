/**
 * Metric names with labels. The ABI knows none, so they travel inside the name, as `requests.route=.a/b;.arm=.v2;`, and Envoy's
 * `stats_tags` take them out again: for each label the regex `^wasmcustom\..*?(\.<label>=\.(.*?);)`. Pure.
 */
import { View, address, size, view } from "./bytes";

/** Longer values are cut: a metric name is kept in Envoy for as long as it runs. */
const MAX_VALUE: u32 = 128;
const ROOM: u32 = 4096;
const buffer = memory.data(4096, 8);

/** Builds one name at a time, in one static buffer: a name is valid until the next {@link begin}. */
export class LabelledName {
  private at: usize = buffer;

  begin(name: View): this {
    this.at = buffer;
    return this.append(name);
  }

  label(name: View, value: View): this {
    if (this.left < size(name) + MAX_VALUE + 4) return this;
    this.byte(46); // .
    this.append(name);
    this.byte(61); // =
    this.byte(46);
    this.at = escapeLabel(value, this.at);
    this.byte(59); // ;
    return this;
  }

  get text(): View {
    return view(buffer, <u32>(this.at - buffer));
  }

  private get left(): u32 {
    return ROOM - <u32>(this.at - buffer);
  }

  private byte(value: u8): void {
    store<u8>(this.at++, value);
  }

  private append(text: View): this {
    const n = min<u32>(size(text), this.left);
    memory.copy(this.at, address(text), n);
    this.at += n;
    return this;
  }
}

/**
 * Writes a label value that can't break out of its place, at most 128 bytes: `_` stands for `;` (ends a value), for control
 * characters (the regex stops at a newline), for bytes that are not UTF-8, and for the `=` of `=.` (would begin another label).
 *
 * @returns the address behind what was written
 */
export function escapeLabel(value: View, to: usize): usize {
  const from = address(value);
  const n = size(value);
  const stop = to + MAX_VALUE;
  for (let i: u32 = 0; i < n; ) {
    const c = load<u8>(from + i);
    const length = c < 0x80 ? 1 : sequence(from + i, n - i);
    if (to + max<u32>(length, 1) > stop) break;
    const breaks = length == 0 || c < 32 || c == 127 || c == 59 || (c == 61 && i + 1 < n && load<u8>(from + i + 1) == 46);
    if (breaks) {
      store<u8>(to++, 95);
      i++;
    } else {
      memory.copy(to, from + i, length);
      to += length;
      i += length;
    }
  }
  return to;
}

/** Bytes of the UTF-8 sequence (RFC 3629) that begins here, 0 where it is malformed. */
function sequence(at: usize, left: u32): u32 {
  const first = <u32>load<u8>(at);
  const length: u32 = first >= 0xc2 && first < 0xe0 ? 2 : (first & 0xf0) == 0xe0 ? 3 : first >= 0xf0 && first < 0xf5 ? 4 : 0;
  if (length == 0 || length > left) return 0;
  const second = <u32>load<u8>(at + 1);
  if (length > 2) {
    // Overlong forms, surrogates, and what is beyond U+10FFFF.
    if (first == 0xe0 && second < 0xa0) return 0;
    if (first == 0xed && second > 0x9f) return 0;
    if (first == 0xf0 && second < 0x90) return 0;
    if (first == 0xf4 && second > 0x8f) return 0;
  }
  for (let i: u32 = 1; i < length; i++) {
    if ((load<u8>(at + i) & 0xc0) != 0x80) return 0;
  }
  // C1 controls (U+0080 to U+009F) are control characters too.
  return first == 0xc2 && second < 0xa0 ? 0 : length;
}

/** IP addresses and CIDR ranges, read from text. IPv4-mapped IPv6 (`::ffff:10.0.0.1`) counts as the IPv4 address it carries. */
import { View, address, indexOf, size, slice, view } from "../../../sdk/assembly/bytes";
import { highBits, lowBits } from "./networks";

/** An address, from the left: an IPv4 address is the upper half of `high`. */
export class Ip {
  /** 4, 6, or 0 where there is no IP address (a Unix socket, an internal listener). */
  family: u32 = 0;
  high: u64 = 0;
  low: u64 = 0;
  /** Length of the network prefix in bits, of a range. */
  bits: u32 = 0;

  clear(): void {
    this.family = 0;
    this.high = 0;
    this.low = 0;
  }

  /** Reads an address, or with `range` an address or CIDR range, whose host bits are cleared. False: it is none. */
  parse(text: View, range: bool): bool {
    this.clear();
    const slash = range ? indexOf(text, 47) : -1;
    const bare = slash < 0 ? text : slice(text, 0, slash);
    const wrote6 = indexOf(bare, 58) >= 0;
    if (wrote6 ? !this.parse6(bare) : !this.parse4(bare)) return this.reject();
    const most: u32 = wrote6 ? 128 : 32;
    this.bits = most;
    if (slash >= 0) {
      const bits = decimal(slice(text, slash + 1, size(text)), 3, false);
      if (bits < 0 || <u32>bits > most) return this.reject();
      this.bits = <u32>bits;
    }
    if (wrote6 && this.high == 0 && this.low >> 32 == 0xffff && this.bits >= 96) {
      this.family = 4;
      this.high = this.low << 32;
      this.low = 0;
      this.bits -= 96;
    }
    this.high = highBits(this.high, this.bits);
    this.low = lowBits(this.low, this.bits);
    return true;
  }

  private reject(): bool {
    this.clear();
    return false;
  }

  /** Reads an address as Envoy prints it with its port: `10.0.0.1:80`, `[fd00::1]:80`; anything else is no IP address. */
  parseWithPort(text: View): void {
    this.clear();
    const n = size(text);
    if (n == 0) return;
    if (load<u8>(address(text)) == 91) {
      const close = indexOf(text, 93);
      if (close > 0) this.parse(slice(text, 1, close), false);
      return;
    }
    const colon = indexOf(text, 58);
    this.parse(colon < 0 ? text : slice(text, 0, colon), false);
  }

  private parse4(text: View): bool {
    const value = dotted(text);
    this.family = 4;
    this.high = <u64>value << 32;
    this.low = 0;
    return value >= 0;
  }

  private parse6(text: View): bool {
    const start = address(text);
    const n = size(text);
    let used: usize = 0; // bytes of GROUPS, of 16
    let gap: usize = GROUPS; // where "::" stands: more than any position if nowhere
    let at: u32 = 0;
    if (n >= 2 && load<u16>(start) == 0x3a3a) {
      gap = 0;
      at = 2;
    }
    while (at < n) {
      let end = at;
      while (end < n && load<u8>(start + end) != 58) end++;
      const group = view(start + at, end - at);
      const embedded = end == n && indexOf(group, 46) >= 0; // an IPv4 address at the end
      const value = embedded ? dotted(group) : hex(group);
      const bytes: usize = embedded ? 4 : 2;
      if (value < 0 || used + bytes > 16) return false;
      if (embedded) store<u32>(groups + used, bswap<u32>(<u32>value));
      else store<u16>(groups + used, bswap<u16>(<u16>value));
      used += bytes;
      if (end == n) break;
      at = end + 1;
      if (at == n) return false; // a colon at the end
      if (load<u8>(start + at) != 58) continue;
      if (gap != GROUPS) return false;
      gap = used;
      at++;
    }
    if (gap == GROUPS ? used != 16 : used > 14) return false;
    if (gap != GROUPS) {
      memory.copy(groups + 16 - (used - gap), groups + gap, used - gap);
      memory.fill(groups + gap, 0, 16 - used);
    }
    this.family = 6;
    this.high = bswap<u64>(load<u64>(groups));
    this.low = bswap<u64>(load<u64>(groups, 8));
    return true;
  }
}

/** For reading a value while configuring. */
export const parsedIp: Ip = new Ip();

/** The address as it is written, in network order. */
const groups = memory.data(16, 8);
const GROUPS: usize = 99;

/** `a.b.c.d` as a number, or -1. No leading zeros: other readers take them for octal. */
function dotted(text: View): i64 {
  const start = address(text);
  const n = size(text);
  let value: i64 = 0;
  let parts = 0;
  let at: u32 = 0;
  while (parts < 4) {
    let end = at;
    while (end < n && load<u8>(start + end) != 46) end++;
    const part = decimal(view(start + at, end - at), 3, false);
    if (part < 0 || part > 255) return -1;
    value = (value << 8) | part;
    parts++;
    if (end == n) return parts == 4 ? value : -1;
    at = end + 1;
  }
  return -1;
}

/** Digits only, at most `most` of them, or -1. */
export function decimal(text: View, most: u32, leadingZeros: bool): i64 {
  const n = size(text);
  if (n == 0 || n > most || (!leadingZeros && n > 1 && load<u8>(address(text)) == 48)) return -1;
  let value: i64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const digit = <i64>load<u8>(address(text) + i) - 48;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}

function hex(text: View): i64 {
  const n = size(text);
  if (n == 0 || n > 4) return -1;
  let value: i64 = 0;
  for (let i: u32 = 0; i < n; i++) {
    const c = <i64>load<u8>(address(text) + i);
    const digit = c >= 48 && c <= 57 ? c - 48 : (c | 32) >= 97 && (c | 32) <= 102 ? (c | 32) - 87 : -1;
    if (digit < 0) return -1;
    value = (value << 4) | digit;
  }
  return value;
}

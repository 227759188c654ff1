/** Base64 (RFC 4648), as DSSE has it: either alphabet, padded or not, and one text only for each value. Pure. */
import { View, address, size } from "../../../sdk/assembly/bytes";

/** Writes at most three bytes for each four characters; how many, or -1 where the text isn't base64. */
export function decodeBase64(text: View, to: usize): i32 {
  let at = address(text);
  const start = to;
  let end = at + size(text);
  if ((size(text) & 3) == 0) {
    for (let i = 0; i < 2 && end > at && load<u8>(end - 1) == 61; i++) end--;
  }
  let bits: u32 = 0;
  let held: u32 = 0;
  for (; at < end; at++) {
    const digit = digitOf(load<u8>(at));
    if (digit < 0) return -1;
    bits = (bits << 6) | digit;
    held += 6;
    if (held < 8) continue;
    held -= 8;
    store<u8>(to++, <u8>(bits >> held));
  }
  return held >= 6 || (bits & ((1 << held) - 1)) != 0 ? -1 : <i32>(to - start);
}

function digitOf(c: u32): i32 {
  if ((c | 32) - 97 < 26) return c < 97 ? c - 65 : c - 71;
  if (c - 48 < 10) return c + 4;
  if (c == 43 || c == 45) return 62;
  return c == 47 || c == 95 ? 63 : -1;
}

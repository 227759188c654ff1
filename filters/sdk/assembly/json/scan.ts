/** The lexical part of JSON (RFC 8259): white space, strings, numbers. Pure. */
import { ABSENT, View, view } from "../bytes";
import { allocateForCallback } from "../memory";

/** First address at or after `at` that is not white space. */
// @ts-ignore: decorator
@inline
export function skipSpace(at: usize, end: usize): usize {
  while (at < end) {
    const c = load<u8>(at);
    if (c != 32 && c != 10 && c != 13 && c != 9) break;
    at++;
  }
  return at;
}

/** Where the last {@link scanString} or {@link scanNumber} stopped: behind its token, or at what is wrong with it. */
export let stoppedAt: usize = 0;

/**
 * A string; `at` is its opening quote. Without escapes the view points into the source, with escapes into memory of this
 * callback. {@link ABSENT} where it is malformed: unterminated, a bare control character, a bad escape, a lone surrogate.
 */
export function scanString(at: usize, end: usize): View {
  const start = ++at;
  while (at < end) {
    const c = load<u8>(at);
    if (c == 34) {
      stoppedAt = at + 1;
      return view(start, <u32>(at - start));
    }
    if (c == 92) return unescape(start, at, end);
    if (c < 32) break;
    at++;
  }
  stoppedAt = at;
  return ABSENT;
}

function unescape(start: usize, at: usize, end: usize): View {
  // The decoded text is never longer than its source: measure to the closing quote first.
  let close = at;
  while (close < end && load<u8>(close) != 34) close += load<u8>(close) == 92 ? 2 : 1;
  const buffer = allocateForCallback(<u32>(close - start) + 8);
  const clean = at - start;
  memory.copy(buffer, start, clean);
  let to = buffer + clean;
  while (at < end) {
    const c = load<u8>(at);
    if (c == 34) {
      stoppedAt = at + 1;
      return view(buffer, <u32>(to - buffer));
    }
    if (c < 32) break;
    if (c != 92) {
      store<u8>(to++, c);
      at++;
      continue;
    }
    if (at + 1 >= end) break;
    const escaped = simpleEscape(load<u8>(at + 1));
    if (escaped != 0) {
      store<u8>(to++, escaped);
      at += 2;
      continue;
    }
    if (load<u8>(at + 1) != 117) break;
    let code = hex4(at + 2, end);
    if (code < 0) break;
    let used: usize = 6;
    if (code >= 0xd800 && code < 0xdc00) {
      const low = at + 8 <= end && load<u16>(at + 6) == 0x755c ? hex4(at + 8, end) : -1;
      if (low < 0xdc00 || low > 0xdfff) break;
      code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
      used = 12;
    } else if (code >= 0xdc00 && code <= 0xdfff) {
      break;
    }
    to = storeUtf8(to, code);
    at += used;
  }
  stoppedAt = at;
  return ABSENT;
}

function simpleEscape(c: u8): u8 {
  switch (c) {
    case 34: return 34; // "
    case 92: return 92; // \
    case 47: return 47; // /
    case 98: return 8; // b
    case 102: return 12; // f
    case 110: return 10; // n
    case 114: return 13; // r
    case 116: return 9; // t
    default: return 0;
  }
}

function hex4(at: usize, end: usize): i32 {
  if (at + 4 > end) return -1;
  let value: i32 = 0;
  for (let i = 0; i < 4; i++) {
    const c = <i32>load<u8>(at + i);
    let digit = c - 48;
    if (digit < 0 || digit > 9) {
      digit = (c | 32) - 87;
      if (digit < 10 || digit > 15) return -1;
    }
    value = (value << 4) | digit;
  }
  return value;
}

function storeUtf8(to: usize, code: i32): usize {
  if (code < 0x80) {
    store<u8>(to, <u8>code);
    return to + 1;
  }
  if (code < 0x800) {
    store<u8>(to, <u8>(0xc0 | (code >> 6)));
    store<u8>(to + 1, <u8>(0x80 | (code & 63)));
    return to + 2;
  }
  if (code < 0x10000) {
    store<u8>(to, <u8>(0xe0 | (code >> 12)));
    store<u8>(to + 1, <u8>(0x80 | ((code >> 6) & 63)));
    store<u8>(to + 2, <u8>(0x80 | (code & 63)));
    return to + 3;
  }
  store<u8>(to, <u8>(0xf0 | (code >> 18)));
  store<u8>(to + 1, <u8>(0x80 | ((code >> 12) & 63)));
  store<u8>(to + 2, <u8>(0x80 | ((code >> 6) & 63)));
  store<u8>(to + 3, <u8>(0x80 | (code & 63)));
  return to + 4;
}

/** A number; NaN where it is malformed (leading zeros and a bare point included). */
export function scanNumber(at: usize, end: usize): f64 {
  const negative = at < end && load<u8>(at) == 45;
  if (negative) at++;
  const first = at;
  let value: f64 = 0;
  at = digits(at, end);
  if (at == first || (load<u8>(first) == 48 && at > first + 1)) {
    stoppedAt = at;
    return NaN;
  }
  for (let i = first; i < at; i++) value = value * 10 + <f64>(load<u8>(i) - 48);
  if (at < end && load<u8>(at) == 46) {
    const point = ++at;
    at = digits(at, end);
    stoppedAt = at;
    if (at == point) return NaN;
    let scale: f64 = 1;
    let fraction: f64 = 0;
    for (let i = point; i < at && scale < 1e18; i++) {
      fraction = fraction * 10 + <f64>(load<u8>(i) - 48);
      scale *= 10;
    }
    value += fraction / scale;
  }
  if (at < end && (load<u8>(at) | 32) == 101) {
    at++;
    let down = false;
    if (at < end && (load<u8>(at) == 43 || load<u8>(at) == 45)) {
      down = load<u8>(at) == 45;
      at++;
    }
    const from = at;
    at = digits(at, end);
    stoppedAt = at;
    if (at == from) return NaN;
    let exponent = 0;
    for (let i = from; i < at && exponent < 1000; i++) exponent = exponent * 10 + (load<u8>(i) - 48);
    for (let i = 0; i < min(exponent, 400); i++) value = down ? value / 10 : value * 10;
  }
  stoppedAt = at;
  return negative ? -value : value;
}

function digits(at: usize, end: usize): usize {
  while (at < end && <u32>load<u8>(at) - 48 < 10) at++;
  return at;
}

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

// What scanNumber has read of a number: significant digits, as many as fit, and the power of ten to scale them by.
let mantissa: u64 = 0;
let scale: i32 = 0;

/**
 * A number; NaN where it is malformed (leading zeros and a bare point included). Exact for integers up to 2^53 and for
 * decimals of up to 15 digits scaled by at most 10^22; beyond that, within rounding.
 */
export function scanNumber(at: usize, end: usize): f64 {
  const negative = at < end && load<u8>(at) == 45;
  if (negative) at++;
  const first = at;
  mantissa = 0;
  scale = 0;
  stoppedAt = at = takeDigits(at, end, false);
  if (at == first || (load<u8>(first) == 48 && at > first + 1)) return NaN;
  if (at < end && load<u8>(at) == 46) {
    const point = ++at;
    stoppedAt = at = takeDigits(at, end, true);
    if (at == point) return NaN;
  }
  if (at < end && (load<u8>(at) | 32) == 101) {
    at++;
    let down = false;
    if (at < end && (load<u8>(at) == 43 || load<u8>(at) == 45)) {
      down = load<u8>(at) == 45;
      at++;
    }
    const from = at;
    stoppedAt = at = digits(at, end);
    if (at == from) return NaN;
    let exponent = 0;
    for (let i = from; i < at && exponent < 10_000; i++) exponent = exponent * 10 + (load<u8>(i) - 48);
    scale += down ? -exponent : exponent;
  }
  const value = scaled(<f64>mantissa, scale);
  return negative ? -value : value;
}

/** Takes digits up to the first other byte; those that no longer fit only count for the scale. */
function takeDigits(at: usize, end: usize, fraction: bool): usize {
  for (; at < end && <u32>load<u8>(at) - 48 < 10; at++) {
    if (mantissa < 1_000_000_000_000_000_000) {
      mantissa = mantissa * 10 + (load<u8>(at) - 48);
      if (fraction) scale--;
    } else if (!fraction) scale++;
  }
  return at;
}

/** Powers of ten up to 10^22 are exact, and so is one operation with them; more only where it needs more. */
function scaled(value: f64, exponent: i32): f64 {
  if (value == 0) return 0;
  let left = min(abs(exponent), 400);
  while (left > 0) {
    const step = min(left, 22);
    let power: f64 = 1;
    for (let i = 0; i < step; i++) power *= 10;
    value = exponent < 0 ? value / power : value * power;
    left -= step;
  }
  return value;
}

function digits(at: usize, end: usize): usize {
  while (at < end && <u32>load<u8>(at) - 48 < 10) at++;
  return at;
}

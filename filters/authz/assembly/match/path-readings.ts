/**
 * What else a path may be read as. Policies compare the path as it is on the wire, as Istio's do; a backend may decode it, cut
 * off what follows a `;`, `#` or `?`, and serve what a policy denies. So a path that can be read in several ways is looked at in
 * each, and one that nobody needs to write like that is refused.
 */
import { View, address, size, view } from "../../../sdk/assembly/bytes";
import { allocateForCallback } from "../../../sdk/assembly/memory";
import { isPathCharacter } from "./template";

const SLASH: u8 = 47;
const PERCENT: u8 = 37;

/** How a path is read; the parts may be combined. */
export enum Reading {
  /** `%XX` is the byte. */
  Decoded = 1,
  /** `%3B`, `%23` and `%3F` are what ends a segment or the path. */
  Structural = 2,
  /** Without parameters (`;…` up to the next slash), and cut at the first `#` or `?`. */
  Stripped = 4,
  /** What no path template takes is a character that each takes: `*` in a template is any. */
  Neutral = 8,
}

/** The path has one reading only: nothing is encoded, no parameters, nothing that a template wouldn't take, no empty or dotted segment. */
export function isPlain(path: View): bool {
  let before: u8 = 0;
  for (let at = address(path), end = at + size(path); at < end; at++) {
    const c = load<u8>(at);
    if (c == SLASH) {
      if (before == SLASH) return false;
    } else if (!isPathCharacter(c) || c == PERCENT || c == 59 || (c == 46 && before == SLASH)) return false;
    before = c;
  }
  return true;
}

/** The path so read, in memory of this callback. */
export function readAs(path: View, reading: u32): View {
  const to = allocateForCallback(size(path));
  let n: u32 = 0;
  let parameters = false;
  for (let at = address(path), end = at + size(path); at < end; at++) {
    let c = load<u8>(at);
    if (c == PERCENT && (reading & (Reading.Decoded | Reading.Structural)) != 0) {
      const byte = escaped(at, end);
      if (byte >= 0 && ((reading & Reading.Decoded) != 0 || byte == 59 || byte == 35 || byte == 63)) {
        c = <u8>byte;
        at += 2;
      }
    }
    if (reading & Reading.Stripped) {
      if (c == 35 || c == 63) break;
      if (c == SLASH) parameters = false;
      else if (c == 59) parameters = true;
      if (parameters || (c == SLASH && n > 0 && load<u8>(to + n - 1) == SLASH)) continue;
    }
    if ((reading & Reading.Neutral) != 0 && c != SLASH && !isPathCharacter(c)) c = 126;
    store<u8>(to + n++, c);
  }
  return view(to, n);
}

/** The byte of the `%XX` at this address, or -1. */
export function escaped(at: usize, end: usize): i32 {
  if (at + 2 >= end) return -1;
  const high = hex(load<u8>(at, 1));
  const low = hex(load<u8>(at, 2));
  return high < 0 || low < 0 ? -1 : (high << 4) | low;
}

function hex(c: u8): i32 {
  if (c >= 48 && c <= 57) return c - 48;
  const letter = c | 32;
  return letter >= 97 && letter <= 102 ? letter - 87 : -1;
}

/**
 * Refused whatever the policies say, since backends don't agree on what it is: a control character, a backslash or an encoded
 * slash, an escape that isn't one or that is escaped itself, bytes that aren't UTF-8 (overlong forms above all), an empty segment,
 * and `.` or `..` as a segment, parameters or not. The path is as it came after the proxy's own normalization.
 */
export function isAmbiguous(path: View): bool {
  const end = address(path) + size(path);
  for (let at = address(path); at < end; at++) {
    const c = load<u8>(at);
    if (c == SLASH && at + 1 < end && load<u8>(at + 1) == SLASH) return true;
    if (c != PERCENT) continue;
    const byte = escaped(at, end);
    if (byte < 0 || byte == SLASH) return true;
    if (byte == PERCENT && at + 4 < end && hex(load<u8>(at, 3)) >= 0 && hex(load<u8>(at, 4)) >= 0) return true;
  }
  const decoded = readAs(path, Reading.Decoded);
  return !isText(decoded) || hasDots(decoded) || hasDots(readAs(path, Reading.Decoded | Reading.Stripped));
}

/** UTF-8 without controls and backslashes. */
function isText(text: View): bool {
  const end = address(text) + size(text);
  for (let at = address(text); at < end; ) {
    const c = load<u8>(at++);
    if (c < 128) {
      if (c < 32 || c == 127 || c == 92) return false;
      continue;
    }
    if (c < 0xc2 || c > 0xf4) return false;
    const more: u32 = c < 0xe0 ? 1 : c < 0xf0 ? 2 : 3;
    if (at + more > end) return false;
    const next = load<u8>(at);
    if ((c == 0xe0 && next < 0xa0) || (c == 0xed && next > 0x9f) || (c == 0xf0 && next < 0x90) || (c == 0xf4 && next > 0x8f)) return false;
    for (let i: u32 = 0; i < more; i++, at++) {
      if ((load<u8>(at) & 0xc0) != 0x80) return false;
    }
  }
  return true;
}

function hasDots(path: View): bool {
  const n = size(path);
  const start = address(path);
  for (let i: u32 = 0; i < n; i++) {
    if (load<u8>(start + i) != SLASH || i + 1 == n || load<u8>(start + i + 1) != 46) continue;
    const second = i + 2 < n ? load<u8>(start + i + 2) : SLASH;
    if (second == SLASH || (second == 46 && (i + 3 == n || load<u8>(start + i + 3) == SLASH))) return true;
  }
  return false;
}

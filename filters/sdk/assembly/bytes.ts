/**
 * Bytes in linear memory without an object for each: a {@link View} is an address and a size packed into one u64,
 * so it lives in locals and fields and costs no allocation. Pure: no host call here.
 */

/** Address in the upper, size in the lower 32 bits. Valid as long as the memory behind it (usually: this callback). */
export type View = u64;

/** What a lookup gives for "there is none"; an empty value is a view of size 0. */
export const ABSENT: View = u64.MAX_VALUE;

// @ts-ignore: decorator
@inline
export function view(address: usize, size: u32): View {
  return (<u64>address << 32) | <u64>size;
}

// @ts-ignore: decorator
@inline
export function address(v: View): usize {
  return <usize>(v >> 32);
}

// @ts-ignore: decorator
@inline
export function size(v: View): u32 {
  return <u32>v;
}

// @ts-ignore: decorator
@inline
export function present(v: View): bool {
  return v != ABSENT;
}

/** The same bytes? Compares eight at a time. */
export function equal(a: usize, b: usize, n: u32): bool {
  let i: u32 = 0;
  for (; i + 8 <= n; i += 8) {
    if (load<u64>(a + i) != load<u64>(b + i)) return false;
  }
  for (; i < n; i++) {
    if (load<u8>(a + i) != load<u8>(b + i)) return false;
  }
  return true;
}

/** Do both views hold the same bytes? Two absent views are not equal. */
// @ts-ignore: decorator
@inline
export function sameBytes(a: View, b: View): bool {
  return a != ABSENT && <u32>a == <u32>b && equal(address(a), address(b), <u32>a);
}

export function startsWith(v: View, prefix: View): bool {
  return size(v) >= size(prefix) && equal(address(v), address(prefix), size(prefix));
}

export function endsWith(v: View, suffix: View): bool {
  return size(v) >= size(suffix) && equal(address(v) + size(v) - size(suffix), address(suffix), size(suffix));
}

/** Index of the first `byte` in the view at or after `from`, or -1. */
export function indexOf(v: View, byte: u8, from: u32 = 0): i32 {
  const start = address(v);
  const end = size(v);
  for (let i = from; i < end; i++) {
    if (load<u8>(start + i) == byte) return <i32>i;
  }
  return -1;
}

// @ts-ignore: decorator
@inline
export function slice(v: View, from: u32, to: u32): View {
  return view(address(v) + from, to - from);
}

/**
 * The UTF-8 bytes of a string that lives as long as the module: for names that are compared or passed on each request.
 * With a literal the build makes static bytes of it (harness/build/static-bytes.mjs) and this function isn't called; with
 * any other string it allocates bytes that are never freed: only while configuring.
 */
export function utf8(text: string): View {
  const length = String.UTF8.byteLength(text);
  const at = heap.alloc(length + 1);
  String.UTF8.encodeUnsafe(changetype<usize>(text), text.length, at);
  return view(at, length);
}

/** A copy of the bytes that outlives the callback; free it with `heap.free(address(copy))`. Of {@link ABSENT}: itself. */
export function copyOf(v: View): View {
  if (v == ABSENT) return ABSENT;
  const n = size(v);
  const at = heap.alloc(n + 1);
  memory.copy(at, address(v), n);
  return view(at, n);
}

export function toString(v: View): string {
  return v == ABSENT ? "" : String.UTF8.decodeUnsafe(address(v), size(v), false);
}

/** Writes the low byte of each UTF-16 unit; how many were written. For messages known to be ASCII. */
export function asciiFromUtf16(text: string, to: usize, room: u32): u32 {
  const n = min<u32>(text.length, room);
  for (let i: u32 = 0; i < n; i++) store<u8>(to + i, load<u8>(changetype<usize>(text) + (<usize>i << 1)));
  return n;
}

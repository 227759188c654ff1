/** Numbers as WebAssembly has them in its binary format: LEB128, exact up to 2^53. Pure. */

/** @param width pads it to this many bytes */
export function leb(value: number, width = 1): number[] {
  const out: number[] = [];
  for (; value >= 128 || out.length < width - 1; value = Math.floor(value / 128)) out.push((value % 128) | 128);
  return [...out, value];
}

export function signedLeb(value: number): number[] {
  const out: number[] = [];
  for (;;) {
    const low = ((value % 128) + 128) % 128;
    value = Math.floor(value / 128);
    if ((value === 0 && low < 64) || (value === -1 && low >= 64)) return [...out, low];
    out.push(low | 128);
  }
}

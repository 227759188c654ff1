/** A second file, of which one function is compiled. */
export function fromAbove(x: i32): i32 {
  return x + 1; // +
}

export function neverCalled(): void {
  unreachable();
}

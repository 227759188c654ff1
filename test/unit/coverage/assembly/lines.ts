// Lines that have code end in "+" where the calls of instrument.test.ts run them, in "-" where they don't. All others have none.
import { fromAbove, neverCalled } from "./other";

const LIMIT: i32 = 3;
const enum Kind {
  First,
  Second,
}

type Alias = i32;

let calls: i32 = 0;

export function branches(x: i32): i32 {
  calls++; // +
  if (x > 10) { // +
    return 1; // +
  } else if (x > 100) { // +
    return 2; // -
  } else {
    // a comment
    calls += 2; // +
  }
  if (x == -1) return 3; // +
  return 4; // +
}

export function neverBoth(x: i32): i32 {
  if (x > 0) { // +
    calls++; // +
  } else {
    calls--; // -
  }
  return calls; // +
}

export function loops(n: i32): i32 {
  let sum = 0; // +
  for (let i = 0; i < n; i++) { // +
    if (i == LIMIT) break; // +
    if (i == 1) continue; // +
    sum += i; // +
  }
  while (sum > 1000) { // +
    sum -= 1; // -
  }
  do { // +
    sum++; // +
  } while (sum < 3); // +
  for (let i = 0; i < 0; i++) { // +
    sum += 100; // -
  }
  return sum; // +
}

export function early(x: i32): i32 {
  if (x == 0) return 0; // +
  calls++; // -
  return calls; // -
}

// @ts-ignore: decorators
@inline
function inlined(x: i32): i32 {
  if (x > 5) { // +
    return x - 5; // -
  }
  return x; // +
}

export function inlines(x: i32): i32 {
  const a = inlined(x); // +
  return a + inlined(x + 1); // +
}

export function choose(kind: Kind): Alias {
  switch (kind) { // +
    case Kind.First: // +
      return 10; // +
    case Kind.Second: // -
      return 20; // -
    default:
      return 30; // -
  }
}

export function ternary(x: i32): i32 {
  return x > 0 // +
    ? plus(x) // +
    : minus(x); // -
}

function plus(x: i32): i32 {
  return x + calls; // +
}

function minus(x: i32): i32 {
  return x - calls; // -
}

export function both(x: i32): bool {
  return x > 0 // +
    && x < 5 // -
    && plus(x) > 0; // -
}

class Shape {
  size: i32 = plus(1); // +

  constructor(public name: i32) {
    this.size += name; // +
  }

  get area(): i32 {
    return this.size * this.size; // +
  }

  grow(): void {
    this.size++; // -
  }

  unused(): void {
    this.size--;
  }
}

export function shapes(grown: bool): i32 {
  const shape = new Shape(4); // +
  if (grown) shape.grow(); // +
  return shape.area + fromAbove(1); // +
}

export function trap(x: i32): i32 {
  calls++; // +
  const result = 10 / x; // +
  calls++; // -
  return result; // -
}

export function untouched(): void {
  calls++; // -
}

function unreached(): void {
  neverCalled();
}

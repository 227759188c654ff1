/**
 * Memory between the host and the filter.
 *
 * The host asks the module for room (`proxy_on_memory_allocate`) for everything it hands over. Such data is needed until
 * the callback returns and no longer, so it comes from one scratch block that is simply rewound: nothing to free, nothing
 * to collect. What doesn't fit gets a block of its own, freed at the same moment.
 *
 * Managed objects (strings, classes) are collected at the same boundary, where no reference is on the stack, once they
 * have doubled since the last collection: rare by construction for filters that allocate nothing per request.
 */
import { total } from "rt/tcms";

/** Enough for a request's headers at Envoy's default limit of 60 KiB, so that the usual request never takes the slow path. */
const SCRATCH: u32 = 64 * 1024;
const FIRST_COLLECTION: usize = 256 * 1024;

let start: usize = 0;
let top: usize = 0;
let end: usize = 0;
/** Blocks too large for the scratch, linked through their first word. */
let overflow: usize = 0;

let depth: u32 = 0;
let serial: u32 = 0;
let collectAt: usize = FIRST_COLLECTION;

/** Room for `bytes` until the outermost callback returns. */
export function allocateForCallback(bytes: u32): usize {
  const next = top + ((<usize>bytes + 7) & ~7);
  if (next > end || next < top) return allocateSlowly(bytes);
  const at = top;
  top = next;
  return at;
}

function allocateSlowly(bytes: u32): usize {
  if (start == 0) {
    start = heap.alloc(SCRATCH);
    top = start;
    end = start + SCRATCH;
    if (bytes <= SCRATCH / 2) return allocateForCallback(bytes);
  }
  const block = heap.alloc(<usize>bytes + 8);
  store<usize>(block, overflow);
  overflow = block;
  return block + 8;
}

/** Every exported callback begins with this and ends with {@link leave}. They nest when a host call calls back at once. */
// @ts-ignore: decorator
@inline
export function enter(): void {
  depth++;
  serial++;
}

// @ts-ignore: decorator
@inline
export function leave(): void {
  if (--depth == 0) {
    top = start;
    if (overflow != 0) freeOverflow();
    if (total > collectAt) collect();
  }
}

/** Differs from one callback to the next: lets a cache know that what it holds was read in this callback. */
// @ts-ignore: decorator
@inline
export function currentCallback(): u32 {
  return serial;
}

function freeOverflow(): void {
  let block = overflow;
  overflow = 0;
  while (block != 0) {
    const next = load<usize>(block);
    heap.free(block);
    block = next;
  }
}

function collect(): void {
  __collect();
  collectAt = max<usize>(total * 2, FIRST_COLLECTION);
}

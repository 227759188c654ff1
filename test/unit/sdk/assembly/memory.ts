import { allocateForCallback, currentCallback, enter, leave } from "../../../../filters/sdk/assembly/memory";

export function open(): void {
  enter();
}

export function close(): void {
  leave();
}

export function allocate(bytes: u32): usize {
  return allocateForCallback(bytes);
}

export function callback(): u32 {
  return currentCallback();
}

/** Bytes of memory in all. */
export function bytes(): u32 {
  return <u32>memory.size() << 16;
}

/** Leaves managed garbage behind. */
export function litter(count: i32): i32 {
  let text = "";
  for (let i = 0; i < count; i++) text = "litter " + i.toString();
  return text.length;
}

/**
 * Which object stands for which context id: open addressing over two flat arrays, because `Map` allocates for each
 * request. Ids are handed out in ascending order, so that taking their low bits spreads them evenly.
 */
import { BaseContext, Context, RootContext, createRoot } from "./context";

let mask: u32 = 63;
let used: u32 = 0;
let ids = new StaticArray<u32>(64);
let contexts = new StaticArray<BaseContext | null>(64);

/** The slot of this id, or the free one where it would go. Id 0 is never a context. */
function slotOf(id: u32): u32 {
  let slot = id & mask;
  let found = unchecked(ids[slot]);
  while (found != id && found != 0) {
    slot = (slot + 1) & mask;
    found = unchecked(ids[slot]);
  }
  return slot;
}

// @ts-ignore: decorator
@inline
export function find(id: u32): BaseContext | null {
  return unchecked(contexts[slotOf(id)]);
}

// The host calls back only for contexts that it created before; anything else is its defect, and a trap is the honest answer.

// @ts-ignore: decorator
@inline
export function stream(id: u32): Context {
  return changetype<Context>(find(id)!);
}

// @ts-ignore: decorator
@inline
export function root(id: u32): RootContext {
  return changetype<RootContext>(find(id)!);
}

// @ts-ignore: decorator
@inline
export function base(id: u32): BaseContext {
  return find(id)!;
}

export function create(id: u32, parent: u32): void {
  if (find(id) !== null) return;
  const context: BaseContext = parent == 0 ? createRoot(id) : root(parent).createContext(id);
  if (used * 2 > mask) grow();
  const slot = slotOf(id);
  unchecked((ids[slot] = id));
  unchecked((contexts[slot] = context));
  used++;
}

/** Forgets a context, and moves later ones of its run back so that none becomes unreachable. */
export function remove(id: u32): void {
  let hole = slotOf(id);
  if (unchecked(ids[hole]) != id) return;
  used--;
  let next = hole;
  for (;;) {
    next = (next + 1) & mask;
    const moved = unchecked(ids[next]);
    if (moved == 0) break;
    const home = moved & mask;
    // Stays where it is reachable: its home lies cyclically in (hole, next].
    if (hole <= next ? hole < home && home <= next : hole < home || home <= next) continue;
    unchecked((ids[hole] = moved));
    unchecked((contexts[hole] = contexts[next]));
    hole = next;
  }
  unchecked((ids[hole] = 0));
  unchecked((contexts[hole] = null));
}

function grow(): void {
  const oldIds = ids;
  const oldContexts = contexts;
  mask = mask * 2 + 1;
  ids = new StaticArray<u32>(mask + 1);
  contexts = new StaticArray<BaseContext | null>(mask + 1);
  for (let i = 0; i < oldIds.length; i++) {
    const id = unchecked(oldIds[i]);
    if (id == 0) continue;
    const slot = slotOf(id);
    unchecked((ids[slot] = id));
    unchecked((contexts[slot] = oldContexts[i]));
  }
}

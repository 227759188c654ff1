/**
 * What the VMs of one process tell each other, by shared data: the newest bundle that any of them took, and when the source is
 * next to be asked. A bundle is verified again by each VM that takes it from here.
 */
import { WasmResultValues } from "../../../sdk/assembly/abi/enums";
import { ABSENT, View, address, sameBytes, size, slice, utf8, view } from "../../../sdk/assembly/bytes";
import { getSharedData, lastCas, setSharedData } from "../../../sdk/assembly/shared";
import { scratch } from "../memory/arena";
import { BEFORE } from "./envelope";

const number = memory.data(8, 8);

// The newest bundle, as last read. An entry is: size of the signature, signature, room, payload; so that neither is copied.
export let newestSignature: View = ABSENT;
/** With room before it, or {@link ABSENT}: there is none. */
export let newestPayload: View = ABSENT;
let newestCas: u32 = 0;

/** A number's bytes, until the next. */
export function numberView(value: u64): View {
  store<u64>(number, value);
  return view(number, 8);
}

export function loadNewest(key: View): void {
  const entry = getSharedData(key);
  newestPayload = ABSENT;
  // A compare-and-swap with any number but 0 creates an entry only where there is none.
  newestCas = entry == ABSENT ? u32.MAX_VALUE : lastCas;
  if (entry == ABSENT || size(entry) <= <u32>BEFORE) return;
  newestSignature = slice(entry, 1, <u32>load<u8>(address(entry)) + 1);
  newestPayload = slice(entry, <u32>BEFORE, size(entry));
}

/** False: somebody wrote since {@link loadNewest}. @param payload with room before it, of which this makes use */
export function replaceNewest(key: View, signature: View, payload: View): bool {
  const at = address(payload) - BEFORE;
  // It may stand in that room.
  const copy = scratch.copy(signature);
  store<u8>(at, <u8>size(copy));
  memory.copy(at + 1, address(copy), size(copy));
  if (setSharedData(key, view(at, size(payload) + <u32>BEFORE), newestCas) == WasmResultValues.CasMismatch) return false;
  setSharedData(headOf(key), copy);
  return true;
}

/** Is this the signature of the newest bundle? Told without reading all of it. */
export function isNewest(key: View, signature: View): bool {
  const head = getSharedData(headOf(key));
  return head != ABSENT && sameBytes(head, signature);
}

function headOf(key: View): View {
  return scratch.join(utf8("s"), key);
}

// When to ask next (in nanoseconds since 1970), and the entity tag of what was taken last.
export let turnDue: u64 = 0;
export let turnTag: View = 0;
/** Changes whenever something is written. */
export let turnCas: u32 = 0;

export function loadTurn(key: View): void {
  const entry = getSharedData(key);
  turnCas = lastCas;
  turnDue = 0;
  turnTag = 0;
  if (entry == ABSENT || size(entry) < 8) return;
  turnDue = load<u64>(address(entry));
  turnTag = slice(entry, 8, size(entry));
}

/** @param cas 0 writes whatever was there */
export function storeTurn(key: View, due: u64, etag: View, cas: u32): bool {
  return setSharedData(key, scratch.join(numberView(due), etag), cas) == WasmResultValues.Ok;
}

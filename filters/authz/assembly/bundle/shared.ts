/**
 * What the VMs of one process tell each other, by shared data: the newest bundle that any of them took, and when the source is
 * next to be asked. A bundle is verified again by each VM that takes it from here.
 */
import { WasmResultValues } from "../../../sdk/assembly/abi/enums";
import { ABSENT, View, address, size, slice, view } from "../../../sdk/assembly/bytes";
import { getSharedData, lastCas, setSharedData } from "../../../sdk/assembly/shared";
import { scratch } from "../memory/arena";
import { payloadRoom } from "./envelope";

const number = memory.data(8, 8);

// The newest bundle, as last read. An entry is: size of the signature, signature, payload.
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
  if (entry == ABSENT) return;
  const from = <u32>load<u8>(address(entry)) + 1;
  if (from >= size(entry)) return;
  newestSignature = slice(entry, 1, from);
  const bytes = size(entry) - from;
  const at = payloadRoom(bytes);
  memory.copy(at, address(entry) + from, bytes);
  newestPayload = view(at, bytes);
}

/** False: somebody wrote since {@link loadNewest}. */
export function replaceNewest(key: View, signature: View, payload: View): bool {
  store<u8>(number, <u8>size(signature));
  const entry = scratch.join(scratch.join(view(number, 1), signature), payload);
  return setSharedData(key, entry, newestCas) != WasmResultValues.CasMismatch;
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

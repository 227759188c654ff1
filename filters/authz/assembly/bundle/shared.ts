/**
 * What the VMs of one process tell each other, by shared data: the newest bundle that any of them took, and when the source is
 * next to be asked. A bundle is verified again by each VM that takes it from here.
 */
import { WasmResultValues } from "../../../sdk/assembly/abi/enums";
import { ABSENT, View, address, size, slice, view } from "../../../sdk/assembly/bytes";
import { allocateForCallback } from "../../../sdk/assembly/memory";
import { Texts } from "../../../sdk/assembly/names";
import { getSharedData, lastCas, setSharedData } from "../../../sdk/assembly/shared";
import { payloadRoom } from "./envelope";

/** The key for this kind of entry: a letter, and the audience. */
export function keyOf(kind: u8, audience: View, texts: Texts): View {
  const at = texts.room(size(audience) + 1);
  store<u8>(at, kind);
  memory.copy(at + 1, address(audience), size(audience));
  return view(at, size(audience) + 1);
}

/** The newest bundle, as last read. An entry is: size of the signature, signature, payload. */
export class Newest {
  signature: View = ABSENT;
  /** With room before it, or {@link ABSENT}: there is none. */
  payload: View = ABSENT;
  private cas: u32 = 0;

  constructor(private readonly key: View) {}

  load(): void {
    const entry = getSharedData(this.key);
    this.payload = ABSENT;
    // A compare-and-swap with any number but 0 creates an entry only where there is none.
    this.cas = entry == ABSENT ? u32.MAX_VALUE : lastCas;
    if (entry == ABSENT || size(entry) == 0) return;
    const from = <u32>load<u8>(address(entry)) + 1;
    if (from > size(entry)) return;
    this.signature = slice(entry, 1, from);
    const bytes = size(entry) - from;
    const at = payloadRoom(bytes);
    memory.copy(at, address(entry) + from, bytes);
    this.payload = view(at, bytes);
  }

  /** False: somebody wrote since {@link load}. */
  replace(signature: View, payload: View): bool {
    const bytes = 1 + size(signature) + size(payload);
    const at = allocateForCallback(bytes);
    store<u8>(at, <u8>size(signature));
    memory.copy(at + 1, address(signature), size(signature));
    memory.copy(at + 1 + size(signature), address(payload), size(payload));
    return setSharedData(this.key, view(at, bytes), this.cas) == WasmResultValues.Ok;
  }
}

/** When to ask next, and the entity tag of what was answered and taken last. */
export class Turn {
  /** Changes whenever something is written. */
  cas: u32 = 0;
  /** Nanoseconds since 1970. */
  due: u64 = 0;
  etag: View = 0;

  constructor(private readonly key: View) {}

  load(): void {
    const entry = getSharedData(this.key);
    this.cas = lastCas;
    this.due = 0;
    this.etag = 0;
    if (entry == ABSENT || size(entry) < 8) return;
    this.due = load<u64>(address(entry));
    this.etag = slice(entry, 8, size(entry));
  }

  /** @param cas 0 writes whatever was there */
  store(due: u64, etag: View, cas: u32): bool {
    const at = allocateForCallback(8 + size(etag));
    store<u64>(at, due);
    memory.copy(at + 8, address(etag), size(etag));
    return setSharedData(this.key, view(at, 8 + size(etag)), cas) == WasmResultValues.Ok;
  }
}

/** The envelope around a bundle: DSSE (github.com/secure-systems-lab/dsse, protocol.md), whose signed text needs no canonical JSON. Pure. */
import { ABSENT, View, address, size, slice, utf8, view } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { allocateForCallback } from "../../../sdk/assembly/memory";
import { memberOf, readWord, refuse } from "../read/members";
import { decodeBase64 } from "./base64";

/** What is signed: this, the payload's length, a space, the payload. */
const PREFIX = utf8("DSSEv1 36 application/vnd.selvedge.policy+json ");
const BEFORE_TYPE: u32 = 10;
/** Room that the prefix and any length take. */
const HEAD: usize = 64;
/** More are refused: each costs a verification with each key. */
const MOST_SIGNATURES = 4;

/** Bytes with free room for the prefix before them; 0 bytes at first. */
export function payloadRoom(bytes: u32): usize {
  return allocateForCallback(bytes + <u32>HEAD) + HEAD;
}

/** The text that is signed, around a payload that stands in such a room. */
export function signedText(payload: View): View {
  let at = address(payload) - 1;
  store<u8>(at, 32);
  let rest = size(payload);
  do {
    store<u8>(--at, <u8>(48 + rest % 10));
    rest /= 10;
  } while (rest != 0);
  at -= size(PREFIX);
  memory.copy(at, address(PREFIX), size(PREFIX));
  return view(at, <u32>(address(payload) - at) + size(payload));
}

export class Envelope {
  /** Decoded, with room before it; or {@link ABSENT}. */
  payload: View = ABSENT;
  count: i32 = 0;
  private readonly signatures: StaticArray<u64> = new StaticArray<u64>(MOST_SIGNATURES);
  private typed: bool = false;

  /** Reads what is at the cursor; with an error in the reader it is of no use. */
  read(reader: JsonReader): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      switch (memberOf(reader, utf8("payloadType, payload, signatures"))) {
        case 0: this.typed = readWord(reader, slice(PREFIX, BEFORE_TYPE, size(PREFIX) - 1)) == 0; break;
        case 1: this.payload = decoded(reader); break;
        case 2: this.readSignatures(reader);
      }
    }
    if (!this.typed || this.payload == ABSENT) refuse(reader, utf8("an incomplete envelope"), utf8("payloadType, payload and signatures"));
  }

  private readSignatures(reader: JsonReader): void {
    if (!reader.beginArray()) return;
    while (reader.nextElement()) {
      if (this.count == MOST_SIGNATURES) refuse(reader, utf8("more signatures"), utf8("no more than 4"));
      if (!reader.beginObject()) return;
      while (reader.nextKey()) {
        // A key's name is a hint that anybody can write: nothing depends on it.
        if (memberOf(reader, utf8("sig, keyid")) == 0) unchecked((this.signatures[this.count++] = decoded(reader)));
        else reader.string();
      }
    }
  }

  /** Some signature's DER; {@link ABSENT} never, since then the reader has an error. */
  signature(index: i32): View {
    return unchecked(this.signatures[index]);
  }
}

/** A string of base64 as bytes, with room before them; {@link ABSENT} with the error set. */
export function decoded(reader: JsonReader): View {
  const text = reader.string();
  if (text == ABSENT) return ABSENT;
  const at = payloadRoom(size(text));
  const bytes = decodeBase64(text, at);
  if (bytes <= 0) refuse(reader, utf8("something else"), utf8("base64"));
  return bytes <= 0 ? ABSENT : view(at, bytes);
}

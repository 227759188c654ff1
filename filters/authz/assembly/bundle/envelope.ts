/** The envelope around a bundle: DSSE (github.com/secure-systems-lab/dsse, protocol.md), whose signed text needs no canonical JSON. */
import { ABSENT, View, address, size, slice, utf8, view } from "../../../sdk/assembly/bytes";
import { callForeign } from "../../../sdk/assembly/foreign";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { allocateForCallback } from "../../../sdk/assembly/memory";
import { memberOf, readWord, refuse } from "../read/members";
import { decodeBase64 } from "./base64";

/** What is signed: this, the payload's length, a space, the payload. */
const PREFIX = utf8("DSSEv1 36 application/vnd.selvedge.policy+json ");
/** The question to the host begins with the fields hash_function and (to be followed by 91 bytes) public_key. */
const QUESTION = utf8("\n\x06sha256\x12[");
/** Room before a payload for all that is written there when it is verified. */
export const BEFORE: usize = 512;
const MOST_SIGNATURE: u32 = 72;
/** More are refused: each costs a verification with each key. */
const MOST_SIGNATURES = 4;

// The envelope that was read last; what it holds lives as long as the callback.
let typed: bool = false;
/** The payload, decoded, with room before it; or {@link ABSENT}. */
export let envelopePayload: View = ABSENT;
/** How many signatures it has. */
export let envelopeCount: u32 = 0;
const signatures = memory.data(32, 8);

/** One of them, decoded. */
export function envelopeSignature(index: u32): View {
  return load<u64>(signatures + (<usize>index << 3));
}

/** Reads the envelope at the cursor. With an error in the reader it is of no use. */
export function readEnvelope(reader: JsonReader): void {
  typed = false;
  envelopePayload = ABSENT;
  envelopeCount = 0;
  if (!reader.beginObject()) return;
  while (reader.nextKey()) {
    switch (memberOf(reader, utf8("payloadType, payload, signatures"))) {
      case 0: typed = readWord(reader, slice(PREFIX, 10, size(PREFIX) - 1)) == 0; break;
      case 1: envelopePayload = readBase64(reader); break;
      case 2: readSignatures(reader);
    }
  }
  if (!typed || envelopePayload == ABSENT) refuse(reader, utf8("too little"), utf8("payloadType and payload"));
}

function readSignatures(reader: JsonReader): void {
  if (!reader.beginArray()) return;
  while (reader.nextElement()) {
    if (envelopeCount == MOST_SIGNATURES) refuse(reader, utf8("many signatures"), utf8("at most 4"));
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      // A key's name is a hint that anybody can write: nothing depends on it.
      if (memberOf(reader, utf8("sig, keyid")) == 0) {
        store<u64>(signatures + (<usize>envelopeCount << 3), readBase64(reader));
        envelopeCount++;
      } else reader.string();
    }
  }
}

/** A string of base64 as bytes, with room before them; {@link ABSENT} with the error set. */
export function readBase64(reader: JsonReader): View {
  const text = reader.string();
  if (text == ABSENT) return ABSENT;
  const at = allocateForCallback((size(text) >> 2) * 3 + 3 + <u32>BEFORE) + BEFORE;
  const bytes = decodeBase64(text, at);
  if (bytes > 0) return view(at, bytes);
  refuse(reader, utf8("something else"), utf8("base64"));
  return ABSENT;
}

/**
 * Is this the signature of the key's owner? The question to Envoy (foreign.proto, VerifySignatureArguments) is written from
 * its end into the room before the payload, so that a large one isn't copied.
 *
 * @param key 91 bytes of DER
 */
export function isSignedBy(key: View, signature: View, payload: View): bool {
  if (size(signature) > MOST_SIGNATURE) return false;
  let at = address(payload);
  const end = at + size(payload);
  store<u8>(--at, 32);
  let rest = size(payload);
  do {
    store<u8>(--at, <u8>(48 + rest % 10));
    rest /= 10;
  } while (rest != 0);
  at = before(at, PREFIX);
  const n = <u32>(end - at);
  at -= 5; // field 4, text, and its length in as many bytes as any takes
  store<u8>(at, 0x22);
  store<u32>(at, (n & 127) | ((n >> 7 & 127) << 8) | ((n >> 14 & 127) << 16) | (n >> 21 << 24) | 0x808080, 1);
  at = before(at, signature) - 2; // field 3, signature
  store<u16>(at, <u16>(size(signature) << 8 | 0x1a));
  at = before(before(at, key), QUESTION);
  const answer = callForeign(utf8("verify_signature"), view(at, <u32>(end - at)));
  // Field 1, result, is true, and there is no error.
  return answer != ABSENT && size(answer) == 2 && load<u16>(address(answer)) == 0x0108;
}

function before(at: usize, text: View): usize {
  at -= size(text);
  memory.copy(at, address(text), size(text));
  return at;
}

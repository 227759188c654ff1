/** Whom the node believes: `"signing": {"keys", "audience", "minimumVersion", "onExpiry"}`, fixed by what is mounted. */
import { ABSENT, View, address, equal, size, utf8 } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { Arena } from "../memory/arena";
import { memberOf, readName, readWord, refuse } from "../read/members";
import { MOST_EXACT } from "./bundle";
import { isSignedBy, readBase64 } from "./envelope";

/** A P-256 key as SubjectPublicKeyInfo in DER is this, then the point's coordinates (RFC 5480). */
const P256 = memory.data<u8>([
  0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
  0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
]);
const KEY_BYTES: u32 = 91;

export class Signing {
  audience: View = ABSENT;
  minimumVersion: i64 = 0;
  /** Is everything denied once the running bundle has expired? */
  deniesExpired: bool = false;
  // One that signs, and one that comes or goes.
  private first: View = ABSENT;
  private second: View = ABSENT;

  configure(reader: JsonReader, arena: Arena): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      switch (memberOf(reader, utf8("keys, audience, minimumVersion, onExpiry"))) {
        case 0: this.readKeys(reader, arena); break;
        case 1: this.audience = keepName(reader, arena); break;
        case 2: this.minimumVersion = readCount(reader, 0, MOST_EXACT); break;
        case 3: this.deniesExpired = readWord(reader, utf8("keep, deny")) == 1;
      }
    }
    if (this.first == ABSENT || this.audience == ABSENT) refuse(reader, utf8("nobody to trust"), utf8("keys and audience"));
  }

  private readKeys(reader: JsonReader, arena: Arena): void {
    if (!reader.beginArray()) return;
    while (reader.nextElement()) {
      const key = readBase64(reader);
      if (key == ABSENT) return;
      if (this.second != ABSENT || size(key) != KEY_BYTES || !equal(address(key), P256, 27)) {
        return refuse(reader, utf8("another key"), utf8("one or two P-256 public keys in DER"));
      }
      this.second = this.first;
      this.first = arena.copy(key);
    }
  }

  /** Did the owner of a trusted key sign this? Every key is tried: which one it was is nobody's to say but the signature's. */
  trusts(signature: View, payload: View): bool {
    return isSignedBy(this.first, signature, payload) || (this.second != ABSENT && isSignedBy(this.second, signature, payload));
  }
}

/** A copy of a name that isn't empty, or {@link ABSENT} with the error set. */
export function keepName(reader: JsonReader, arena: Arena): View {
  const name = readName(reader);
  return name == ABSENT ? ABSENT : arena.copy(name);
}

/** A whole number; negative with the error set. */
export function readCount(reader: JsonReader, least: i64, most: i64): i64 {
  const value = reader.number();
  const count = <i64>value;
  if (<f64>count == value && count >= least && count <= most) return count;
  refuse(reader, utf8("another number"), utf8("a whole one within its limits"));
  return -1;
}

/** Whom the node believes: `"signing": {"keys", "audience", "minimumVersion", "onExpiry"}`, fixed by what is mounted. */
import { ABSENT, View, address, equal, size, utf8, view } from "../../../sdk/assembly/bytes";
import { verifySignature } from "../../../sdk/assembly/foreign";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { Texts } from "../../../sdk/assembly/names";
import { memberOf, readName, readWord, refuse } from "../read/members";
import { decoded } from "./envelope";

/** A P-256 key as SubjectPublicKeyInfo in DER is this, then the point's coordinates (RFC 5480). */
const P256 = memory.data<u8>([
  0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01,
  0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00, 0x04,
]);
const P256_HEAD: u32 = 27;
const KEY_BYTES: u32 = 91;
/** One that signs, and one that comes or goes. */
const MOST_KEYS = 2;

export class Signing {
  audience: View = ABSENT;
  minimumVersion: i64 = 0;
  /** Is everything denied once the running bundle has expired? */
  deniesExpired: bool = false;
  private readonly keys: StaticArray<u64> = new StaticArray<u64>(MOST_KEYS);
  private count: i32 = 0;

  constructor(private readonly texts: Texts) {}

  configure(reader: JsonReader): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      switch (memberOf(reader, utf8("keys, audience, minimumVersion, onExpiry"))) {
        case 0: this.readKeys(reader); break;
        case 1: {
          const name = readName(reader);
          if (name != ABSENT) this.audience = this.texts.keep(name);
          break;
        }
        case 2: this.minimumVersion = reader.integer(0, i64.MAX_VALUE); break;
        case 3: this.deniesExpired = readWord(reader, utf8("keep, deny")) == 1;
      }
    }
    if (this.count == 0 || this.audience == ABSENT) refuse(reader, utf8("nobody to trust"), utf8("'keys' and 'audience'"));
  }

  private readKeys(reader: JsonReader): void {
    if (!reader.beginArray()) return;
    while (reader.nextElement()) {
      const key = decoded(reader);
      if (key == ABSENT) return;
      if (this.count == MOST_KEYS || size(key) != KEY_BYTES || !equal(address(key), P256, P256_HEAD)) {
        return refuse(reader, utf8("something else"), utf8("one or two ECDSA P-256 public keys, as base64 of DER"));
      }
      unchecked((this.keys[this.count++] = this.texts.keep(key)));
    }
  }

  /** Did the owner of a trusted key sign this? Every key is tried: which one it was is nobody's to say but the signature's. */
  trusts(signature: View, text: View): bool {
    for (let i = 0; i < this.count; i++) {
      if (verifySignature(utf8("sha256"), unchecked(this.keys[i]), signature, text)) return true;
    }
    return false;
  }
}

/** One signed bundle: `{"version", "expires", "audience": [node, …], "authz": {policies and what they apply to}}`. */
import { ABSENT, View, address, sameBytes, size, utf8 } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { Authz } from "../authz";
import { Engine } from "../engine";
import { hashBytes } from "../memory/hash";
import { memberOf, refuse } from "../read/members";
import { NODE_SETTINGS, SETTINGS, Settings } from "../settings";
import { Envelope, signedText } from "./envelope";
import { Reason } from "./reasons";
import { Signing } from "./signing";

export class Bundle {
  reason: Reason = Reason.None;
  /** The reason's details, where it has some. */
  error: string = "";
  version: i64 = -1;
  /** Seconds since 1970. */
  expires: i64 = -1;
  /** Of the payload: which bundle it is. */
  hash: u32 = 0;
  readonly engine: Engine = new Engine();
  private addressed: bool = false;

  /** @param payload with room before it (see envelope.ts) */
  constructor(public readonly signature: View, public readonly payload: View) {}

  trusted(signing: Signing): bool {
    return size(this.signature) < 256 && signing.trusts(this.signature, signedText(this.payload));
  }

  /** Compiled, where {@link reason} is none. Whether it has expired, or is newer than another, depends on the day and isn't asked here. */
  open(signing: Signing, authz: Authz): this {
    const reader = new JsonReader(this.payload);
    this.hash = hashOf(this.payload);
    const settings = new Settings();
    this.read(reader, settings, signing.audience);
    if (!reader.finish()) this.reason = Reason.Malformed;
    else if (!this.addressed) this.reason = Reason.Audience;
    else if (this.version < signing.minimumVersion) this.reason = Reason.Version;
    else if (!authz.compile(this.engine, reader, settings)) this.reason = Reason.Policies;
    this.error = reader.error;
    return this;
  }

  private read(reader: JsonReader, settings: Settings, audience: View): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      switch (memberOf(reader, utf8("version, expires, audience, authz"))) {
        case 0: this.version = reader.integer(0, i64.MAX_VALUE); break;
        case 1: this.expires = reader.integer(0, i64.MAX_VALUE); break;
        case 2: this.readAudience(reader, audience); break;
        case 3: this.readSettings(reader, settings);
      }
    }
    if (this.version < 0 || this.expires < 0) refuse(reader, utf8("an incomplete bundle"), utf8("version, expires, audience and authz"));
  }

  private readAudience(reader: JsonReader, audience: View): void {
    if (!reader.beginArray()) return;
    while (reader.nextElement()) this.addressed = sameBytes(reader.string(), audience) || this.addressed;
  }

  private readSettings(reader: JsonReader, settings: Settings): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      const index = memberOf(reader, SETTINGS);
      if (index >= NODE_SETTINGS) refuse(reader, utf8("what the node itself decides"), utf8("it in the mounted configuration"));
      else settings.read(reader, index, this.engine.headers);
    }
  }
}

/** The bundle in an envelope, or one that only says why it isn't trusted. */
export function unseal(envelope: Envelope, signing: Signing, authz: Authz): Bundle {
  let bundle = new Bundle(ABSENT, ABSENT);
  bundle.reason = Reason.Signature;
  for (let i = 0; i < envelope.count && bundle.reason == Reason.Signature; i++) {
    bundle.engine.free();
    bundle = reopened(envelope.signature(i), envelope.payload, signing, authz);
  }
  return bundle;
}

/** A bundle that came with one signature, compiled where it is trusted. */
export function reopened(signature: View, payload: View, signing: Signing, authz: Authz): Bundle {
  const bundle = new Bundle(signature, payload);
  if (bundle.trusted(signing)) return bundle.open(signing, authz);
  bundle.reason = Reason.Signature;
  return bundle;
}

export function hashOf(payload: View): u32 {
  return hashBytes(address(payload), size(payload));
}

/** One signed bundle: `{"version", "expires", "audience": [node, …], "authz": {policies and what they apply to}}`. */
import { ABSENT, View, sameBytes, utf8 } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { Authz } from "../authz";
import { Engine } from "../engine";
import { memberOf, refuse } from "../read/members";
import { NODE_SETTINGS, SETTINGS, Settings } from "../settings";
import { Reason } from "./reasons";
import { readCount } from "./signing";

export class Bundle {
  version: i64 = -1;
  /** Seconds since 1970. */
  expires: i64 = -1;
  readonly engine: Engine = new Engine();
  /** What is wrong with it, or {@link ABSENT}. */
  error: View = ABSENT;

  /** Reads and compiles a payload whose signature holds. Whether it is of today, and newer than another, isn't asked here. */
  open(payload: View, audience: View, authz: Authz): Reason {
    const reader = new JsonReader(payload);
    const settings = new Settings();
    settings.signed = true;
    const addressed = this.read(reader, settings, audience);
    let reason = Reason.None;
    if (!reader.finish()) reason = Reason.Malformed;
    else if (!addressed) reason = Reason.Audience;
    else if (!authz.compile(this.engine, reader, settings)) reason = Reason.Policies;
    this.error = reader.error;
    return reason;
  }

  /** Is it for this audience? */
  private read(reader: JsonReader, settings: Settings, audience: View): bool {
    let addressed = false;
    let named = false;
    if (!reader.beginObject()) return false;
    while (reader.nextKey()) {
      switch (memberOf(reader, utf8("version, expires, audience, authz"))) {
        case 0: this.version = readCount(reader, 0, MOST_EXACT); break;
        case 1: this.expires = readCount(reader, 0, LATEST_EXPIRY); break;
        case 2: {
          named = true;
          if (!reader.beginArray()) return false;
          while (reader.nextElement()) addressed = sameBytes(reader.string(), audience) || addressed;
          break;
        }
        case 3: this.readSettings(reader, settings);
      }
    }
    if (this.version < 0 || this.expires < 0 || !named) refuse(reader, utf8("too little"), utf8("version, expires and audience"));
    return addressed;
  }

  private readSettings(reader: JsonReader, settings: Settings): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      const index = memberOf(reader, SETTINGS);
      if (index >= NODE_SETTINGS) refuse(reader, utf8("a setting of the node"), utf8("it in the mounted configuration"));
      else settings.read(reader, index, this.engine.headers);
    }
  }
}

/** The end of the year 9999: what is beyond was meant as milliseconds. */
const LATEST_EXPIRY: i64 = 253_402_300_799;
/** What a number in JSON can count to: beyond it, two texts stand for one number. */
export const MOST_EXACT: i64 = (1 << 53) - 1;

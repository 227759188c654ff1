/** The filters that one configuration switches on: `{"authz": {…}, "canary": {…}, "telemetry": {…}}`, an absent one is left out. */
import { now } from "../../sdk/assembly/clock";
import { utf8 } from "../../sdk/assembly/bytes";
import { IdentitySource } from "../../sdk/assembly/http/identity";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { Authz } from "../../authz/assembly/authz";
import { Canary } from "../../canary/assembly/canary";
import { Telemetry } from "../../telemetry/assembly/telemetry";

const AUTHZ = utf8("authz");
const CANARY = utf8("canary");
const TELEMETRY = utf8("telemetry");
const IDENTITY = utf8("identity");

export class Edge {
  authz: Authz | null = null;
  canary: Canary | null = null;
  telemetry: Telemetry | null = null;

  /** @param seed makes the unsticky split of each VM differ */
  constructor(private readonly seed: u64) {}

  /** Reads the whole configuration. False: refused, the reader says why; then only {@link free} makes sense. */
  configure(reader: JsonReader): bool {
    let shared: IdentitySource | null = null;
    if (!reader.beginObject(utf8("an object with the configurations of authz, canary and telemetry"))) return false;
    while (reader.nextKey()) {
      if (reader.field(AUTHZ, 0)) {
        const authz = new Authz();
        this.authz = authz;
        authz.configure(reader);
        if (authz.tcp) reader.failWith(utf8("protocol tcp"), utf8("authz.wasm for connections"));
      } else if (reader.field(CANARY, 1)) {
        const canary = new Canary(now() ^ this.seed);
        this.canary = canary;
        canary.configure(reader);
      } else if (reader.field(TELEMETRY, 2)) {
        const telemetry = new Telemetry();
        this.telemetry = telemetry;
        telemetry.configure(reader);
      } else if (reader.field(IDENTITY, 3)) {
        const identity = new IdentitySource();
        shared = identity;
        identity.configure(reader);
      } else reader.unknownField(utf8("authz, canary, telemetry, identity"));
    }
    if (!reader.finish()) return false;
    if (shared !== null) this.share(shared);
    return true;
  }

  /** One source of identity for all: then it is read once per request. */
  private share(identity: IdentitySource): void {
    const authz = this.authz;
    if (authz !== null) authz.identity = identity;
    const canary = this.canary;
    if (canary !== null) canary.identity = identity;
    const telemetry = this.telemetry;
    if (telemetry !== null) telemetry.identity = identity;
  }

  /** Frees what lies outside of the managed heap. */
  free(): void {
    const authz = this.authz;
    if (authz !== null) authz.free();
  }
}

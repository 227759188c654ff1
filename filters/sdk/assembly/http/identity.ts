/**
 * Reads the peer's identity from where the plugin's configuration says: `{"filterState": "selvedge.peer"}`, a read-only
 * filter state that a native filter set from all URI SANs, or else the attribute with the first URI SAN only.
 */
import { ABSENT, View, address, size, utf8, view } from "../bytes";
import { currentCallback } from "../memory";
import { getProperty } from "../properties";
import { JsonReader } from "../json/reader";
import { Peer } from "./peer";

const FIRST_URI_SAN = utf8("connection\0uri_san_peer_certificate");
const FILTER_STATE = utf8("filter_state\0");
const FIELD_FILTER_STATE = utf8("filterState");

/** Which property tells the identity. */
export class IdentitySource {
  private path: View = FIRST_URI_SAN;
  /** Does the property hold all URI SANs? */
  private all: bool = false;

  /** Does the source tell all URI SANs? Only then can an ambiguous certificate be noticed. */
  get complete(): bool {
    return this.all;
  }

  /** Reads `"identity": {…}`. */
  configure(reader: JsonReader): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      if (reader.field(FIELD_FILTER_STATE, 0)) {
        const key = reader.string(utf8("the name of a filter state object"));
        if (key == ABSENT || size(key) == 0) continue;
        const whole = heap.alloc(size(FILTER_STATE) + size(key));
        memory.copy(whole, address(FILTER_STATE), size(FILTER_STATE));
        memory.copy(whole + size(FILTER_STATE), address(key), size(key));
        this.path = view(whole, size(FILTER_STATE) + size(key));
        this.all = true;
      } else reader.unknownField(utf8("filterState"));
    }
  }

  /** Fills `peer`, once per callback and source. */
  load(peer: Peer): void {
    if (loadedIn == currentCallback() && loadedFrom == this.path) return;
    loadedIn = currentCallback();
    loadedFrom = this.path;
    const value = getProperty(this.path);
    if (this.all) peer.list(value);
    else peer.single(value);
  }
}

let loadedIn: u32 = 0;
let loadedFrom: View = 0;

/** The one peer of this module: every filter fused into it reads the same. */
export const peer = new Peer();

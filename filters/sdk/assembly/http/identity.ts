/**
 * Reads the peer's identity from where the plugin's configuration says: `{"filterState": "selvedge.peer"}`, a read-only
 * filter state that a native filter set from all URI SANs; `{"xfcc": "single"}` or `"last"`, a header, where whoever wrote it is
 * trusted; or else the attribute with the first URI SAN only.
 */
import { ABSENT, View, address, sameBytes, size, utf8, view } from "../bytes";
import { currentCallback } from "../memory";
import { getProperty } from "../properties";
import { JsonReader } from "../json/reader";
import { Peer } from "./peer";
import { request } from "./request";
import { readForwardedCertificate } from "./xfcc";

const FIRST_URI_SAN = utf8("connection\0uri_san_peer_certificate");
const FILTER_STATE = utf8("filter_state\0");
const FIELD_FILTER_STATE = utf8("filterState");
const FIELD_XFCC = utf8("xfcc");
const SINGLE = utf8("single");
const LAST = utf8("last");

/** Which property tells the identity. */
export class IdentitySource {
  private path: View = FIRST_URI_SAN;
  /** Does the property hold all URI SANs? */
  private all: bool = false;
  /** {@link SINGLE} or {@link LAST}: the header `x-forwarded-client-cert` instead of a property; else 0. */
  private xfcc: View = 0;

  /** Does the source tell all URI SANs? Only then can an ambiguous certificate be noticed. */
  get complete(): bool {
    return this.all || this.xfcc != 0;
  }

  /** Is it a header that tells? */
  get needsHeaders(): bool {
    return this.xfcc != 0;
  }

  /** Reads `"identity": {…}`. */
  configure(reader: JsonReader): void {
    let sources = 0;
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      sources++;
      if (reader.field(FIELD_FILTER_STATE, 0)) {
        const key = reader.string(utf8("the name of a filter state object"));
        if (key == ABSENT) return;
        if (size(key) == 0) reader.failValue(key, utf8("the name of a filter state object"));
        const whole = heap.alloc(size(FILTER_STATE) + size(key));
        memory.copy(whole, address(FILTER_STATE), size(FILTER_STATE));
        memory.copy(whole + size(FILTER_STATE), address(key), size(key));
        this.path = view(whole, size(FILTER_STATE) + size(key));
        this.all = true;
      } else if (reader.field(FIELD_XFCC, 1)) {
        const which = reader.string(utf8("'single' or 'last'"));
        if (which == ABSENT) return;
        this.xfcc = sameBytes(which, SINGLE) ? SINGLE : LAST;
        if (!sameBytes(which, this.xfcc)) reader.failValue(which, utf8("'single' or 'last'"));
        this.path = this.xfcc;
      } else reader.unknownField(utf8("filterState, xfcc"));
    }
    if (sources != 1) reader.failWith(sources == 0 ? utf8("no source") : utf8("two sources"), utf8("one of filterState, xfcc"));
  }

  /** Fills `peer`, once per callback and source. */
  load(peer: Peer): void {
    if (loadedIn == currentCallback() && loadedFrom == this.path) return;
    loadedIn = currentCallback();
    loadedFrom = this.path;
    if (this.xfcc != 0) {
      request.load();
      readForwardedCertificate(request.headers, this.xfcc == SINGLE, peer);
      return;
    }
    const value = getProperty(this.path);
    // A caller's requests come one after another: what the last one showed was read already.
    if (keptVersion == peer.version && keptFrom == this.path && sameBytes(kept, value)) return;
    keep(value);
    if (this.all) peer.list(kept);
    else peer.single(kept);
    keptFrom = this.path;
    keptVersion = peer.version;
  }
}

let loadedIn: u32 = 0;
let loadedFrom: View = 0;

/** The value that was read last, in memory that outlives the callback; the path that it is of, and what the peer was then. */
let kept: View = ABSENT;
let keptFrom: View = 0;
let keptVersion: u64 = 0;
let room: usize = 0;
let roomSize: u32 = 0;

function keep(value: View): void {
  kept = ABSENT;
  if (value == ABSENT) return;
  const n = size(value);
  if (n > roomSize) {
    if (room != 0) heap.free(room);
    room = heap.alloc(n);
    roomSize = n;
  }
  memory.copy(room, address(value), n);
  kept = view(room, n);
}

/** The one peer of this module: every filter fused into it reads the same. */
export const peer = new Peer();

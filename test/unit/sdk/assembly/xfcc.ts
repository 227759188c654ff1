import { ABSENT, address, size } from "../../../../filters/sdk/assembly/bytes";
import { HeaderPairs } from "../../../../filters/sdk/assembly/headers";
import { Peer } from "../../../../filters/sdk/assembly/http/peer";
import { readForwardedCertificate } from "../../../../filters/sdk/assembly/http/xfcc";
import { atTheEnd } from "./support";

const pairs = new HeaderPairs();
const peer = new Peer();

/** The peer that serialised header pairs tell: its URI, `-` for none, or `ambiguous`. */
export function read(serialised: ArrayBuffer, single: bool): string {
  const bytes = atTheEnd(serialised);
  pairs.over(address(bytes), size(bytes));
  readForwardedCertificate(pairs, single, peer);
  if (peer.ambiguous) return "ambiguous";
  return peer.id == ABSENT ? "-" : String.UTF8.decodeUnsafe(address(peer.id), size(peer.id));
}

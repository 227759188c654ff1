/** Looks a text up in a space of the table: itself, and each of its prefixes and suffixes of a length that the space has. */
import { View, address, size } from "../../../sdk/assembly/bytes";
import { RUNNING_SEED, hashBytes, running } from "../memory/hash";
import { Slot, Table } from "../memory/table";
import { Ip } from "./ip";
import { Network, half, holdsAddress } from "./networks";
import { Kind, LengthNode, Space, keyOf } from "./records";

/** Takes what is found. */
export abstract class Finder {
  abstract found(slot: Slot): void;
}

/** Hands every slot to the finder; without one, says whether there is any. */
export function probe(space: Space, text: View, table: Table, finder: Finder | null): bool {
  const at = address(text);
  const n = size(text);
  if (space.exact != 0 && hit(table.find(keyOf(space.id, Kind.Exact), hashBytes(at, n), at, n), finder)) return true;
  let h = RUNNING_SEED;
  let done: u32 = 0;
  for (let length = space.prefixes; length != 0; length = changetype<LengthNode>(length).next) {
    const wanted = changetype<LengthNode>(length).length;
    if (wanted > n) break;
    while (done < wanted) h = running(h, load<u8>(at + done++));
    if (hit(table.find(keyOf(space.id, Kind.Prefix), h, at, done), finder)) return true;
  }
  h = RUNNING_SEED;
  done = 0;
  for (let length = space.suffixes; length != 0; length = changetype<LengthNode>(length).next) {
    const wanted = changetype<LengthNode>(length).length;
    if (wanted > n) break;
    while (done < wanted) h = running(h, load<u8>(at + n - ++done));
    if (hit(table.find(keyOf(space.id, Kind.Suffix), h, at + n - done, done), finder)) return true;
  }
  return false;
}

/** As {@link probe}, for the ranges that hold an address. */
export function probeNetworks(space: Space, ip: Ip, finder: Finder | null): bool {
  const most: u32 = ip.family == 4 ? 32 : 128;
  let at = ip.family == 4 ? space.networks4 : ip.family == 6 ? space.networks6 : 0;
  while (at != 0) {
    const node = changetype<Network>(at);
    if (!holdsAddress(node, ip)) return false;
    if (node.given && hit(changetype<Slot>(at), finder)) return true;
    if (node.bits == most) return false;
    at = load<usize>(half(node, ip.high, ip.low));
  }
  return false;
}

/** Is the search over? */
// @ts-ignore: decorator
@inline
function hit(slot: Slot | null, finder: Finder | null): bool {
  if (slot === null) return false;
  if (finder === null) return true;
  finder.found(slot);
  return false;
}

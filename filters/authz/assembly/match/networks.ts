/**
 * Ranges of addresses as a prefix trie, one for each family: a look-up passes the ranges that hold the address, from the
 * widest to the narrowest, and few others. Paths without a branch are one node (a "Patricia" trie).
 */
import { Arena } from "../memory/arena";
import { Slot } from "../memory/table";
import { Ip } from "./ip";

/** What is found stands where a {@link Slot} has it, so that either is read alike. */
// @ts-ignore: decorator
@unmanaged
export class Network {
  /** The address, from the left; bits behind its length are zero. */
  high: u64;
  low: u64;
  deny: usize;
  allow: usize;
  layer: usize;
  bits: u32;
  /** A range that was put in, not only a branch. */
  given: bool;
  /** What lies in its lower half, and in its upper half. */
  lower: usize;
  upper: usize;
}

/** The range of `ip` and its bits in the trie whose root is stored at `at`; made if need be. */
export function putNetwork(at: usize, ip: Ip, arena: Arena): Slot {
  const made = changetype<Network>(arena.alloc(offsetof<Network>()));
  made.high = ip.high;
  made.low = ip.low;
  made.bits = ip.bits;
  made.given = true;
  let node = changetype<Network | null>(load<usize>(at));
  while (node !== null) {
    const common = min(commonBits(node, ip.high, ip.low), ip.bits);
    if (common < node.bits) {
      const branch = common == ip.bits ? made : changetype<Network>(arena.alloc(offsetof<Network>()));
      branch.high = highBits(ip.high, common);
      branch.low = lowBits(ip.low, common);
      branch.bits = common;
      store<usize>(half(branch, node.high, node.low), changetype<usize>(node));
      store<usize>(at, changetype<usize>(branch));
      if (branch === made) return changetype<Slot>(made);
      at = half(branch, ip.high, ip.low);
      break;
    }
    if (node.bits == ip.bits) {
      node.given = true;
      return changetype<Slot>(node);
    }
    at = half(node, ip.high, ip.low);
    node = changetype<Network | null>(load<usize>(at));
  }
  store<usize>(at, changetype<usize>(made));
  return changetype<Slot>(made);
}

/** Is the address in the node's range? */
// @ts-ignore: decorator
@inline
export function holdsAddress(node: Network, ip: Ip): bool {
  return commonBits(node, ip.high, ip.low) >= node.bits;
}

/** Where the node's half that the address is in is stored. Only for nodes that aren't a single address. */
// @ts-ignore: decorator
@inline
export function half(node: Network, high: u64, low: u64): usize {
  const bits = node.bits;
  const bit = bits < 64 ? (high >> <u64>(63 - bits)) & 1 : (low >> <u64>(127 - bits)) & 1;
  return changetype<usize>(node) + (bit != 0 ? offsetof<Network>("upper") : offsetof<Network>("lower"));
}

// @ts-ignore: decorator
@inline
function commonBits(node: Network, high: u64, low: u64): u32 {
  const difference = node.high ^ high;
  return difference != 0 ? <u32>clz(difference) : 64 + <u32>clz(node.low ^ low);
}

/** The first `bits` of an address, from its upper half. */
export function highBits(high: u64, bits: u32): u64 {
  return bits == 0 ? 0 : bits >= 64 ? high : (high >> <u64>(64 - bits)) << <u64>(64 - bits);
}

export function lowBits(low: u64, bits: u32): u64 {
  return bits <= 64 ? 0 : (low >> <u64>(128 - bits)) << <u64>(128 - bits);
}

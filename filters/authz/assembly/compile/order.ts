/**
 * The order in which Envoy's RBAC tries policies: that of their names, which istiod writes as
 * `ns[<namespace>]-policy[<name>]-rule[<index>]`. It decides nothing, but says which of several matches is reported.
 */
import { View, address, size, utf8 } from "../../../sdk/assembly/bytes";
import { scratch } from "../memory/arena";
import { Policy, Rule } from "../model";

const BRACKET = utf8("]");

/** The part of the name that tells policies apart, in scratch memory; what comes between orders nothing. */
export function orderOf(policy: Policy): View {
  return scratch.join(scratch.join(policy.namespace, BRACKET), scratch.join(policy.name, BRACKET));
}

export function byName(a: usize, b: usize): i32 {
  const left = changetype<Policy>(a).order;
  const right = changetype<Policy>(b).order;
  const n = min(size(left), size(right));
  for (let i: u32 = 0; i < n; i++) {
    const difference = <i32>load<u8>(address(left) + i) - <i32>load<u8>(address(right) + i);
    if (difference != 0) return difference;
  }
  return <i32>size(left) - <i32>size(right);
}

/** `10` comes before `1`: a bracket, which is greater than any digit, follows the number. */
export function byIndex(a: usize, b: usize): i32 {
  let left = changetype<Rule>(a).index;
  let right = changetype<Rule>(b).index;
  const shorter = i32(left > right) - i32(left < right); // of equal digits, the longer number comes first
  let leftScale: u32 = 1;
  let rightScale: u32 = 1;
  while (left / leftScale >= 10) leftScale *= 10;
  while (right / rightScale >= 10) rightScale *= 10;
  while (leftScale > 0 && rightScale > 0) {
    const difference = <i32>(left / leftScale % 10) - <i32>(right / rightScale % 10);
    if (difference != 0) return difference;
    leftScale /= 10;
    rightScale /= 10;
  }
  return -shorter;
}

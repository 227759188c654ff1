/** Why a bundle isn't taken: also the values of the counter's label `reason`. */
import { View, address, size, utf8, view } from "../../../sdk/assembly/bytes";

/** From `Version` on it depends on the day, and on what was seen before. */
export enum Reason { None = -1, Unreachable, Malformed, Signature, Audience, Policies, Version, Expired }

const WORDS = utf8("unreachable, malformed, signature, audience, policies, version, expired");

export function reasonWord(reason: Reason): View {
  let from = address(WORDS);
  const end = from + size(WORDS);
  let to = from;
  for (let left: i32 = reason; to < end; to++) {
    if (load<u8>(to) != 44) continue;
    if (left-- == 0) break;
    from = to + 2;
  }
  return view(from, <u32>(to - from));
}

/** Why a bundle isn't taken: also the values of the counter's label `reason`. */
import { View, address, size, utf8, view } from "../../../sdk/assembly/bytes";

export enum Reason { None = -1, Unreachable, Malformed, Signature, Audience, Version, Expired, Policies }

const WORDS = utf8("unreachable, malformed, signature, audience, version, expired, policies");

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

/**
 * Where every reading of a path counts, a request's path is looked at decoded, too. A value that is itself written with escapes
 * would not match then, and `/caf%c3%a9` would slip past a DENY of `/caf%C3%A9`. So what restricts stands for its decoded form as well.
 */
import { View, address, indexOf, size, view } from "../../../sdk/assembly/bytes";
import { escaped } from "../match/path-readings";
import { scratch } from "../memory/arena";
import { List, appendText, make, next, textOf } from "../memory/list";

const PERCENT: u8 = 37;

/** The values, and those with escapes without them. */
export function withDecoded(values: List): List {
  let all = values;
  for (let node = values.first; node != 0; node = next(node)) {
    const value = textOf(node);
    if (indexOf(value, PERCENT) < 0) continue;
    if (all == values) {
      all = make<List>();
      for (let each = values.first; each != 0; each = next(each)) appendText(all, textOf(each));
    }
    appendText(all, decoded(value));
  }
  return all;
}

/** An escaped star or brace stays one: decoded it would be an operator. */
function decoded(value: View): View {
  const to = scratch.alloc(size(value));
  let n: u32 = 0;
  for (let at = address(value), end = at + size(value); at < end; at++) {
    let c = load<u8>(at);
    const byte = c == PERCENT ? escaped(at, end) : -1;
    if (byte >= 0 && byte != 42 && byte != 123 && byte != 125) {
      c = <u8>byte;
      at += 2;
    }
    store<u8>(to + n++, c);
  }
  return view(to, n);
}

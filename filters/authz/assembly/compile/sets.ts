/** Compiles the values of one condition. */
import { View, address, size } from "../../../sdk/assembly/bytes";
import { Field, Operation, isIp } from "../fields";
import { decimal, parsedIp } from "../match/ip";
import { Kind, Pattern, Space, StringSet } from "../match/records";
import { List, next, textOf } from "../memory/list";
import { any, issuer, issuerOperation, operation, parse, text } from "./patterns";
import { Spaces } from "./spaces";

/** More texts than this in one list are looked up, not compared one by one. */
const LARGE: u32 = 8;

/** The set's address, or 0 for no values. Texts are copied. */
export function compileSet(field: Field, values: List, policyNamespace: View, spaces: Spaces): usize {
  if (values.count == 0) return 0;
  if (isIp(field)) return compileNetworks(field, values, spaces);
  if (field == Field.Port) return compilePorts(values, spaces);
  const pairs = field == Field.RequestPrincipal;
  const bytes = offsetof<StringSet>() + (<usize>values.count << usize(pairs)) * offsetof<Pattern>();
  const set = changetype<StringSet>(spaces.arena.alloc(bytes));
  const large = values.count > LARGE && field != Field.ServiceAccount && field != Field.TrustDomain && !pairs;
  let at = changetype<usize>(set) + offsetof<StringSet>();
  for (let node = values.first; node != 0; node = next(node)) {
    parse(field, textOf(node), policyNamespace);
    if (pairs) {
      at = putPattern(spaces, at, issuerOperation, issuer);
      at = putPattern(spaces, at, any ? Operation.Any : operation, text);
      set.count++;
    } else if (any) {
      set.any = 1;
    } else if (large && operation <= Operation.Suffix) {
      if (set.space == 0) set.space = changetype<usize>(spaces.create(field, 0));
      spaces.put(changetype<Space>(set.space), <Kind>operation, text);
    } else {
      at = putPattern(spaces, at, operation, text);
      set.count++;
    }
  }
  return changetype<usize>(set);
}

/** Where the next one goes. */
function putPattern(spaces: Spaces, at: usize, operation: Operation, text: View): usize {
  const pattern = changetype<Pattern>(at);
  pattern.operation = operation;
  pattern.size = size(text);
  pattern.at = address(spaces.arena.copy(text));
  return at + offsetof<Pattern>();
}

/** Ranges of addresses are a space. */
function compileNetworks(field: Field, values: List, spaces: Spaces): usize {
  const space = spaces.create(field, 0);
  for (let node = values.first; node != 0; node = next(node)) {
    parsedIp.parse(textOf(node), true);
    spaces.putNetwork(space, parsedIp);
  }
  return changetype<usize>(space);
}

function compilePorts(values: List, spaces: Spaces): usize {
  const set = spaces.arena.alloc(4 + (<usize>values.count << 2));
  store<u32>(set, values.count);
  let at = set;
  for (let node = values.first; node != 0; node = next(node)) store<u32>(at += 4, <u32>decimal(textOf(node), 10, true));
  return set;
}

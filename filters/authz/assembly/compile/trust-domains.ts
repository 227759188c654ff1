/**
 * Trust-domain aliases (istiod's trustdomain bundle): a principal of the mesh's own trust domain, of an alias, or of
 * `cluster.local`, stands for the same workload under each of them.
 */
import { View, address, endsWith, indexOf, sameBytes, size, slice, startsWith, utf8 } from "../../../sdk/assembly/bytes";
import { Field } from "../fields";
import { scratch } from "../memory/arena";
import { List, appendText, holdsText, make, next, textOf } from "../memory/list";

const CLUSTER_LOCAL = utf8("cluster.local");
const STAR: u8 = 42;

/**
 * What the values of a condition stand for.
 *
 * @param trustDomains the mesh's own first, then its aliases
 */
export function expandAliases(field: Field, values: List, trustDomains: List): List {
  if (field != Field.Principal && field != Field.TrustDomain) return values;
  const all = make<List>();
  for (let node = values.first; node != 0; node = next(node)) {
    if (field == Field.Principal) expandPrincipal(textOf(node), trustDomains, all);
    else if (!holdsText(trustDomains, textOf(node))) appendNew(all, textOf(node));
    else {
      for (let own = trustDomains.first; own != 0; own = next(own)) appendNew(all, textOf(own));
    }
  }
  return all;
}

function expandPrincipal(value: View, trustDomains: List, to: List): void {
  const slash = indexOf(value, 47);
  const own = slash < 0 ? value : slice(value, 0, slash);
  const star = size(own) == 1 && load<u8>(address(own)) == STAR;
  if (segments(value) != 5 || star || !(isKnown(own, trustDomains) || sameBytes(own, CLUSTER_LOCAL))) {
    appendText(to, value);
    return;
  }
  for (let node = trustDomains.first; node != 0; node = next(node)) {
    const trustDomain = textOf(node);
    appendNew(to, suffixMatch(trustDomain, own) ? value : scratch.join(trustDomain, slice(value, slash, size(value))));
  }
}

/** Either side may have its wildcard at an end. */
function isKnown(trustDomain: View, trustDomains: List): bool {
  for (let node = trustDomains.first; node != 0; node = next(node)) {
    const known = textOf(node);
    if (sameBytes(known, trustDomain) || suffixMatch(known, trustDomain) || suffixMatch(trustDomain, known)
      || prefixMatch(known, trustDomain) || prefixMatch(trustDomain, known)) return true;
  }
  return false;
}

function segments(value: View): u32 {
  let count: u32 = 1;
  for (let i: u32 = 0; i < size(value); i++) count += u32(load<u8>(address(value) + i) == 47);
  return count;
}

function suffixMatch(text: View, pattern: View): bool {
  return size(pattern) > 0 && load<u8>(address(pattern)) == STAR && endsWith(text, slice(pattern, 1, size(pattern)));
}

function prefixMatch(text: View, pattern: View): bool {
  const n = size(pattern);
  return n > 0 && load<u8>(address(pattern) + n - 1) == STAR && startsWith(text, slice(pattern, 0, n - 1));
}

function appendNew(to: List, value: View): void {
  if (!holdsText(to, value)) appendText(to, value);
}

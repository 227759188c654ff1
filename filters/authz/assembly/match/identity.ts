/**
 * How Istio's regular expressions read a peer's URI, without a regular expression. They look for segments anywhere in the
 * URI, not only where `spiffe://<trust domain>/ns/<namespace>/sa/<account>` has them; we do the same.
 */
import { ABSENT, View, address, equal, size, slice, startsWith, utf8, view } from "../../../sdk/assembly/bytes";

const SCHEME = utf8("spiffe://");
const NS_SLASHES: u32 = 0x2f736e2f; // "/ns/"
const SA: u32 = 0x6173; // "sa"

/** The URI behind `spiffe://`, or {@link ABSENT} for another URI. */
export function withoutScheme(uri: View): View {
  if (uri == ABSENT || !startsWith(uri, SCHEME)) return ABSENT;
  return slice(uri, size(SCHEME), size(uri));
}

/** Where the next `/ns/` starts, at or after `from`; -1: nowhere. */
export function nextNamespace(uri: View, from: u32): i32 {
  const n = size(uri);
  for (let i = from; i + 4 <= n; i++) {
    if (load<u32>(address(uri) + i) == NS_SLASHES) return <i32>i;
  }
  return -1;
}

/** The segment behind the `/ns/` at `at`, or {@link ABSENT} where no slash ends it. */
export function namespaceAt(uri: View, at: u32): View {
  const n = size(uri);
  const start = at + 4;
  for (let i = start; i < n; i++) {
    if (load<u8>(address(uri) + i) == 47) return slice(uri, start, i);
  }
  return ABSENT;
}

/** Does the URI behind `spiffe://` match `.+/ns/<namespace>/(.+/|)sa/<account>(/.+)?`? */
export function hasServiceAccount(id: View, namespace: View, account: View): bool {
  for (let at = nextNamespace(id, 1); at >= 0; at = nextNamespace(id, at + 1)) {
    const found = namespaceAt(id, at);
    if (found == ABSENT || size(found) != size(namespace) || !equal(address(found), address(namespace), size(found))) continue;
    const rest = <u32>at + 5 + size(found);
    for (let sa = nextAccount(id, rest, rest); sa >= 0; sa = nextAccount(id, rest, sa + 1)) {
      if (accountIs(id, sa + 3, account)) return true;
    }
  }
  return false;
}

/** Where the next `sa/` starts that is the first thing behind the namespace, or stands behind some segment of its own. */
export function nextAccount(id: View, rest: u32, from: u32): i32 {
  const n = size(id);
  const start = address(id);
  for (let i = from; i + 3 <= n; i++) {
    if (load<u16>(start + i) != SA || load<u8>(start + i + 2) != 47) continue;
    if (i == rest || (i >= rest + 2 && load<u8>(start + i - 1) == 47)) return <i32>i;
  }
  return -1;
}

/** The segment behind `sa/`. */
export function accountAt(id: View, at: u32): View {
  const n = size(id);
  let end = at;
  while (end < n && load<u8>(address(id) + end) != 47) end++;
  return view(address(id) + at, end - at);
}

function accountIs(id: View, at: u32, account: View): bool {
  const found = accountAt(id, at);
  if (size(found) != size(account) || !equal(address(found), address(account), size(found))) return false;
  const end = at + size(found);
  return end == size(id) || end + 1 < size(id); // the end, or a slash and something
}

/** Is the text as the pattern says, where `*` stands for anything, or for anything but `stop`? */
export function matchesGlob(text: View, pattern: View, stop: u32 = 256): bool {
  const t = address(text);
  const tn = size(text);
  const p = address(pattern);
  const pn = size(pattern);
  let ti: u32 = 0;
  let pi: u32 = 0;
  let star: i32 = -1; // behind the last star of the pattern
  let retry: u32 = 0; // where the text goes on if that star takes one more
  while (ti < tn) {
    if (pi < pn && load<u8>(p + pi) == 42) {
      star = <i32>++pi;
      retry = ti;
    } else if (pi < pn && load<u8>(p + pi) == load<u8>(t + ti)) {
      pi++;
      ti++;
    } else if (star >= 0) {
      if (<u32>load<u8>(t + retry) == stop) return false;
      ti = ++retry;
      pi = <u32>star;
    } else return false;
  }
  while (pi < pn && load<u8>(p + pi) == 42) pi++;
  return pi == pn;
}

/**
 * Host names of listeners and routes: intersection and specificity as Gateway API defines them
 * (apis/v1/httproute_types.go, HTTPRouteSpec.hostnames). `*` stands for any host.
 */

/** True when every host that `inner` matches is also matched by `outer`. */
export function covers(outer: string, inner: string): boolean {
  if (outer === "*" || outer === inner) return true;
  if (!outer.startsWith("*.")) return false;
  // *.example.com covers a.example.com, a.b.example.com and *.a.example.com, not example.com.
  const suffix = outer.slice(1);
  const host = inner.startsWith("*.") ? inner.slice(1) : inner;
  return inner !== "*" && host.endsWith(suffix);
}

/** The hosts that both match: always one of the two, or none. */
export function intersect(a: string, b: string): string | undefined {
  if (covers(a, b)) return b;
  if (covers(b, a)) return a;
  return undefined;
}

/** Orders host names from the most to the least specific: precise first, then by length; ties by text. */
export function compareHostnames(a: string, b: string): number {
  const rank = (host: string): number => (host === "*" ? 2 : host.startsWith("*.") ? 1 : 0);
  return rank(a) - rank(b) || b.length - a.length || (a < b ? -1 : a > b ? 1 : 0);
}

/** The most specific of `hosts` that covers `host`. */
export function mostSpecific(hosts: readonly string[], host: string): string | undefined {
  return hosts.filter((each) => covers(each, host)).sort(compareHostnames)[0];
}

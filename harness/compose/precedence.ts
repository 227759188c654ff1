/**
 * Which rule a request gets, by Gateway API (apis/v1/httproute_types.go, HTTPRouteRule.matches): Exact path, longest
 * PathPrefix, method, most headers, most query parameters; then the oldest route, then its namespace/name, then the
 * first rule. Where a regular expression stands is left to implementations: as in Envoy Gateway, between Exact and PathPrefix.
 */
import { compareHostnames } from "./hostnames.ts";
import type { RouteMatch } from "./schema/httproute.ts";

/** One match of one rule on one virtual host. */
export interface Candidate {
  /** The host name of the route through which it is on this host. */
  hostname: string;
  match: RouteMatch;
  /** `metadata.creationTimestamp`; routes without one come after those with one. */
  created?: string;
  /** `namespace/name` of the route. */
  route: string;
  rule: number;
  index: number;
}

/** A total order: negative when `a` takes precedence over `b`. */
export function comparePrecedence(a: Candidate, b: Candidate): number {
  const left = rank(a.match);
  const right = rank(b.match);
  return (
    compareHostnames(a.hostname, b.hostname) ||
    right.type - left.type ||
    right.length - left.length ||
    right.method - left.method ||
    right.headers - left.headers ||
    right.params - left.params ||
    age(a) - age(b) ||
    compare(a.route, b.route) ||
    a.rule - b.rule ||
    a.index - b.index
  );
}

function rank(match: RouteMatch) {
  const type = match.path?.type ?? "PathPrefix";
  const value = match.path?.value ?? "/";
  return {
    type: type === "Exact" ? 2 : type === "RegularExpression" ? 1 : 0,
    length: [...(type === "PathPrefix" ? trimPrefix(value) : value)].length,
    method: match.method === undefined ? 0 : 1,
    headers: firstByName(match.headers ?? [], (name) => name.toLowerCase()).length,
    params: firstByName(match.queryParams ?? [], (name) => name).length,
  };
}

function age(candidate: Candidate): number {
  return candidate.created === undefined ? Number.MAX_SAFE_INTEGER : Date.parse(candidate.created);
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

/** A path prefix without the trailing slashes, which have no meaning; "" for "/". */
export function trimPrefix(value: string): string {
  return value.replace(/\/+$/, "");
}

/** Only the first of several entries with one name counts. */
export function firstByName<T extends { name: string }>(items: readonly T[], normal: (name: string) => string): T[] {
  const seen = new Set<string>();
  return items.filter((item) => {
    const name = normal(item.name);
    if (seen.has(name)) return false;
    seen.add(name);
    return true;
  });
}

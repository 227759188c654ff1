/** Which route a request takes: envoy.config.route.v3's virtual hosts and matches. Pure. */
import type { HeaderMap, Route } from "../../host/index.ts";
import { bytesToByteString, toByteString } from "../../host/bytes.ts";
import type { FilterState } from "../../host/stream-info.ts";
import type { Match, RouteConfig, RouteTable, StringMatch } from "../schema/routes.ts";
import { fullMatch } from "./regex.ts";

/** A route that a request has taken. */
export interface ServedRoute extends Route {
  config: RouteConfig;
  /** How much of the path (without its query) the match took, for prefix_rewrite. */
  matched: (path: string) => number;
}

export type RouteFinder = (headers: HeaderMap, state: FilterState) => ServedRoute | undefined;

interface Compiled {
  route: ServedRoute;
  matches: (request: RequestView) => boolean;
}

interface RequestView {
  headers: HeaderMap;
  state: FilterState;
  path: string;
  query: () => Map<string, string>;
}

type Predicate<T> = (value: T) => boolean;

export function compileRoutes(table: RouteTable): RouteFinder {
  const exact = new Map<string, Compiled[]>();
  const suffixes: [string, Compiled[]][] = [];
  let fallback: Compiled[] | undefined;
  for (const host of table.virtual_hosts) {
    const routes = host.routes.map((config) => compileRoute(config, host.name));
    for (const domain of host.domains.map((each) => each.toLowerCase())) {
      if (domain === "*") fallback = routes;
      else if (domain.startsWith("*")) suffixes.push([domain.slice(1), routes]);
      else exact.set(domain, routes);
    }
  }
  suffixes.sort(([a], [b]) => b.length - a.length);
  const routesOf = (host: string): Compiled[] | undefined => exact.get(host) ?? suffixes.find(([suffix]) => host.length > suffix.length && host.endsWith(suffix))?.[1] ?? fallback;
  return (headers, state) => {
    const authority = (headers.get(":authority") ?? "").toLowerCase();
    const routes = routesOf(table.ignore_port_in_host_matching ? withoutPort(authority) : authority);
    if (routes === undefined) return undefined;
    const [path, query] = splitPath(headers.get(":path") ?? "");
    let parsed: Map<string, string> | undefined;
    const view: RequestView = { headers, state, path, query: () => (parsed ??= queryParameters(query)) };
    return routes.find(({ matches }) => matches(view))?.route;
  };
}

/** Without `:port`; an IPv6 address keeps its brackets. */
export function withoutPort(authority: string): string {
  const colon = authority.lastIndexOf(":");
  return colon < 0 || authority.lastIndexOf("]") > colon ? authority : authority.slice(0, colon);
}

/** Path and query; the query without its question mark. */
export function splitPath(path: string): [string, string] {
  const at = path.indexOf("?");
  return at < 0 ? [path, ""] : [path.slice(0, at), path.slice(at + 1)];
}

/** The first value of each name, nothing decoded. */
function queryParameters(query: string): Map<string, string> {
  const values = new Map<string, string>();
  for (const part of query.split("&")) {
    const at = part.indexOf("=");
    const name = at < 0 ? part : part.slice(0, at);
    if (part !== "" && !values.has(name)) values.set(name, at < 0 ? "" : part.slice(at + 1));
  }
  return values;
}

function compileRoute(config: RouteConfig, virtualHost: string): Compiled {
  const { takes, matched } = pathMatch(config.match);
  const headers = (config.match.headers ?? []).map(({ name, string_match }) => ({ name: name.toLowerCase(), test: stringMatch(string_match) }));
  const parameters = (config.match.query_parameters ?? []).map(({ name, string_match }) => ({ name: toByteString(name), test: stringMatch(string_match) }));
  const states = (config.match.filter_state ?? []).map(({ key, string_match }) => ({ key, test: stringMatch(string_match) }));
  return {
    route: { name: config.name, virtualHost, config, matched, ...(config.route && { cluster: config.route.cluster }) },
    matches: (request) =>
      takes(request.path) &&
      headers.every(({ name, test }) => request.headers.getAll(name).some(test)) &&
      parameters.every(({ name, test }) => present(request.query().get(name), test)) &&
      states.every(({ key, test }) => present(stateText(request.state, key), test)),
  };
}

function present(value: string | undefined, test: Predicate<string>): boolean {
  return value !== undefined && test(value);
}

function stateText(state: FilterState, key: string): string | undefined {
  const object = state.get(key);
  return object && bytesToByteString(object.value);
}

function stringMatch(match: StringMatch): Predicate<string> {
  if ("safe_regex" in match) return fullMatch(match.safe_regex.regex);
  const wanted = toByteString(match.exact);
  return (value) => value === wanted;
}

function pathMatch(match: Match): { takes: Predicate<string>; matched: (path: string) => number } {
  if ("path" in match) return { takes: (path) => path === match.path, matched: (path) => path.length };
  if ("prefix" in match) return { takes: (path) => path.startsWith(match.prefix), matched: () => match.prefix.length };
  if ("safe_regex" in match) return { takes: fullMatch(match.safe_regex.regex), matched: (path) => path.length };
  const prefix = match.path_separated_prefix;
  return { takes: (path) => path.startsWith(prefix) && (path.length === prefix.length || path[prefix.length] === "/"), matched: () => prefix.length };
}

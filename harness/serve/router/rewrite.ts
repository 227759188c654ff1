/** What a route changes about a request, a response, or a client's mind: header changes, rewrites, redirects. Pure. */
import type { HeaderMap } from "../../host/index.ts";
import { toByteString } from "../../host/bytes.ts";
import { milliseconds } from "../schema/common.ts";
import type { Addition, Redirect, RouteConfig } from "../schema/routes.ts";
import { splitPath, withoutPort, type ServedRoute } from "./match.ts";
import { compileRegex } from "./regex.ts";

const STATUS = { MOVED_PERMANENTLY: 301, FOUND: 302, SEE_OTHER: 303, TEMPORARY_REDIRECT: 307, PERMANENT_REDIRECT: 308 };
const DEFAULT_TIMEOUT_MS = 15_000;

/** Header changes first, then host and path: Envoy's order. `removed`: what no route lets through. */
export function finalizeRequest(route: ServedRoute, headers: HeaderMap, removed: readonly string[] = []): void {
  const { config } = route;
  changeHeaders(headers, config.request_headers_to_remove, config.request_headers_to_add);
  for (const name of removed) headers.remove(name);
  const action = config.route;
  if (!action) return;
  if (action.host_rewrite_literal !== undefined) headers.assign(":authority", toByteString(action.host_rewrite_literal));
  headers.assign(":path", rewritten(route, headers.get(":path") ?? "", action));
}

/** What a filter wrote that no HTTP message can carry, in Envoy's words. */
export function unfitHeader({ entries }: HeaderMap): string | undefined {
  for (let i = 0; i < entries.length; i += 2) {
    if (!/^:?[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/.test(entries[i]!)) return `invalid header name: ${entries[i]}`;
    if (/[\0-\x08\x0a-\x1f\x7f]/.test(entries[i + 1]!)) return `invalid header value for: ${entries[i]}`;
  }
  return undefined;
}

export function finalizeResponse({ config }: ServedRoute, headers: HeaderMap): void {
  changeHeaders(headers, config.response_headers_to_remove, config.response_headers_to_add);
}

/** Milliseconds for the whole exchange; 0: no limit. */
export function routeTimeout({ route }: RouteConfig): number {
  return route?.timeout === undefined ? DEFAULT_TIMEOUT_MS : milliseconds(route.timeout);
}

/** What a header's value says: `%%` is a per cent sign, and nothing else is a command here. */
export function literalValue(value: string): string | undefined {
  return /%(?!%)/.test(value.replaceAll("%%", "")) ? undefined : value.replaceAll("%%", "%");
}

function changeHeaders(headers: HeaderMap, remove: readonly string[] = [], add: readonly Addition[] = []): void {
  for (const name of remove) headers.remove(name);
  for (const { header, append_action } of add) {
    const value = toByteString(literalValue(header.value) ?? header.value);
    if (append_action === "APPEND_IF_EXISTS_OR_ADD") headers.add(header.key, value);
    else headers.set(header.key, value);
  }
}

interface PathChange {
  prefix_rewrite?: string;
  regex_rewrite?: { pattern: { regex: string }; substitution: string };
}

function rewritten(route: ServedRoute, target: string, { prefix_rewrite, regex_rewrite }: PathChange): string {
  if (prefix_rewrite === undefined && regex_rewrite === undefined) return target;
  const [path, query] = splitPath(target);
  const rest = target.length > path.length ? `?${query}` : "";
  if (prefix_rewrite !== undefined) return toByteString(prefix_rewrite) + path.slice(route.matched(path)) + rest;
  const { regex } = compileRegex(regex_rewrite!.pattern.regex);
  const substitution = toByteString(regex_rewrite!.substitution.replaceAll("\\\\", "\\"));
  return path.replace(new RegExp(regex!.source, "gu"), () => substitution) + rest;
}

/** Status and location of a redirect. */
export function redirectTo(route: ServedRoute, redirect: Redirect, headers: HeaderMap): { status: number; location: string } {
  const target = headers.get(":path") ?? "/";
  const scheme = redirect.scheme_redirect ?? headers.get(":scheme") ?? "http";
  const port = redirect.port_redirect === undefined ? "" : `:${redirect.port_redirect}`;
  const host = redirect.host_redirect ?? requestHost(headers, scheme, port !== "");
  return { status: STATUS[redirect.response_code], location: `${scheme}://${host}${port}${redirectPath(route, redirect, target)}` };
}

function redirectPath(route: ServedRoute, redirect: Redirect, target: string): string {
  if (redirect.path_redirect === undefined) return rewritten(route, target, redirect);
  const [path] = splitPath(target);
  return redirect.path_redirect.includes("?") ? redirect.path_redirect : redirect.path_redirect + target.slice(path.length);
}

/** The Host header; without its port where the redirect names one, or where it is what the old scheme implied. */
function requestHost(headers: HeaderMap, scheme: string, newPort: boolean): string {
  const authority = headers.get(":authority") ?? "";
  const host = withoutPort(authority);
  const was = headers.get("x-forwarded-proto");
  const implied = (was === "https" && authority.endsWith(":443")) || (was === "http" && authority.endsWith(":80"));
  return newPort || (scheme !== was && implied) ? host : authority;
}

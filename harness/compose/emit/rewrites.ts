/** Path replacement of URLRewrite and RequestRedirect, by the table in Gateway API's HTTPPathModifier. */
import { trimPrefix } from "../precedence.ts";
import type { PathChange, Protocol } from "../resolve/model.ts";
import type { RequestRedirect, RouteMatch } from "../schema/httproute.ts";
import type { Config } from "./config.ts";

/** For RouteAction. `match` is the one whose prefix is replaced. */
export function rewritePath(change: PathChange, match: RouteMatch): Config {
  if ("full" in change) return { regex_rewrite: { pattern: { regex: "^/.*$" }, substitution: literal(change.full) } };
  return replacePrefix(change.prefix, match);
}

/**
 * /foo/bar under /foo becomes /xyz/bar; with "/" or "" it becomes /bar, and /foo becomes /. Envoy's prefix_rewrite
 * pastes text, so what would leave a double or a missing slash is done with an anchored pattern.
 */
function replacePrefix(replacement: string, match: RouteMatch): Config {
  const from = trimPrefix(match.path?.value ?? "/");
  const to = trimPrefix(replacement);
  if (from !== "" && to !== "") return { prefix_rewrite: to };
  if (from === "") return { prefix_rewrite: `${to}/` };
  return { regex_rewrite: { pattern: { regex: `^${escape(from)}/*` }, substitution: "/" } };
}

const DEFAULT_PORT = { http: 80, https: 443 };

/** envoy.config.route.v3.RedirectAction. The listener tells what the client used where the filter doesn't say. */
export function redirectAction(redirect: RequestRedirect, match: RouteMatch, listener: { protocol: Protocol; port: number }): Config {
  const scheme = redirect.scheme ?? (listener.protocol === "HTTPS" ? "https" : "http");
  const port = redirect.port ?? (redirect.scheme ? DEFAULT_PORT[redirect.scheme] : listener.port);
  // The Host header brings the listener's port along: it must go where another one, even a default one, is meant.
  const shown = port !== DEFAULT_PORT[scheme] || (redirect.hostname === undefined && port !== listener.port);
  const path = redirect.path;
  return {
    scheme_redirect: redirect.scheme,
    host_redirect: redirect.hostname,
    port_redirect: shown ? port : undefined,
    ...(path?.type === "ReplaceFullPath" ? { path_redirect: path.replaceFullPath } : path ? replacePrefix(path.replacePrefixMatch ?? "", match) : {}),
    response_code: RESPONSE_CODES[redirect.statusCode ?? 302],
  };
}

const RESPONSE_CODES: Record<number, string> = {
  301: "MOVED_PERMANENTLY",
  302: "FOUND",
  303: "SEE_OTHER",
  307: "TEMPORARY_REDIRECT",
  308: "PERMANENT_REDIRECT",
};

/** A backslash starts a group reference in RE2's substitution. */
function literal(text: string): string {
  return text.replaceAll("\\", "\\\\");
}

function escape(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|]/g, "\\$&");
}

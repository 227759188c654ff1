/** Filters that come after authorization and change what was authorized. */
import type { Report } from "../compose/report.ts";
import type { Path, Source } from "../compose/source.ts";
import { fieldsOf, typeOf, type Fields } from "./fields.ts";
import { pluginOf, unwrapped, type Plugin } from "./plugin.ts";

/** Last part of the configuration's type → what it can do to a request. */
const CHANGERS: Record<string, string> = {
  Lua: "a script can rewrite the request and have it routed again",
  ExternalProcessor: "an external processor can rewrite the request and have it routed again",
  HeaderMutation: "it rewrites headers that policies compare",
  GrpcJsonTranscoder: "it rewrites the path and has the request routed again",
  GrpcHttp1ReverseBridge: "it rewrites headers that policies compare",
  FilterConfig: "it may rewrite the request",
  DynamicModuleFilter: "a module can rewrite the request and have it routed again",
  Config: "it may rewrite the request",
  TransformConfig: "it may rewrite the request",
  Composite: "it runs filters that a matcher chooses, and they may rewrite the request",
  FilterChain: "its filters may rewrite the request",
};
/** Type names that are too common to judge by: only with these filter names. */
const NAMED: Record<string, RegExp> = { Config: /golang|header_to_metadata|json_to_metadata/, FilterConfig: /transform|grpc_http1_bridge|on_demand/ };

export function lintChain(filters: Fields[], authorizing: Plugin[], at: Path, source: Source, report: Report): void {
  const last = Math.max(...authorizing.map((plugin) => plugin.index));
  filters.forEach((filter, i) => {
    if (i <= last) return;
    const what = changes(filter, i);
    if (!what) return;
    report.warn("routing-after-authorization", source, [...at, i], `${String(filter.name)} comes after the authorization filter: ${what}, and that is not authorized any more`, { fix: "move it before the authorization filter" });
  });
}

function changes(filter: Fields, index: number): string | undefined {
  const config = unwrapped(filter, []).typed;
  const type = typeOf(config);
  if (filter.disabled === true) return undefined;
  const discovered = fieldsOf(filter.config_discovery).type_urls;
  if (Array.isArray(discovered)) return discovered.map((url) => CHANGERS[String(url).split(".").at(-1)!]).find((what) => what !== undefined);
  if (type === "Wasm") {
    // Ours change the route as far as a weighted rule says so, and then to an arm with the same policies.
    return pluginOf(filter, index, [])?.known ? undefined : "a module can rewrite the request and have it routed again";
  }
  if (clearsRouteCache(config)) return "it has the request routed again";
  const named = NAMED[type];
  if (named && !named.test(String(filter.name))) return undefined;
  return CHANGERS[type];
}

/** Itself, or for a provider of tokens. */
function clearsRouteCache(config: Fields): boolean {
  return [config, ...Object.values(fieldsOf(config.providers)).map(fieldsOf)].some((each) => each.clear_route_cache === true || each.clear_route_cache_for_headers === true);
}

/** envoy.config.route.v3.RouteMatch from an HTTPRoute match. */
import { firstByName, trimPrefix } from "../precedence.ts";
import type { RouteMatch } from "../schema/httproute.ts";
import type { Config } from "./config.ts";

/** Where the canary filter leaves its choice: property `selvedge_arm`, which Envoy keeps under this key. */
export const ARM_KEY = "wasm.selvedge_arm";

/** @param arm for an arm's route: matches only once the canary filter has chosen it. */
export function routeMatch(match: RouteMatch, arm?: string): Config {
  const headers = firstByName(match.headers ?? [], (name) => name.toLowerCase()).map(({ name, type, value }) => ({
    name: name.toLowerCase(),
    string_match: stringMatch(type, value),
  }));
  if (match.method !== undefined) headers.unshift({ name: ":method", string_match: { exact: match.method } });
  const params = firstByName(match.queryParams ?? [], (name) => name).map(({ name, type, value }) => ({
    name,
    string_match: stringMatch(type, value),
  }));
  return {
    ...pathMatch(match),
    headers: headers.length > 0 ? headers : undefined,
    query_parameters: params.length > 0 ? params : undefined,
    filter_state: arm === undefined ? undefined : [{ key: ARM_KEY, string_match: { exact: arm } }],
  };
}

function stringMatch(type: string | undefined, value: string): Config {
  return type === "RegularExpression" ? { safe_regex: { regex: value } } : { exact: value };
}

function pathMatch({ path }: RouteMatch): Config {
  const value = path?.value ?? "/";
  switch (path?.type) {
    case "Exact":
      return { path: value };
    case "RegularExpression":
      return { safe_regex: { regex: value } };
    default: {
      const prefix = trimPrefix(value);
      // Element-wise: /abc takes /abc and /abc/def, not /abcd.
      return prefix === "" ? { prefix: "/" } : { path_separated_prefix: prefix };
    }
  }
}

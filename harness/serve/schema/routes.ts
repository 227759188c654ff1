/** Virtual hosts and routes: envoy.config.route.v3, as far as the host engine serves them. */
import { Type, type Static } from "@sinclair/typebox";
import { JWT_FILTER, JwtPerRoute } from "./jwt.ts";
import { Count, Duration, object, oneOf, optional, Regex, StringMatch } from "./common.ts";

const named = object({ name: Type.String(), string_match: StringMatch });

const match = {
  headers: optional(Type.Array(named)),
  query_parameters: optional(Type.Array(named)),
  filter_state: optional(Type.Array(object({ key: Type.String(), string_match: StringMatch }))),
};
export const Match = Type.Union(
  [
    object({ path: Type.String(), ...match }),
    object({ prefix: Type.String(), ...match }),
    object({ path_separated_prefix: Type.String(), ...match }),
    object({ safe_regex: Regex, ...match }),
  ],
  { expected: "path, prefix, path_separated_prefix or safe_regex, with headers, query_parameters and filter_state" },
);

const regexRewrite = object({ pattern: Regex, substitution: Type.String() });

export const Retry = object({
  retry_on: Type.String({ pattern: "^(connect-failure|refused-stream|reset|retriable-status-codes)(,(connect-failure|refused-stream|reset|retriable-status-codes))*$" }),
  num_retries: Count,
  retriable_status_codes: optional(Type.Array(Count)),
  per_try_timeout: optional(Duration),
  retry_back_off: optional(object({ base_interval: Duration, max_interval: Duration })),
});

export const Action = object({
  cluster: Type.String(),
  host_rewrite_literal: optional(Type.String()),
  prefix_rewrite: optional(Type.String()),
  regex_rewrite: optional(regexRewrite),
  timeout: optional(Duration),
  retry_policy: optional(Retry),
  upgrade_configs: optional(Type.Array(object({ upgrade_type: Type.Literal("websocket") }))),
  request_mirror_policies: optional(
    Type.Array(object({ cluster: Type.String(), runtime_fraction: object({ default_value: object({ numerator: Count, denominator: Type.Literal("MILLION") }) }) })),
  ),
});

export const Redirect = object({
  scheme_redirect: optional(oneOf("http", "https")),
  host_redirect: optional(Type.String()),
  port_redirect: optional(Count),
  path_redirect: optional(Type.String()),
  prefix_rewrite: optional(Type.String()),
  regex_rewrite: optional(regexRewrite),
  response_code: oneOf("MOVED_PERMANENTLY", "FOUND", "SEE_OTHER", "TEMPORARY_REDIRECT", "PERMANENT_REDIRECT"),
});

const addition = object({ header: object({ key: Type.String(), value: Type.String() }), append_action: oneOf("APPEND_IF_EXISTS_OR_ADD", "OVERWRITE_IF_EXISTS_OR_ADD") });

export const RouteConfig = object({
  name: Type.String(),
  match: Match,
  route: optional(Action),
  redirect: optional(Redirect),
  direct_response: optional(object({ status: Type.Integer({ minimum: 200, maximum: 599 }) })),
  typed_per_filter_config: optional(object({ [JWT_FILTER]: optional(JwtPerRoute) })),
  request_headers_to_add: optional(Type.Array(addition)),
  request_headers_to_remove: optional(Type.Array(Type.String())),
  response_headers_to_add: optional(Type.Array(addition)),
  response_headers_to_remove: optional(Type.Array(Type.String())),
});

export const VirtualHost = object({ name: Type.String(), domains: Type.Array(Type.String()), routes: Type.Array(RouteConfig) });

export const RouteTable = object({ name: Type.String(), ignore_port_in_host_matching: Type.Boolean(), virtual_hosts: Type.Array(VirtualHost), request_headers_to_remove: optional(Type.Array(Type.String())) });

export type Match = Static<typeof Match>;
export type StringMatch = Static<typeof StringMatch>;
export type Retry = Static<typeof Retry>;
export type Action = Static<typeof Action>;
export type Redirect = Static<typeof Redirect>;
export type Addition = Static<typeof addition>;
export type RouteConfig = Static<typeof RouteConfig>;
export type VirtualHost = Static<typeof VirtualHost>;
export type RouteTable = Static<typeof RouteTable>;

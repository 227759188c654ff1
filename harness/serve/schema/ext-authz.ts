/** envoy.filters.http.ext_authz behind a matcher on the authz filter's mark, as far as the host engine serves it. */
import { Type, type Static } from "@sinclair/typebox";
import { any, Count, Duration, extension, object, optional } from "./common.ts";

const Name = Type.Union(
  [object({ exact: Type.String(), ignore_case: Type.Literal(true) }), object({ prefix: Type.String(), ignore_case: Type.Literal(true) }), object({ suffix: Type.String(), ignore_case: Type.Literal(true) })],
  { expected: "exact, prefix or suffix, with ignore_case" },
);
const Names = optional(object({ patterns: Type.Array(Name) }));

const HttpService = object({
  server_uri: object({ uri: Type.String(), cluster: Type.String(), timeout: Duration }),
  path_prefix: optional(Type.String()),
  authorization_request: optional(object({ headers_to_add: Type.Array(object({ key: Type.String(), value: Type.String() })) })),
  authorization_response: optional(object({ allowed_upstream_headers: Names, allowed_client_headers: Names, allowed_client_headers_on_success: Names })),
});

const ExtAuthz = extension("envoy.filters.http.ext_authz", "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz", {
  stat_prefix: Type.String(),
  transport_api_version: Type.Literal("V3"),
  failure_mode_allow: optional(Type.Literal(true)),
  status_on_error: object({ code: Type.Integer({ minimum: 200, maximum: 599 }) }),
  clear_route_cache: Type.Literal(false),
  with_request_body: optional(object({ max_request_bytes: Count, allow_partial_message: optional(Type.Boolean()), pack_as_bytes: optional(Type.Boolean()) })),
  allowed_headers: Names,
  http_service: optional(HttpService),
  grpc_service: optional(object({ envoy_grpc: object({ cluster_name: Type.String(), authority: Type.String() }), timeout: Duration })),
});

const skip = object({ action: extension("skip", "envoy.extensions.filters.common.matcher.action.v3.SkipFilter", {}) });

export const CustomFilter = object({
  name: Type.String(),
  typed_config: any("envoy.extensions.common.matching.v3.ExtensionWithMatcher", {
    xds_matcher: object({
      matcher_tree: object({
        input: extension("mark", "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput", { key: Type.String() }),
        exact_match_map: object({ map: Type.Record(Type.String(), skip) }),
      }),
    }),
    extension_config: ExtAuthz,
  }),
});

export type CustomConfig = Static<typeof CustomFilter>["typed_config"];
export type ExtAuthzConfig = Static<typeof ExtAuthz>["typed_config"];
export type NamePatterns = Static<typeof Names>;

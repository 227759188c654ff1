/** envoy.filters.http.jwt_authn, as far as the host engine serves it: any of some issuers' tokens, or none. */
import { Type, type Static } from "@sinclair/typebox";
import { any, Count, Duration, extension, object, optional } from "./common.ts";

export const JWT_FILTER = "envoy.filters.http.jwt_authn";
const TYPE = "envoy.extensions.filters.http.jwt_authn.v3";

const Names = optional(Type.Array(Type.String(), { minItems: 1 }));

const RemoteKeys = object({
  http_uri: object({ uri: Type.String({ pattern: "^https?://" }), cluster: Type.String(), timeout: Duration }),
  cache_duration: Duration,
  async_fetch: object({ fast_listener: Type.Literal(true), failed_refetch_duration: Duration }),
  retry_policy: object({ num_retries: Count }),
});

const Provider = object({
  issuer: Type.String({ minLength: 1 }),
  audiences: Names,
  local_jwks: optional(object({ inline_string: Type.String() })),
  remote_jwks: optional(RemoteKeys),
  from_headers: optional(Type.Array(object({ name: Type.String(), value_prefix: optional(Type.String()) }), { minItems: 1 })),
  from_params: Names,
  from_cookies: Names,
  forward: optional(Type.Literal(true)),
  forward_payload_header: optional(Type.String()),
  claim_to_headers: optional(Type.Array(object({ header_name: Type.String(), claim_name: Type.String() }))),
  payload_in_metadata: Type.String({ minLength: 1 }),
  normalize_payload_in_metadata: object({ space_delimited_claims: Type.Array(Type.String(), { minItems: 1 }) }),
});

const Requirement = object({
  requires_any: object({
    requirements: Type.Array(Type.Union([object({ provider_name: Type.String() }), object({ allow_missing: object({}) })], { expected: "{ provider_name } or { allow_missing: {} }" }), { minItems: 1 }),
  }),
});

export const JwtFilterConfig = extension(JWT_FILTER, `${TYPE}.JwtAuthentication`, {
  providers: Type.Record(Type.String(), Provider),
  requirement_map: Type.Record(Type.String(), Requirement),
  bypass_cors_preflight: Type.Literal(true),
});

export const JwtPerRoute = any(`${TYPE}.PerRouteConfig`, { requirement_name: Type.String() });

export type JwtConfig = Static<typeof JwtFilterConfig>["typed_config"];
export type JwtProviderConfig = Static<typeof Provider>;
export type JwtRequirementConfig = Static<typeof Requirement>;
export type RemoteKeysConfig = Static<typeof RemoteKeys>;

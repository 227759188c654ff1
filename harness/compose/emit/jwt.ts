/**
 * envoy.filters.http.jwt_authn from RequestAuthentications, as istiod writes it: a request without a token passes, and one
 * with a token that isn't valid is answered 401. The payload becomes dynamic metadata, where authorization reads it.
 */
import { isIP } from "node:net";
import { seconds } from "../duration.ts";
import { authenticationsOf, authenticationsOfGateway } from "../resolve/authentication.ts";
import { rulesOf } from "../resolve/index.ts";
import type { Authentication, GatewayModel, JwtProvider, Model, RuleModel } from "../resolve/model.ts";
import { extension, socketAddress, statName, typed, type Config } from "./config.ts";
import type { Files } from "./files.ts";
import { upstreamTls } from "./tls.ts";

export const JWT_FILTER = "envoy.filters.http.jwt_authn";
const TYPE = "envoy.extensions.filters.http.jwt_authn.v3";

/** Split at spaces besides those that a rule names. */
const SPACE_DELIMITED = ["scope", "permission"];

export interface GatewayJwt {
  /** Ahead of authorization. */
  filter: Config;
  /** A route's typed_per_filter_config; undefined: its requests' tokens are nobody's concern. */
  perRoute: (rule: RuleModel) => Config | undefined;
  /** Hosts that have keys, by cluster name. */
  clusters: Map<string, Config>;
}

/** Undefined where no RequestAuthentication holds for anything behind this Gateway. */
export function gatewayJwt(gateway: GatewayModel, model: Model, rootNamespace: string, files: Files): GatewayJwt | undefined {
  const first = authenticationsOfGateway(gateway, model.authentications, rootNamespace);
  const applying = (rule: RuleModel): Authentication[] => {
    const those = first.length > 0 ? first : authenticationsOf(rule, model.authentications, rootNamespace);
    return those.filter(({ providers }) => providers.length > 0);
  };
  const requirements = new Map<string, JwtProvider[]>();
  for (const rule of rulesOf(gateway)) {
    const those = applying(rule);
    if (those.length > 0) requirements.set(requirementName(those), those.flatMap(({ providers }) => providers));
  }
  if (requirements.size === 0) return undefined;
  const providers = new Map([...requirements.values()].flat().map((each) => [each.name, each]));
  const clusters = new Map<string, Config>();
  for (const { remote } of providers.values()) if (remote) clusters.set(clusterName(remote), keyCluster(remote, files));
  return {
    filter: extension(JWT_FILTER, `${TYPE}.JwtAuthentication`, {
      providers: Object.fromEntries([...providers].map(([name, each]) => [name, provider(each)])),
      requirement_map: Object.fromEntries([...requirements].map(([name, each]) => [name, requirement(each)])),
      bypass_cors_preflight: true,
    }),
    perRoute: (rule) => {
      const those = applying(rule);
      return those.length === 0 ? undefined : { [JWT_FILTER]: typed(`${TYPE}.PerRouteConfig`, { requirement_name: requirementName(those) }) };
    },
    clusters,
  };
}

const requirementName = (those: Authentication[]): string => those.map(({ resource }) => resource.id).join(" ");

/** Any of the rules, or no token at all. */
function requirement(providers: JwtProvider[]): Config {
  return { requires_any: { requirements: [...providers.map(({ name }): Config => ({ provider_name: name })), { allow_missing: {} }] } };
}

function provider({ rule, remote }: JwtProvider): Config {
  return {
    issuer: rule.issuer,
    audiences: rule.audiences?.length ? rule.audiences : undefined,
    local_jwks: rule.jwks === undefined ? undefined : { inline_string: rule.jwks },
    remote_jwks: remote && {
      http_uri: { uri: remote.uri, cluster: clusterName(remote), timeout: seconds(remote.timeout) },
      cache_duration: "300s",
      // Fetched ahead of requests, and what was fetched is kept while the host can't be reached.
      async_fetch: { fast_listener: true, failed_refetch_duration: "10s" },
      retry_policy: { num_retries: 2 },
    },
    from_headers: rule.fromHeaders?.map(({ name, prefix }) => ({ name, value_prefix: prefix })),
    from_params: rule.fromParams,
    from_cookies: rule.fromCookies,
    forward: rule.forwardOriginalToken ? true : undefined,
    forward_payload_header: rule.outputPayloadToHeader,
    claim_to_headers: rule.outputClaimToHeaders?.map(({ header, claim }) => ({ header_name: header, claim_name: claim })),
    payload_in_metadata: "payload",
    normalize_payload_in_metadata: { space_delimited_claims: [...new Set([...SPACE_DELIMITED, ...(rule.spaceDelimitedClaims ?? [])])] },
  };
}

type Remote = NonNullable<JwtProvider["remote"]>;

const clusterName = ({ host, port, tls }: Remote): string => `jwks/${tls ? "" : "http/"}${host}:${port}`;

function keyCluster(remote: Remote, files: Files): Config {
  const { host, port, tls } = remote;
  const byName = isIP(host) === 0;
  const name = clusterName(remote);
  return {
    name,
    alt_stat_name: statName(name).replaceAll(":", "_"),
    type: byName ? "STRICT_DNS" : "STATIC",
    ...(byName ? { dns_lookup_family: "V4_PREFERRED", respect_dns_ttl: true } : {}),
    connect_timeout: "5s",
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress(host, port) } }] }] },
    transport_socket: tls ? upstreamTls(tls, undefined, "http/1.1", files) : undefined,
  };
}

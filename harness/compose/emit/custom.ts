/**
 * envoy.filters.http.ext_authz for each provider, behind authorization, as istiod writes it. It runs for every request but
 * those that authorization marked as another's or nobody's: a request without a mark, whatever the reason, is not let off.
 */
import { parseDuration, seconds } from "../duration.ts";
import type { Provider } from "../resolve/model.ts";
import type { HttpProvider } from "../schema/provider.ts";
import { extension, typed, type Config } from "./config.ts";

const TYPE = "envoy.extensions.filters.http.ext_authz.v3.ExtAuthz";
/** The mark of a request that no provider need see. */
const NOBODY = "-";
/** Istio would wait for ten minutes. */
const DEFAULT_TIMEOUT = 5_000;

export const providerCluster = (name: string): string => `ext_authz/${name}`;

/** @param others names of the other providers on this Gateway @param key filter state of the mark */
export function providerFilter(provider: Provider, others: string[], key: string): Config {
  const skip = { action: extension("skip", "envoy.extensions.filters.common.matcher.action.v3.SkipFilter") };
  return {
    name: `selvedge.custom.${provider.name}`,
    typed_config: typed("envoy.extensions.common.matching.v3.ExtensionWithMatcher", {
      xds_matcher: {
        matcher_tree: {
          input: extension("mark", "envoy.extensions.matching.common_inputs.network.v3.FilterStateInput", { key: `wasm.${key}` }),
          exact_match_map: { map: Object.fromEntries([NOBODY, ...others].map((name) => [name, skip])) },
        },
      },
      extension_config: extension("envoy.filters.http.ext_authz", TYPE, extAuthz(provider)),
    }),
  };
}

function extAuthz({ name, backend, grpc, http }: Provider): Config {
  const common = (grpc ?? http)!;
  const timeout = seconds(common.timeout === undefined ? DEFAULT_TIMEOUT : parseDuration(common.timeout));
  const body = common.includeRequestBodyInCheck;
  return {
    stat_prefix: name.replaceAll(".", "_"),
    transport_api_version: "V3",
    failure_mode_allow: common.failOpen === true ? true : undefined,
    status_on_error: { code: Number(common.statusOnError ?? 403) },
    clear_route_cache: false,
    with_request_body: body && { max_request_bytes: body.maxRequestBytes ?? 1024, allow_partial_message: body.allowPartialMessage, pack_as_bytes: body.packAsBytes },
    // Envoy would send the cluster's name, which is no host that a server takes.
    ...(http ? httpService(name, http, timeout) : { grpc_service: { envoy_grpc: { cluster_name: providerCluster(name), authority: `${backend.name}.${backend.namespace}` }, timeout } }),
  };
}

function httpService(name: string, http: HttpProvider, timeout: string): Config {
  const response: Config = {
    allowed_upstream_headers: patterns(http.headersToUpstreamOnAllow),
    allowed_client_headers: patterns(http.headersToDownstreamOnDeny),
    allowed_client_headers_on_success: patterns(http.headersToDownstreamOnAllow),
  };
  const added = Object.entries(http.includeAdditionalHeadersInCheck ?? {}).map(([key, value]) => ({ key, value }));
  return {
    allowed_headers: patterns(http.includeRequestHeadersInCheck),
    http_service: {
      server_uri: { uri: `http://${name}`, cluster: providerCluster(name), timeout },
      path_prefix: http.pathPrefix,
      authorization_request: added.length > 0 ? { headers_to_add: added } : undefined,
      authorization_response: Object.values(response).some((each) => each !== undefined) ? response : undefined,
    },
  };
}

function patterns(names: string[] | undefined): Config | undefined {
  return names && { patterns: names.map((name): Config => {
    if (name.endsWith("*")) return { prefix: name.slice(0, -1), ignore_case: true };
    return name.startsWith("*") ? { suffix: name.slice(1), ignore_case: true } : { exact: name, ignore_case: true };
  }) };
}

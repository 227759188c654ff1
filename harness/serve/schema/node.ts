/** The bootstrap and its clusters, as far as the host engine serves them. */
import { Type, type Static } from "@sinclair/typebox";
import { Address, any, Count, Duration, extension, object, oneOf, optional, Regex } from "./common.ts";
import { Http2Options, ListenerConfig, UpstreamTls } from "./listener.ts";

const PROTOCOL_OPTIONS = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

export const ClusterConfig = object({
  name: Type.String(),
  alt_stat_name: optional(Type.String()),
  type: oneOf("STATIC", "STRICT_DNS"),
  dns_lookup_family: optional(Type.Literal("V4_PREFERRED")),
  // Names are looked up for each new connection, so a name's lifetime is the resolver's affair.
  respect_dns_ttl: optional(Type.Literal(true)),
  connect_timeout: Duration,
  // What fetches keys leaves these to Envoy's defaults.
  per_connection_buffer_limit_bytes: optional(Count),
  lb_policy: optional(Type.Literal("LEAST_REQUEST")),
  circuit_breakers: optional(object({
    thresholds: Type.Tuple([
      object({
        max_connections: Count,
        max_pending_requests: Count,
        max_requests: Count,
        retry_budget: object({ budget_percent: object({ value: Type.Number() }), min_retry_concurrency: Count }),
      }),
    ]),
  })),
  load_assignment: object({
    cluster_name: Type.String(),
    endpoints: Type.Tuple([object({ lb_endpoints: Type.Array(object({ endpoint: object({ address: Address }) })) })]),
  }),
  typed_extension_protocol_options: optional(object({
    [PROTOCOL_OPTIONS]: any(PROTOCOL_OPTIONS, {
      common_http_protocol_options: object({ idle_timeout: Duration }),
      explicit_http_config: Type.Union([object({ http_protocol_options: object({}) }), object({ http2_protocol_options: Http2Options })]),
    }),
  })),
  upstream_connection_options: optional(object({ tcp_keepalive: object({ keepalive_time: Count }) })),
  transport_socket: optional(UpstreamTls),
});

const connections = extension("envoy.resource_monitors.global_downstream_max_connections", "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig", {
  max_active_downstream_connections: Count,
});

export const NodeConfig = object({
  node: object({ id: Type.String(), cluster: Type.String() }),
  admin: optional(object({ address: Address, ignore_global_conn_limit: optional(Type.Literal(true)) })),
  static_resources: object({ listeners: Type.Array(ListenerConfig), clusters: Type.Array(ClusterConfig) }),
  stats_config: object({
    stats_tags: Type.Array(object({ tag_name: Type.String(), regex: Type.String() })),
    histogram_bucket_settings: Type.Array(object({ match: object({ prefix: Type.String() }), buckets: Type.Array(Type.Number()) })),
    stats_matcher: object({ exclusion_list: object({ patterns: Type.Array(object({ safe_regex: Regex })) }) }),
  }),
  overload_manager: object({ resource_monitors: Type.Tuple([connections], { expected: "a limit on connections alone: Node's heap can't be shed as Envoy's can" }) }),
  // Sizes of RE2's programs: there are none here.
  layered_runtime: object({ layers: Type.Tuple([object({ name: Type.String(), static_layer: object({ "re2.max_program_size.error_level": Count, "re2.max_program_size.warn_level": Count }) })]) }),
});

export { PROTOCOL_OPTIONS };
export type NodeConfig = Static<typeof NodeConfig>;
export type ClusterConfig = Static<typeof ClusterConfig>;

/** Listeners, TLS and the HTTP connection manager, as far as the host engine serves them. */
import { Type, type Static } from "@sinclair/typebox";
import { Address, any, Count, DataSource, Duration, extension, object, oneOf, optional } from "./common.ts";
import { CustomFilter } from "./ext-authz.ts";
import { JwtFilterConfig } from "./jwt.ts";
import { RouteTable } from "./routes.ts";

const certificate = object({ certificate_chain: DataSource, private_key: DataSource });
const tlsVersion = oneOf("TLSv1_2", "TLSv1_3");
const alpn = oneOf("h2", "http/1.1");

const DownstreamTls = object({
  name: Type.Literal("envoy.transport_sockets.tls"),
  typed_config: any("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", {
    common_tls_context: object({
      tls_params: object({ tls_minimum_protocol_version: tlsVersion }),
      alpn_protocols: optional(Type.Array(alpn)),
      tls_certificates: Type.Array(certificate, { minItems: 1 }),
      validation_context: optional(object({ trusted_ca: DataSource })),
    }),
    require_client_certificate: Type.Boolean(),
  }),
});

export const UpstreamTls = object({
  name: Type.Literal("envoy.transport_sockets.tls"),
  typed_config: any("envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext", {
    common_tls_context: object({
      tls_params: object({ tls_minimum_protocol_version: tlsVersion, tls_maximum_protocol_version: tlsVersion }),
      alpn_protocols: optional(Type.Array(alpn)),
      tls_certificates: optional(Type.Array(certificate, { minItems: 1, maxItems: 1 })),
      validation_context: object({
        trusted_ca: DataSource,
        match_typed_subject_alt_names: Type.Array(object({ san_type: oneOf("DNS", "URI"), matcher: object({ exact: Type.String() }) }), { minItems: 1 }),
      }),
    }),
    sni: Type.String(),
  }),
});

const capabilities = optional(object({ allowed_capabilities: Type.Record(Type.String(), object({})) }));

const WasmPlugin = object({
  name: Type.String(),
  root_id: Type.String(),
  failure_policy: oneOf("FAIL_RELOAD", "FAIL_OPEN", "FAIL_CLOSED"),
  reload_config: optional(object({ backoff: object({ base_interval: Duration }) })),
  vm_config: object({
    vm_id: Type.String(),
    runtime: Type.Literal("envoy.wasm.runtime.v8"),
    code: object({ local: object({ filename: Type.String() }) }),
    capability_restriction_config: capabilities,
  }),
  capability_restriction_config: capabilities,
  configuration: any("google.protobuf.StringValue", { value: Type.String() }),
});

const Wasm = object({ name: Type.String(), typed_config: any("envoy.extensions.filters.http.wasm.v3.Wasm", { config: WasmPlugin }) });
const NetworkWasm = object({ name: Type.String(), typed_config: any("envoy.extensions.filters.network.wasm.v3.Wasm", { config: WasmPlugin }) });

const Router = extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", { suppress_envoy_headers: Type.Literal(true) });

const AccessLog = extension("envoy.access_loggers.stdout", "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", {
  log_format: object({ json_format: Type.Record(Type.String(), Type.Union([Type.String(), Type.Record(Type.String(), Type.String())])) }),
});

/** What the access log says of a request before routes change it. */
const Capture = extension("envoy.filters.http.set_filter_state", "envoy.extensions.filters.http.set_filter_state.v3.Config", {
  on_request_headers: Type.Array(
    object({
      object_key: Type.String(),
      factory_key: Type.Literal("envoy.string"),
      format_string: object({ text_format_source: object({ inline_string: Type.String() }), omit_empty_values: Type.Literal(true) }),
      skip_if_empty: Type.Literal(true),
    }),
  ),
});

const Http2Options = object({ max_concurrent_streams: Count, initial_stream_window_size: Count, initial_connection_window_size: Count });

const ConnectionManager = extension("envoy.filters.network.http_connection_manager", "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
  stat_prefix: Type.String(),
  codec_type: Type.Literal("AUTO"),
  normalize_path: Type.Literal(true),
  merge_slashes: Type.Literal(true),
  path_with_escaped_slashes_action: oneOf("REJECT_REQUEST", "UNESCAPE_AND_REDIRECT"),
  use_remote_address: Type.Literal(true),
  xff_num_trusted_hops: Type.Literal(0),
  internal_address_config: object({ unix_sockets: Type.Literal(false), cidr_ranges: Type.Tuple([object({ address_prefix: Type.Literal("0.0.0.0"), prefix_len: Type.Literal(32) })]) }),
  forward_client_cert_details: oneOf("SANITIZE", "SANITIZE_SET"),
  set_current_client_cert_details: optional(object({ uri: Type.Literal(true) })),
  server_header_transformation: Type.Literal("PASS_THROUGH"),
  generate_request_id: Type.Literal(false),
  max_request_headers_kb: Count,
  common_http_protocol_options: object({ idle_timeout: Duration, max_headers_count: Count, headers_with_underscores_action: Type.Literal("REJECT_REQUEST") }),
  http_protocol_options: object({ accept_http_10: Type.Literal(false) }),
  http2_protocol_options: Http2Options,
  stream_idle_timeout: Duration,
  request_timeout: Duration,
  request_headers_timeout: Duration,
  drain_timeout: Duration,
  access_log: optional(Type.Array(AccessLog)),
  route_config: RouteTable,
  http_filters: Type.Array(Type.Union([Router, Wasm, Capture, JwtFilterConfig, CustomFilter], { expected: "Wasm filters, jwt_authn, ext_authz, set_filter_state for the access log, and the router as the last one" }), { minItems: 1 }),
});

const state = object({
  object_key: Type.String(),
  factory_key: Type.Literal("envoy.string"),
  read_only: optional(Type.Literal(true)),
  format_string: object({ text_format_source: object({ inline_string: Type.String() }) }),
});

const FilterState = object({
  name: Type.Literal("envoy.filters.network.set_filter_state"),
  typed_config: any("envoy.extensions.filters.network.set_filter_state.v3.Config", {
    on_new_connection: optional(Type.Array(state)),
    on_downstream_tls_handshake: optional(Type.Array(state)),
  }),
});

const TcpProxy = extension("envoy.filters.network.tcp_proxy", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", {
  stat_prefix: Type.String(),
  cluster: optional(Type.String()),
  weighted_clusters: optional(object({ clusters: Type.Array(object({ name: Type.String(), weight: Count }), { minItems: 1 }) })),
  // The peer is known before a connection goes on: here a handshake comes before everything else anyhow.
  upstream_connect_mode: optional(Type.Literal("ON_DOWNSTREAM_TLS_HANDSHAKE")),
  max_early_data_bytes: optional(Count),
  idle_timeout: Duration,
  access_log: optional(Type.Array(AccessLog)),
});

/** Closes every connection. */
const Nothing = extension("envoy.filters.network.direct_response", "envoy.extensions.filters.network.direct_response.v3.Config", {});

const Chain = object({
  name: Type.String(),
  filter_chain_match: optional(object({ server_names: Type.Array(Type.String(), { minItems: 1 }) })),
  filters: Type.Array(Type.Union([FilterState, ConnectionManager, NetworkWasm, TcpProxy, Nothing], { expected: "set_filter_state, then the HTTP connection manager; or a Wasm filter of connections, then tcp_proxy or direct_response" }), { minItems: 1 }),
  transport_socket: optional(DownstreamTls),
  transport_socket_connect_timeout: optional(Duration),
});

export const ListenerConfig = object({
  name: Type.String(),
  address: Address,
  additional_addresses: optional(Type.Array(object({ address: Address }))),
  per_connection_buffer_limit_bytes: Count,
  listener_filters: optional(Type.Array(extension("envoy.filters.listener.tls_inspector", "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector", {}))),
  filter_chains: Type.Array(Chain, { minItems: 1 }),
});

export { Http2Options };
export type ListenerConfig = Static<typeof ListenerConfig>;
export type ChainConfig = Static<typeof Chain>;
export type ManagerConfig = Static<typeof ConnectionManager>["typed_config"];
export type WasmConfig = Static<typeof WasmPlugin>;
export type TcpProxyConfig = Static<typeof TcpProxy>["typed_config"];
export type DownstreamTls = Static<typeof DownstreamTls>["typed_config"];
export type UpstreamTls = Static<typeof UpstreamTls>["typed_config"];
export type CaptureConfig = Static<typeof Capture>["typed_config"]["on_request_headers"][number];
export type StateConfig = Static<typeof state>;

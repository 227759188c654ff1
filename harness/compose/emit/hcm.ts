/** The HTTP connection manager: where requests are made safe before a filter sees them. */
import { accessLog, captureFilter, type AccessLogging } from "./access-log.ts";
import { BUFFER_LIMIT, HTTP2 } from "./clusters.ts";
import { extension, statName, type Config } from "./config.ts";

export { BUFFER_LIMIT };

/** How much of headers a request may have, pseudo headers included. */
export const MAX_HEADERS = 100;
export const MAX_HEADERS_KB = 60;

export interface HcmInput {
  name: string;
  routes: Config;
  /** Wasm filters, in order; the router is added. */
  filters: Config[];
  /** Undefined: none. */
  accessLog?: AccessLogging;
  /** Write x-forwarded-client-cert for the filters; Backends don't get it. */
  forwardedCertificate?: boolean;
}

/**
 * The settings are Envoy's edge recommendations and Istio's EDGE profile. What authorization depends on: `:path`
 * reaches filters normalised (dot segments, double and escaped slashes), and a header with an underscore, which some
 * servers take for the one with a dash, doesn't get in.
 */
export function httpConnectionManager({ name, routes, filters, accessLog: logging, forwardedCertificate = false }: HcmInput): Config {
  return extension("envoy.filters.network.http_connection_manager", "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
    stat_prefix: statName(name),
    codec_type: "AUTO",
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: "UNESCAPE_AND_REDIRECT",
    // The peer is the client: X-Forwarded-For from outside is not believed, and its x-envoy-* headers are dropped.
    use_remote_address: true,
    xff_num_trusted_hops: 0,
    // Nobody is internal, a process on this node neither. An empty list would mean loopback and private addresses.
    internal_address_config: { unix_sockets: false, cidr_ranges: [{ address_prefix: "0.0.0.0", prefix_len: 32 }] },
    // Whatever a client says of a certificate is taken off.
    forward_client_cert_details: forwardedCertificate ? "SANITIZE_SET" : "SANITIZE",
    set_current_client_cert_details: forwardedCertificate ? { uri: true } : undefined,
    server_header_transformation: "PASS_THROUGH",
    generate_request_id: false,
    max_request_headers_kb: MAX_HEADERS_KB,
    common_http_protocol_options: {
      idle_timeout: "300s",
      max_headers_count: MAX_HEADERS,
      headers_with_underscores_action: "REJECT_REQUEST",
    },
    http_protocol_options: { accept_http_10: false },
    http2_protocol_options: HTTP2,
    stream_idle_timeout: "300s",
    request_timeout: "300s",
    request_headers_timeout: "60s",
    drain_timeout: "5s",
    access_log: logging ? [accessLog(logging)] : undefined,
    route_config: forwardedCertificate ? { ...routes, request_headers_to_remove: ["x-forwarded-client-cert"] } : routes,
    http_filters: [
      ...(logging ? captureFilter(logging) : []),
      ...filters,
      extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router", { suppress_envoy_headers: true }),
    ],
  });
}

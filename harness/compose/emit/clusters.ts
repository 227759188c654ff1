/** One cluster for each Backend that a route leads to. */
import { isIPv6 } from "node:net";
import type { Resource } from "../load.ts";
import type { KeyPair, UpstreamTls } from "../resolve/model.ts";
import { socketAddress, statName, typed, type Config } from "./config.ts";
import type { Files } from "./files.ts";
import { upstreamTls } from "./tls.ts";

/** HTTP/2 towards a Backend: flow-control windows as for clients, and a bound on streams. */
export const HTTP2 = {
  max_concurrent_streams: 100,
  initial_stream_window_size: 65_536,
  initial_connection_window_size: 1_048_576,
};

/** Bytes that one connection may buffer in either direction; a slow peer must not cost an edge node its memory. */
export const BUFFER_LIMIT = 32_768;

export interface ClusterModel {
  name: string;
  backend: Resource<"Backend">;
  tls?: UpstreamTls;
  clientCertificate?: KeyPair;
  /** Other than what the Backend's `appProtocols` say. */
  speaks?: "tcp" | "h2" | "http/1.1";
}

export function cluster({ name, backend, tls, clientCertificate, speaks }: ClusterModel, files: Files): Config {
  const { endpoints, appProtocols = [] } = backend.spec;
  const http2 = speaks === undefined ? appProtocols.some((protocol) => protocol.endsWith("/h2c")) : speaks === "h2";
  const tcp = speaks === "tcp";
  const byName = endpoints.some((endpoint) => endpoint.fqdn !== undefined);
  return {
    name,
    // A dot would end the name in a stat.
    alt_stat_name: name.includes(".") ? statName(name) : undefined,
    type: byName ? "STRICT_DNS" : "STATIC",
    ...(byName ? { dns_lookup_family: "V4_PREFERRED", respect_dns_ttl: true } : {}),
    connect_timeout: "5s",
    per_connection_buffer_limit_bytes: BUFFER_LIMIT,
    lb_policy: "LEAST_REQUEST",
    circuit_breakers: {
      thresholds: [
        {
          max_connections: 1024,
          max_pending_requests: 1024,
          max_requests: 4096,
          // Retries may add a fifth to the load, never a storm.
          retry_budget: { budget_percent: { value: 20 }, min_retry_concurrency: 3 },
        },
      ],
    },
    load_assignment: {
      cluster_name: name,
      endpoints: [{ lb_endpoints: endpoints.map((endpoint) => ({ endpoint: { address: endpointAddress(endpoint) } })) }],
    },
    typed_extension_protocol_options: tcp ? undefined : {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", {
        common_http_protocol_options: { idle_timeout: "300s" },
        explicit_http_config: http2 ? { http2_protocol_options: HTTP2 } : { http_protocol_options: {} },
      }),
    },
    upstream_connection_options: { tcp_keepalive: { keepalive_time: 300 } },
    transport_socket: tls ? upstreamTls(tls, clientCertificate, tcp ? undefined : http2 ? "h2" : "http/1.1", files) : undefined,
  };
}

function endpointAddress(endpoint: { ip?: { address: string; port: number }; fqdn?: { hostname: string; port: number } }): Config {
  if (endpoint.fqdn) return socketAddress(endpoint.fqdn.hostname, endpoint.fqdn.port);
  const { address, port } = endpoint.ip!;
  return socketAddress(isIPv6(address) ? address.toLowerCase() : address, port);
}

/** What becomes of the connections of a TCP or TLS listener. */
import type { Resource } from "../load.ts";
import type { TcpRouteModel } from "../resolve/model.ts";
import { connectionLog } from "./access-log.ts";
import { BUFFER_LIMIT } from "./clusters.ts";
import { atLeast, OLDEST_PEER_STATE, type EnvoyVersion } from "./version.ts";
import { extension, statName, type Config } from "./config.ts";

export interface TcpProxyInput {
  name: string;
  route: TcpRouteModel | undefined;
  tls: boolean;
  version: EnvoyVersion;
  cluster: (backend: Resource<"Backend">) => string;
  accessLog: boolean;
}

export function tcpProxy({ name, route, tls, version, cluster, accessLog: logging }: TcpProxyInput): Config {
  const [first, ...others] = route?.arms ?? [];
  // Without a backend: answers nothing and closes.
  if (!first) return extension("envoy.filters.network.direct_response", "envoy.extensions.filters.network.direct_response.v3.Config");
  return extension("envoy.filters.network.tcp_proxy", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", {
    stat_prefix: statName(name.replaceAll("/", "_")),
    ...(others.length === 0
      ? { cluster: cluster(first.backend) }
      : { weighted_clusters: { clusters: [first, ...others].map(({ backend, weight }) => ({ name: cluster(backend), weight })) } }),
    // Who a peer is, its handshake tells: no backend hears of it before.
    ...(tls && atLeast(version, ...OLDEST_PEER_STATE) ? { upstream_connect_mode: "ON_DOWNSTREAM_TLS_HANDSHAKE", max_early_data_bytes: BUFFER_LIMIT } : {}),
    idle_timeout: "3600s",
    access_log: logging ? [connectionLog()] : undefined,
  });
}

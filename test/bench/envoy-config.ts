import { join } from "node:path";
import { clean, extension, socketAddress, typed, type Config } from "../../harness/compose/emit/config.ts";
import { httpConnectionManager } from "../../harness/compose/emit/hcm.ts";
import { statsConfig } from "../../harness/compose/emit/stats.ts";
import type { Bootstrap } from "../../harness/envoy/index.ts";

/** Name of the one route; that of the canary's arm follows compose's convention. */
export const RULE = "prod/reviews/0";
export const STABLE = "reviews-v1";
export const CANARY = "reviews-v2";

/** Where filters find the caller's identity: a native filter puts it there once a connection. */
export const IDENTITY_KEY = "selvedge.peer";

/**
 * Where requests end. `direct`: Envoy answers by itself, so that little but the filters is measured. `arms`: likewise,
 * with a second route for the canary's arm. `cluster`, `weighted`, `arm-clusters`: real backends, chosen by nobody, by
 * `weighted_clusters`, by the filter.
 */
export type Routing = "direct" | "arms" | "cluster" | "weighted" | "arm-clusters";

export interface ListenerSpec {
  name: string;
  filters: Config[];
  routing: Routing;
}

export interface BenchBootstrap {
  listeners: readonly ListenerSpec[];
  /** Directory with `ca.crt`, `tls.crt`, `tls.key`. */
  directory: string;
  /** Port of the backends, where a listener needs them. */
  upstreamPort?: number;
}

/** One Envoy for everything that is compared: a listener each, all else alike, and what compose writes where it matters. */
export function benchBootstrap({ listeners, directory, upstreamPort }: BenchBootstrap): Bootstrap {
  return clean({
    // Flushing merges the histograms of all listeners, on the main thread, at whatever moment that falls into.
    stats_flush_interval: "299s",
    stats_config: statsConfig(),
    static_resources: {
      listeners: listeners.map((spec) => listener(spec, directory)),
      clusters: upstreamPort === undefined ? [] : listeners.flatMap((spec) => [STABLE, CANARY].map((arm) => cluster(clusterName(spec.name, arm), upstreamPort))),
    },
  }) as Bootstrap;
}

/** The backends: an Envoy of its own that answers at once, without TLS, HTTP/2. */
export function upstreamBootstrap(): Bootstrap {
  const hcm = httpConnectionManager({ name: "upstream", filters: [], routes: routes([{ name: "all", match: { prefix: "/" }, direct_response: { status: 200 } }]) });
  return clean({
    stats_flush_interval: "299s",
    static_resources: { listeners: [{ name: "upstream", address: socketAddress("127.0.0.1", 0), filter_chains: [{ filters: [hcm] }] }] },
  }) as Bootstrap;
}

function listener({ name, filters, routing }: ListenerSpec, directory: string): Config {
  const peer = { object_key: IDENTITY_KEY, factory_key: "envoy.string", format_string: { text_format_source: { inline_string: "%DOWNSTREAM_PEER_URI_SAN%" } } };
  return {
    name,
    address: socketAddress("127.0.0.1", 0),
    filter_chains: [
      {
        filters: [
          extension("envoy.filters.network.set_filter_state", "envoy.extensions.filters.network.set_filter_state.v3.Config", { on_downstream_tls_handshake: [peer] }),
          httpConnectionManager({ name, filters, routes: routes(routesOf(routing, (arm) => clusterName(name, arm))) }),
        ],
        transport_socket: {
          name: "envoy.transport_sockets.tls",
          typed_config: typed("envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", {
            require_client_certificate: true,
            common_tls_context: {
              alpn_protocols: ["h2"],
              tls_certificates: [{ certificate_chain: { filename: join(directory, "tls.crt") }, private_key: { filename: join(directory, "tls.key") } }],
              validation_context: { trusted_ca: { filename: join(directory, "ca.crt") } },
            },
          }),
        },
      },
    ],
  };
}

/** Each listener has its own clusters, so that their counters tell how it split. */
export const clusterName = (listener: string, arm: string): string => `${listener}/${arm}`;

function routesOf(routing: Routing, backend: (arm: string) => string): Config[] {
  const everything = { prefix: "/" };
  const arm = { ...everything, filter_state: [{ key: "wasm.selvedge_arm", string_match: { exact: CANARY } }] };
  const answer: Config = { direct_response: { status: 200 } };
  const to = (name: string): Config => ({ route: { cluster: backend(name) } });
  const canaryRoute = (action: Config): Config => ({ name: `${RULE}/${CANARY}`, match: arm, ...action });
  const route = (action: Config): Config => ({ name: RULE, match: everything, ...action });
  switch (routing) {
    case "direct": return [route(answer)];
    case "arms": return [canaryRoute(answer), route(answer)];
    case "cluster": return [route(to(STABLE))];
    case "weighted": return [route({ route: { weighted_clusters: { clusters: [{ name: backend(STABLE), weight: 90 }, { name: backend(CANARY), weight: 10 }] } } })];
    case "arm-clusters": return [canaryRoute(to(CANARY)), route(to(STABLE))];
  }
}

function routes(list: Config[]): Config {
  return { name: "bench", virtual_hosts: [{ name: "all", domains: ["*"], routes: list }] };
}

function cluster(name: string, port: number): Config {
  return {
    name,
    type: "STATIC",
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", { explicit_http_config: { http2_protocol_options: {} } }),
    },
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: socketAddress("127.0.0.1", port) } }] }] },
  };
}

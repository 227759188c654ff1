/** The node itself: admin endpoint, identity, limits. */
import { extension, socketAddress, type Config } from "./config.ts";

export const ADMIN_ADDRESS = "127.0.0.1";

/** On loopback alone: whoever reaches it can stop Envoy and read its configuration. */
export function admin(port: number): Config {
  return { address: socketAddress(ADMIN_ADDRESS, port), ignore_global_conn_limit: true };
}

export function layeredRuntime(): Config {
  return {
    layers: [
      {
        name: "selvedge",
        // Patterns of HTTPRoutes are compiled once; Envoy's default of 100 refuses quite ordinary ones.
        static_layer: { "re2.max_program_size.error_level": 1000, "re2.max_program_size.warn_level": 500 },
      },
    ],
  };
}

/** @param heapBytes without it only connections are bounded. */
export function overloadManager(maxConnections: number, heapBytes: number | undefined): Config {
  const heap = "envoy.resource_monitors.fixed_heap";
  const connections = "envoy.resource_monitors.global_downstream_max_connections";
  const at = (value: number): Config[] => [{ name: heap, threshold: { value } }];
  return {
    refresh_interval: heapBytes === undefined ? undefined : "0.25s",
    resource_monitors: [
      extension(connections, "envoy.extensions.resource_monitors.downstream_connections.v3.DownstreamConnectionsConfig", {
        max_active_downstream_connections: maxConnections,
      }),
      ...(heapBytes === undefined
        ? []
        : [extension(heap, "envoy.extensions.resource_monitors.fixed_heap.v3.FixedHeapConfig", { max_heap_size_bytes: heapBytes })]),
    ],
    actions:
      heapBytes === undefined
        ? undefined
        : [
            { name: "envoy.overload_actions.shrink_heap", triggers: at(0.9) },
            { name: "envoy.overload_actions.disable_http_keepalive", triggers: at(0.92) },
            { name: "envoy.overload_actions.stop_accepting_connections", triggers: at(0.95) },
            { name: "envoy.overload_actions.stop_accepting_requests", triggers: at(0.98) },
          ],
  };
}

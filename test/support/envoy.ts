import { readFileSync } from "node:fs";
import type { Bootstrap } from "../../harness/envoy/index.ts";

/** The smallest Envoy that answers: one listener `test` on a port of its own choice, one fixed answer. */
export function echoBootstrap(answer: { status: number; body: string; port?: number; address?: string; adminAddress?: string }): Bootstrap {
  return {
    ...(answer.adminAddress !== undefined && { admin: { address: { socket_address: { address: answer.adminAddress, port_value: 9901 } } } }),
    static_resources: {
      listeners: [
        {
          name: "test",
          address: { socket_address: { address: answer.address ?? "127.0.0.1", port_value: answer.port ?? 0 } },
          filter_chains: [{ filters: [{ name: "envoy.filters.network.http_connection_manager", typed_config: connectionManager(answer) }] }],
        },
      ],
    },
  };
}

function connectionManager({ status, body }: { status: number; body: string }): object {
  return {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "test",
    route_config: {
      virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, direct_response: { status, body: { inline_string: body } } }] }],
    },
    http_filters: [{ name: "envoy.filters.http.router", typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } }],
  };
}

/** True while a process with this id runs; a zombie counts as gone. */
export function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

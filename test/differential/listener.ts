/** What listeners for requests and for connections have in common. */
import { resolve } from "node:path";
import { extension, typed, type Config } from "../../harness/compose/emit/config.ts";
import { DIRECT_ADDRESS_KEY, PEER_KEY } from "../../harness/compose/emit/listener.ts";
import { compareVersions, type Bootstrap } from "../../harness/envoy/index.ts";
import type { Configuration } from "../unit/authz/oracle.ts";

export interface Files {
  serverCertificate: string;
  serverKey: string;
  authority: string;
  module: string;
}

/** One Envoy with a listener for each configuration, named by its index. */
export function bootstrap(listeners: readonly Config[]): Bootstrap {
  return {
    node: { id: "differential", cluster: "differential" },
    static_resources: { listeners },
    layered_runtime: {
      layers: [
        // A request with a fragment is to reach the filters.
        { name: "static", static_layer: { "envoy.reloadable_features.http_reject_path_with_fragment": false } },
      ],
    },
    stats_flush_on_admin: true,
  } as unknown as Bootstrap;
}

export interface ListenerParts {
  /** What follows the identity's filter state. */
  chain: Config[];
  alpn?: string[];
  accessLog?: Config[];
  /** Of the PROXY protocol. */
  tlvRules?: Config[];
}

/** Takes the PROXY protocol, IPv4 and IPv6, TLS and none. */
export function listener(index: number, { chain, alpn, accessLog = [], tlvRules = [] }: ListenerParts, files: Files, version: string): Config {
  const local = (address: string): Config => ({ socket_address: { address, port_value: 0 } });
  return {
    name: String(index),
    address: local("127.0.0.1"),
    additional_addresses: [{ address: local("::1") }],
    listener_filters: [
      extension("envoy.filters.listener.proxy_protocol", "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol", { allow_requests_without_proxy_protocol: true, rules: tlvRules }),
      extension("envoy.filters.listener.tls_inspector", "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"),
    ],
    filter_chains: [true, false].map((tls) => ({
      filter_chain_match: { transport_protocol: tls ? "tls" : "raw_buffer" },
      filters: [filterState(tls, version), ...chain],
      ...(tls && { transport_socket: transportSocket(alpn, files) }),
    })),
    access_log: accessLog,
  };
}

/** As compose writes it. */
function filterState(tls: boolean, version: string): Config {
  const state = (object_key: string, inline_string: string): Config => ({
    object_key,
    factory_key: "envoy.string",
    ...(compareVersions(version, "1.40.0") < 0 && { read_only: true }),
    format_string: { text_format_source: { inline_string } },
  });
  return extension("envoy.filters.network.set_filter_state", "envoy.extensions.filters.network.set_filter_state.v3.Config", {
    on_new_connection: [state(DIRECT_ADDRESS_KEY, "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%")],
    ...(tls && { on_downstream_tls_handshake: [state(PEER_KEY, "%DOWNSTREAM_PEER_URI_SAN%")] }),
  });
}

/** The module under test with its policies, as PluginConfig. */
export function plugin(configuration: Configuration, index: number, { module }: Files, more: object = {}): Config {
  const value = JSON.stringify({ ...configuration, identity: { filterState: PEER_KEY }, directAddress: { filterState: DIRECT_ADDRESS_KEY }, ...more });
  return {
    name: `authz-${index}`,
    root_id: "authz",
    failure_policy: "FAIL_CLOSED",
    vm_config: { vm_id: "authz", runtime: "envoy.wasm.runtime.v8", code: { local: { filename: resolve(module) } } },
    configuration: typed("google.protobuf.StringValue", { value }),
  };
}

function transportSocket(alpn: string[] | undefined, { serverCertificate, serverKey, authority }: Files): Config {
  return extension("envoy.transport_sockets.tls", "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", {
    common_tls_context: {
      ...(alpn && { alpn_protocols: alpn }),
      tls_certificates: [{ certificate_chain: { filename: serverCertificate }, private_key: { filename: serverKey } }],
      validation_context: { trusted_ca: { filename: authority } },
    },
    require_client_certificate: false,
  });
}

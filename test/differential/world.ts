/** One Envoy in which a request meets both: native RBAC, whose decisions are noted and don't count, and authz.wasm, whose do. */
import { resolve } from "node:path";
import { extension, typed, type Config } from "../../harness/compose/emit/config.ts";
import { DIRECT_ADDRESS_KEY, PEER_KEY } from "../../harness/compose/emit/listener.ts";
import { compareVersions, type Bootstrap } from "../../harness/envoy/index.ts";
import type { Configuration, Policy } from "../unit/authz/oracle.ts";
import { toRbac, type Action, type IstioPolicy } from "./istio.ts";

export const ROUTE_HEADER = "selvedge-route";
const ROUTES = ["r0", "s0", "r1", "s1", "r2", "s2", "r9", ""];

/** The filters' names: each notes one action's decisions, those that count or those on trial. */
const NATIVE = ["deny", "allow", "trial_deny", "trial_allow"] as const;
export type NativeResult = Partial<Record<(typeof NATIVE)[number], { allowed: boolean; policy: string | undefined }>>;

export interface Files {
  serverCertificate: string;
  serverKey: string;
  authority: string;
  module: string;
}

export function world(configurations: readonly Configuration[], files: Files, version: string): Bootstrap {
  return {
    node: { id: "differential", cluster: "differential" },
    static_resources: { listeners: configurations.map((configuration, index) => listener(configuration, index, files, version)) },
    layered_runtime: {
      layers: [
        // A fragment must reach the filters: what they make of it is compared.
        { name: "static", static_layer: { "envoy.reloadable_features.http_reject_path_with_fragment": false, "envoy.reloadable_features.http_strip_fragment_from_path_unsafe_if_disabled": false } },
      ],
    },
    stats_flush_on_admin: true,
  } as unknown as Bootstrap;
}

function listener(configuration: Configuration, index: number, files: Files, version: string): Config {
  const local = (address: string): Config => ({ socket_address: { address, port_value: 0 } });
  return {
    name: String(index),
    address: local("127.0.0.1"),
    additional_addresses: [{ address: local("::1") }],
    listener_filters: [
      extension("envoy.filters.listener.proxy_protocol", "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol", { allow_requests_without_proxy_protocol: true }),
      extension("envoy.filters.listener.tls_inspector", "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector"),
    ],
    filter_chains: [true, false].map((tls) => ({
      filter_chain_match: { transport_protocol: tls ? "tls" : "raw_buffer" },
      filters: [filterState(tls, version), connectionManager(configuration, index, files)],
      ...(tls && { transport_socket: transportSocket(files) }),
    })),
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

function connectionManager(configuration: Configuration, index: number, files: Files): Config {
  const node = native(configuration, workloadOf(configuration, undefined));
  const value = (name: string): string => ["engine_result", "effective_policy_id"].map((key) => `%DYNAMIC_METADATA(envoy.filters.http.rbac:${name}_shadow_${key})%`).join("|");
  const add = (key: string, text: string): Config => ({ header: { key, value: text }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD" });
  return extension("envoy.filters.network.http_connection_manager", "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager", {
    stat_prefix: "differential",
    codec_type: "AUTO",
    // Both are to see what the client sent.
    normalize_path: false,
    merge_slashes: false,
    path_with_escaped_slashes_action: "KEEP_UNCHANGED",
    use_remote_address: true,
    delayed_close_timeout: "0s",
    xff_num_trusted_hops: 1,
    http_protocol_options: { allow_custom_methods: true },
    http2_protocol_options: { override_stream_error_on_invalid_http_message: true },
    local_reply_config: {
      mappers: [
        {
          filter: { status_code_filter: { comparison: { op: "GE", value: { default_value: 0, runtime_key: "none" } } } },
          headers_to_add: [add("native", NATIVE.map(value).join(";")), add("details", "%RESPONSE_CODE_DETAILS%")],
        },
      ],
    },
    route_config: {
      virtual_hosts: [
        {
          name: "all",
          domains: ["*"],
          routes: ROUTES.map((name) => ({
            name,
            match: { prefix: "/", ...(name !== "" && { headers: [{ name: ROUTE_HEADER, string_match: { exact: name } }] }) },
            direct_response: { status: 200 },
            typed_per_filter_config: Object.fromEntries(
              Object.entries(native(configuration, workloadOf(configuration, name))).map(([filter, rbac]) => [filter, typed("envoy.extensions.filters.http.rbac.v3.RBACPerRoute", { rbac })]),
            ),
          })),
        },
      ],
    },
    http_filters: [
      ...NATIVE.map((name) => extension(name, "envoy.extensions.filters.http.rbac.v3.RBAC", node[name])),
      wasm(configuration, index, files),
      extension("envoy.filters.http.router", "envoy.extensions.filters.http.router.v3.Router"),
    ],
  });
}

interface Workload {
  namespace: string;
  labels?: Record<string, string> | undefined;
}

function workloadOf({ workloads, namespace = "default", labels }: Configuration, route: string | undefined): Workload {
  return workloads?.find(({ routes = [] }) => route !== undefined && routes.includes(route)) ?? { namespace, labels };
}

/** What istiod gives to a workload: the policies of its own namespace and the root's whose selector takes it. */
function native(configuration: Configuration, workload: Workload): Record<(typeof NATIVE)[number], Config> {
  const { namespace = "default", rootNamespace = "istio-system", trustDomain = "cluster.local", trustDomainAliases = [] } = configuration;
  const attached = configuration.policies.filter(({ metadata, spec }) => {
    const own = metadata.namespace ?? namespace;
    const labels = Object.entries(spec.selector?.matchLabels ?? {});
    return (own === rootNamespace || own === workload.namespace) && labels.every(([key, value]) => workload.labels?.[key] === value);
  });
  const translate = (action: Action): ReturnType<typeof toRbac> => {
    const those = attached.filter((policy: Policy) => (policy.spec.action ?? "ALLOW") === action);
    return toRbac(those as IstioPolicy[], action, { trustDomains: [trustDomain, ...trustDomainAliases], namespace });
  };
  const [deny, allow] = [translate("DENY"), translate("ALLOW")];
  const shadow = (name: string, rules: Config | undefined): Config => ({ ...(rules && { shadow_rules: rules }), shadow_rules_stat_prefix: `${name}_` });
  return {
    deny: shadow("deny", deny.rules), allow: shadow("allow", allow.rules),
    trial_deny: shadow("trial_deny", deny.shadowRules), trial_allow: shadow("trial_allow", allow.shadowRules),
  };
}

/** Reads what the response says about the native filters. */
export function readNative(header: string): NativeResult {
  const parts = header.split(";").map((part) => part.split("|") as [string, string]);
  return Object.fromEntries(
    NATIVE.flatMap((name, index) => {
      const [result, policy] = parts[index] ?? ["", ""];
      return result === "" ? [] : [[name, { allowed: result === "allowed", policy: policy === "" || policy === "none" ? undefined : policy }]];
    }),
  );
}

function wasm(configuration: Configuration, index: number, { module }: Files): Config {
  const value = JSON.stringify({ ...configuration, identity: { filterState: PEER_KEY }, directAddress: { filterState: DIRECT_ADDRESS_KEY } });
  return extension("authz", "envoy.extensions.filters.http.wasm.v3.Wasm", {
    config: {
      name: `authz-${index}`,
      root_id: "authz",
      failure_policy: "FAIL_CLOSED",
      vm_config: { vm_id: "authz", runtime: "envoy.wasm.runtime.v8", code: { local: { filename: resolve(module) } } },
      configuration: typed("google.protobuf.StringValue", { value }),
    },
  });
}

function transportSocket({ serverCertificate, serverKey, authority }: Files): Config {
  return extension("envoy.transport_sockets.tls", "envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext", {
    common_tls_context: {
      alpn_protocols: ["h2", "http/1.1"],
      tls_certificates: [{ certificate_chain: { filename: serverCertificate }, private_key: { filename: serverKey } }],
      validation_context: { trusted_ca: { filename: authority } },
    },
    require_client_certificate: false,
  });
}

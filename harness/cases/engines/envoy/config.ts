/** The configuration of the one Envoy that serves a whole run: a listener for each route of each case. Pure. */
import { createHash } from "node:crypto";
import { extension, typed, type Config } from "../../../compose/emit/config.ts";
import { httpConnectionManager } from "../../../compose/emit/hcm.ts";
import { PEER_KEY } from "../../../compose/emit/listener.ts";
import type { Bootstrap } from "../../../envoy/index.ts";
import { compareVersions } from "../../../envoy/index.ts";
import type { Protocol } from "../../messages.ts";
import { planConnection, planRequest, type CasePlan, type RequestPlan } from "../../plan.ts";
import { ARM_STATE, CLUSTERS, DIRECT_KEY, TCP_CLUSTER } from "../common.ts";

/** Prefix of the connection managers' statistics. */
export const STAT_PREFIX = "cases";

/** A listener without filters: when a request to it has been counted, so has everything that was over before. */
export const MARK = "mark";

export interface Files {
  accessLog: string;
  /** Where {@link discovery} is written. */
  listeners: string;
  serverCertificate: string;
  serverKey: string;
  authority: string;
}

/** A plugin's name, by which Envoy's log tells the cases apart. */
export const pluginName = (plan: CasePlan): string => `case-${plan.id}`;

/** What requests need a listener of their own for. */
export interface Door {
  route: string | null;
  tls: boolean;
  /** What the upstream speaks. */
  protocol: Protocol;
  /** What filters ahead leave. */
  metadata?: Record<string, unknown>;
}

/** What connections need one for. */
export interface TcpDoor {
  tcp: true;
  tls: boolean;
}

/** Of the listeners that take connections. */
export const TCP_LISTENERS = "cases-tcp";

export const doorOf = ({ route, tls, metadata }: Pick<RequestPlan, "route" | "tls" | "metadata">, protocol: Protocol): Door => ({ route, tls, protocol, ...(metadata && { metadata }) });

export function listenerName(plan: CasePlan, door: Door | TcpDoor): string {
  if ("tcp" in door) return `${pluginName(plan)}/${door.tls ? "tls" : "plain"}/tcp`;
  const { route, tls, protocol, metadata } = door;
  const more = metadata === undefined ? "" : `/${createHash("sha256").update(JSON.stringify(metadata)).digest("hex").slice(0, 16)}`;
  return `${pluginName(plan)}/${tls ? "tls" : "plain"}/${protocol}/${route ?? ""}${more}`;
}

/** Cases that one Envoy has at a time: each takes two VMs, which is some 3 MB where its module is small. */
const CASES_AT_ONCE = 128;
/** Bytes of modules likewise: Envoy compiles each case's before it serves. A module from Go has 4 MB, one from Rust 1, ours a tenth. */
const MODULES_AT_ONCE = 48 * 2 ** 20;

/** Which of the Envoys that serve a run, one after another, each case is for. @param size bytes of a module */
export function shares(plans: readonly Pick<CasePlan, "module">[], size: (module: string) => number): number[] {
  let [part, count, bytes] = [0, 0, 0];
  return plans.map(({ module }) => {
    const own = size(module);
    if (count === CASES_AT_ONCE || (count > 0 && bytes + own > MODULES_AT_ONCE)) [part, count, bytes] = [part + 1, 0, 0];
    count++;
    bytes += own;
    return part;
  });
}

export interface ClusterPort {
  name: string;
  port: number;
  protocol: Protocol;
}

export function bootstrap(files: Files, clusters: readonly ClusterPort[]): Bootstrap {
  return {
    node: { id: "selvedge-test", cluster: "selvedge-test" },
    stats_flush_on_admin: true,
    // Listeners come by discovery because it refuses each bad one alone, where the bootstrap would be refused as a whole.
    dynamic_resources: { lds_config: { resource_api_version: "V3", path_config_source: { path: files.listeners } } },
    static_resources: { listeners: [markListener()], clusters: clusters.map(cluster) },
  } as unknown as Bootstrap;
}

function markListener(): Config {
  const routes = { name: MARK, virtual_hosts: [{ name: MARK, domains: ["*"], routes: [{ match: { prefix: "/" }, direct_response: { status: 204 } }] }] };
  return {
    name: MARK,
    address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
    filter_chains: [{ filters: [httpConnectionManager({ name: MARK, routes, filters: [] })] }],
  };
}

function cluster({ name, port, protocol }: ClusterPort): Config {
  const options = { explicit_http_config: protocol === "http2" ? { http2_protocol_options: {} } : { http_protocol_options: { enable_trailers: true } } };
  return {
    name,
    type: "STATIC",
    connect_timeout: "5s",
    typed_extension_protocol_options: { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", options) },
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } } }] }] },
  };
}

/** The file from which Envoy discovers its listeners. */
export function discovery(plans: readonly CasePlan[], files: Files, version: string, revision = 1): Config {
  const resources = plans.flatMap((plan) => doorsOf(plan).map((door): Config => typed("envoy.config.listener.v3.Listener", listener(plan, door, files, version))));
  return { version_info: String(revision), resources };
}

export function doorsOf(plan: CasePlan): (Door | TcpDoor)[] {
  const wanted = plan.steps.flatMap(({ request, connection, repeat, upstream: { protocol } }): (Door | TcpDoor)[] => {
    if (connection !== undefined) return [{ tcp: true, tls: planConnection(connection, 0).tls }];
    if (request === undefined) return [];
    // A route's name may contain ${n}.
    const requests = typeof request.route === "string" && request.route.includes("${") ? Array.from({ length: repeat }, (_, n) => planRequest(request, n)) : [planRequest(request, 0)];
    return requests.map((each) => doorOf(each, protocol));
  });
  // Where the configuration must be refused there is no request, and still something to configure.
  if (wanted.length === 0) return [{ route: "default", tls: false, protocol: "http1" }];
  return [...new Map(wanted.map((each) => [JSON.stringify(each), each])).values()];
}

function listener(plan: CasePlan, door: Door | TcpDoor, files: Files, version: string): Config {
  const { tls } = door;
  const tcp = "tcp" in door;
  return {
    name: listenerName(plan, door),
    address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
    listener_filters: [
      // Gives a connection any source and destination address; the physical peer stays known.
      extension("envoy.filters.listener.proxy_protocol", "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol", { allow_requests_without_proxy_protocol: !tcp }),
      ...(tls ? [extension("envoy.filters.listener.tls_inspector", "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector")] : []),
    ],
    filter_chains: [{ filters: [filterState(tls, version), ...(tcp ? [wasmFilter(plan, "network"), tcpProxy(tls, version)] : [connectionManager(plan, door, files)])], ...(tls && { transport_socket: transportSocket(files) }) }],
    ...(tcp && { stat_prefix: TCP_LISTENERS, access_log: [accessLog(files, { plugin: pluginName(plan), closed: "%DOWNSTREAM_LOCAL_CLOSE_REASON%" })] }),
  };
}

/** As compose sets it up. */
function tcpProxy(tls: boolean, version: string): Config {
  return extension("envoy.filters.network.tcp_proxy", "envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", {
    stat_prefix: STAT_PREFIX,
    cluster: TCP_CLUSTER,
    ...(tls && compareVersions(version, "1.37.0") >= 0 && { upstream_connect_mode: "ON_DOWNSTREAM_TLS_HANDSHAKE", max_early_data_bytes: 65_536 }),
  });
}

function accessLog({ accessLog: path }: Files, line: Record<string, string>): Config {
  return extension("envoy.access_loggers.file", "envoy.extensions.access_loggers.file.v3.FileAccessLog", { path, log_format: { json_format: line } });
}

/** What compose puts into filter state, and the physical peer's address. */
function filterState(tls: boolean, version: string): Config {
  const state = (key: string, format: string): Config => ({
    object_key: key,
    factory_key: "envoy.string",
    ...(compareVersions(version, "1.40.0") < 0 && { read_only: true }),
    format_string: { text_format_source: { inline_string: format } },
  });
  return extension("envoy.filters.network.set_filter_state", "envoy.extensions.filters.network.set_filter_state.v3.Config", {
    on_new_connection: [state(DIRECT_KEY, "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%")],
    ...(tls && { on_downstream_tls_handshake: [state(PEER_KEY, "%DOWNSTREAM_PEER_URI_SAN%")] }),
  });
}

function connectionManager(plan: CasePlan, door: Door, files: Files): Config {
  const manager = httpConnectionManager({ name: STAT_PREFIX, routes: routes(plan, door), filters: [...(door.metadata ? [setMetadata(door.metadata)] : []), wasmFilter(plan)] });
  Object.assign(manager.typed_config as Config, {
    http_protocol_options: { enable_trailers: true },
    access_log: [accessLog(files, { plugin: pluginName(plan), status: "%RESPONSE_CODE%", details: "%RESPONSE_CODE_DETAILS%", route: "%ROUTE_NAME%" })],
  });
  return manager;
}

function setMetadata(metadata: Record<string, unknown>): Config {
  return extension("envoy.filters.http.set_metadata", "envoy.extensions.filters.http.set_metadata.v3.Config", {
    metadata: Object.entries(metadata).map(([name, value]) => ({ metadata_namespace: name, value: value as Config })),
  });
}

function routes(plan: CasePlan, { route, protocol }: Door): Config {
  const to = (name: string, match: Config): Config => ({ name, match: { prefix: "/", ...match }, route: { cluster: CLUSTERS[protocol], timeout: "60s" } });
  const arms = (route !== null && plan.routes[route]?.arms) || [];
  const list = route === null ? [] : [...arms.map((arm) => to(`${route}/${arm}`, { filter_state: [{ key: ARM_STATE, string_match: { exact: arm } }] })), to(route, {})];
  return { name: "cases", virtual_hosts: [{ name: "all", domains: ["*"], routes: list }] };
}

function wasmFilter(plan: CasePlan, kind: "http" | "network" = "http"): Config {
  // The name is part of what Envoy tells root contexts apart by: no case sees what another left behind.
  const name = pluginName(plan);
  return extension(name, `envoy.extensions.filters.${kind}.wasm.v3.Wasm`, {
    config: {
      name,
      root_id: plan.rootId,
      failure_policy: "FAIL_CLOSED",
      // As on the host, each case has a VM of its own: a trap ends it, and the module's variables and shared data live in it.
      vm_config: { vm_id: name, runtime: "envoy.wasm.runtime.v8", code: { local: { filename: plan.module } } },
      configuration: typed("google.protobuf.StringValue", { value: plan.config }),
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
    // Whether a client without a certificate gets in is the case's business.
    require_client_certificate: false,
  });
}

/** envoy.config.listener.v3.Listener for one socket of a Gateway. */
import { speaksHttp, type GatewayModel, type ListenerModel, type Socket } from "../resolve/model.ts";
import { accessLoggingOf } from "./access-log.ts";
import { BUFFER_LIMIT } from "./clusters.ts";
import { extension, socketAddress, typed, type Config } from "./config.ts";
import type { Files } from "./files.ts";
import { httpConnectionManager } from "./hcm.ts";
import { routeConfiguration, type RouteContext } from "./routes.ts";
import { tcpProxy } from "./tcp.ts";
import { downstreamTls } from "./tls.ts";
import { atLeast, type EnvoyVersion } from "./version.ts";

/** Read-only filter state that holds the peer's URI SANs, joined with commas. */
export const PEER_KEY = "selvedge.peer";
/** Filter state with the physical peer's address, whatever X-Forwarded-For says. */
export const DIRECT_ADDRESS_KEY = "selvedge.direct_address";

export interface ListenerInput {
  gateway: GatewayModel;
  socket: Socket;
  /** Of requests. */
  filters: Config[];
  /** Of connections of a TCP or TLS listener, by its name. */
  connectionFilters: Map<string, Config>;
  /** Put the peer's address, and its identity when the handshake is done, into filter state. */
  peerState: boolean;
  forwardedCertificate: boolean;
  cluster: RouteContext["cluster"];
  tcpCluster: RouteContext["cluster"];
  perRoute: RouteContext["perRoute"];
  files: Files;
  version: EnvoyVersion;
}

export function listener(input: ListenerInput): Config {
  const { socket } = input;
  const [first, ...others] = socket.addresses;
  const secure = socket.protocol === "HTTPS" || socket.protocol === "TLS";
  return {
    name: socket.name,
    address: socketAddress(first!, socket.port),
    additional_addresses: others.length > 0 ? others.map((address) => ({ address: socketAddress(address, socket.port) })) : undefined,
    per_connection_buffer_limit_bytes: BUFFER_LIMIT,
    listener_filters: secure
      ? [extension("envoy.filters.listener.tls_inspector", "envoy.extensions.filters.listener.tls_inspector.v3.TlsInspector")]
      : undefined,
    // One chain for each TLS certificate that a host name selects; plain HTTP knows the host only from the request.
    filter_chains: secure ? socket.listeners.map((each) => filterChain(input, [each])) : [filterChain(input, socket.listeners)],
  };
}

function filterChain(input: ListenerInput, listeners: ListenerModel[]): Config {
  const { socket, files } = input;
  const [only] = listeners;
  const tls = only!.tls;
  const name = tls ? `${socket.name}/${only!.name}` : socket.name;
  const http = speaksHttp(socket.protocol);
  return {
    name,
    filter_chain_match: tls && only!.hostname !== "*" ? { server_names: [only!.hostname] } : undefined,
    filters: [...(input.peerState ? [peerState(input.version, tls !== undefined)] : []), ...(http ? [connectionManager(input, listeners, name)] : connectionChain(input, only!, name))],
    transport_socket: tls ? downstreamTls(tls, files, http ? ["h2", "http/1.1"] : undefined) : undefined,
    transport_socket_connect_timeout: tls ? "10s" : undefined,
  };
}

function connectionChain(input: ListenerInput, { name: listenerName, tcp, tls }: ListenerModel, name: string): Config[] {
  const filter = input.connectionFilters.get(listenerName);
  const proxy = tcpProxy({ name, route: tcp, tls: tls !== undefined, version: input.version, cluster: input.tcpCluster, accessLog: input.gateway.accessLog });
  return filter ? [filter, proxy] : [proxy];
}

function connectionManager(input: ListenerInput, listeners: ListenerModel[], name: string): Config {
  const { socket } = input;
  return httpConnectionManager({
    name: name.replaceAll("/", "_"),
    routes: routeConfiguration(name, listeners, { socket, cluster: input.cluster, perRoute: input.perRoute }),
    filters: input.filters,
    forwardedCertificate: input.forwardedCertificate,
    accessLog: accessLoggingOf(input.gateway),
  });
}

/** Once for each connection, not for each request; Envoy 1.37 or newer. */
function peerState(version: EnvoyVersion, tls: boolean): Config {
  const state = (object_key: string, inline_string: string): Config => ({
    object_key,
    factory_key: "envoy.string",
    // Deprecated in 1.40; no Wasm filter can write this key either way, theirs start with `wasm.`.
    read_only: atLeast(version, 1, 40) ? undefined : true,
    format_string: { text_format_source: { inline_string } },
  });
  return {
    name: "envoy.filters.network.set_filter_state",
    typed_config: typed("envoy.extensions.filters.network.set_filter_state.v3.Config", {
      on_new_connection: [state(DIRECT_ADDRESS_KEY, "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%")],
      on_downstream_tls_handshake: tls ? [state(PEER_KEY, "%DOWNSTREAM_PEER_URI_SAN%")] : undefined,
    }),
  };
}

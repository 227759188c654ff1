import { toByteString } from "./bytes.ts";
import type { Context } from "./context.ts";
import type { HeaderMap } from "./header-map.ts";
import { endpointText, filterStateValue, type PeerInit, type StreamInfo, type TlsInit, type UpstreamInfo } from "./stream-info.ts";
import { boolOf, durationOf, intOf, metadataValue, stringOf, timestampOf, uintOf, type MapValue, type Value } from "./values.ts";
import { localityValue, nodeValue } from "./node.ts";

/**
 * Envoy's attributes as its CEL activation gives them to modules.
 * https://www.envoyproxy.io/docs/envoy/v1.40.0/intro/arch_overview/advanced/attributes
 */
type Reader = (context: Context, info: StreamInfo) => Value | undefined;
type Table = Readonly<Record<string, Reader>>;

const header = (map: HeaderMap | undefined, name: string): Value | undefined => {
  const value = map?.get(name);
  return value === undefined ? undefined : stringOf(value);
};

const VALID_HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z:]+$/;

function headersValue(map: HeaderMap | undefined): MapValue {
  const joined = (name: string): Value | undefined => {
    const values = map?.getAll(name) ?? [];
    return values.length === 0 ? undefined : stringOf(values.join(","));
  };
  return {
    kind: "map",
    get: (key) => (VALID_HEADER_NAME.test(key) ? joined(key) : undefined),
    entries: () => {
      const names = new Set<string>();
      for (let i = 0; i < (map?.entries.length ?? 0); i += 2) names.add(map!.entries[i]!);
      return [...names].map((name) => [name, joined(name)!] as const);
    },
  };
}

const REQUEST: Table = {
  path: (_, info) => header(info.requestHeaders, ":path"),
  url_path: (_, info) => {
    const path = info.requestHeaders?.get(":path");
    return info.requestHeaders === undefined ? undefined : stringOf((path ?? "").split("?", 1)[0]!);
  },
  query: (_, info) => {
    if (info.requestHeaders === undefined) return undefined;
    const path = info.requestHeaders.get(":path") ?? "";
    const at = path.indexOf("?");
    return stringOf(at < 0 ? "" : path.slice(at + 1).split("#", 1)[0]!);
  },
  host: (_, info) => header(info.requestHeaders, ":authority"),
  scheme: (_, info) => header(info.requestHeaders, ":scheme"),
  method: (_, info) => header(info.requestHeaders, ":method"),
  referer: (_, info) => header(info.requestHeaders, "referer"),
  useragent: (_, info) => header(info.requestHeaders, "user-agent"),
  id: (_, info) => header(info.requestHeaders, "x-request-id"),
  headers: (_, info) => headersValue(info.requestHeaders),
  headers_bytes: (_, info) => intOf(info.requestHeaders?.byteSize ?? 0),
  time: (_, info) => timestampOf(info.startNs),
  protocol: (_, info) => (info.protocol === "" ? undefined : stringOf(info.protocol)),
  size: (_, info) => {
    const length = info.requestHeaders?.get("content-length");
    if (length === undefined) return intOf(info.bytesReceived);
    return /^\s*[+-]?\d+\s*$/.test(length) ? intOf(BigInt(length.trim())) : undefined;
  },
  total_size: (_, info) => intOf(info.bytesReceived + (info.requestHeaders?.byteSize ?? 0)),
  duration: (_, info) => (info.endNs === undefined ? undefined : durationOf(info.endNs - info.startMonotonicNs)),
};

const RESPONSE: Table = {
  code: (_, info) => (info.responseCode === undefined ? undefined : intOf(info.responseCode)),
  code_details: (_, info) => (info.responseCodeDetails === undefined ? undefined : stringOf(toByteString(info.responseCodeDetails))),
  flags: (_, info) => intOf(info.responseFlags),
  size: (_, info) => intOf(info.bytesSent),
  headers: (_, info) => headersValue(info.responseHeaders),
  headers_bytes: (_, info) => intOf(info.responseHeaders?.byteSize ?? 0),
  trailers: (_, info) => headersValue(info.responseTrailers),
  total_size: (_, info) => intOf(info.bytesSent + (info.responseHeaders?.byteSize ?? 0) + (info.responseTrailers?.byteSize ?? 0)),
  grpc_status: (_, info) => grpcStatus(info),
  backend_latency: (_, info) => (info.upstreamSentNs === undefined || info.upstreamReceivedNs === undefined ? undefined : durationOf(info.upstreamReceivedNs - info.upstreamSentNs)),
};

/** From trailers, else headers, else (Envoy) from the HTTP status. */
function grpcStatus(info: StreamInfo): Value | undefined {
  const text = info.responseTrailers?.get("grpc-status") ?? info.responseHeaders?.get("grpc-status");
  if (text !== undefined) return intOf(/^\d+$/.test(text) && Number(text) <= 16 ? Number(text) : -1);
  return info.responseCode === undefined ? undefined : intOf(httpToGrpcStatus(info.responseCode));
}

/** https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
export function httpToGrpcStatus(code: number): number {
  switch (code) {
    case 400:
      return 13;
    case 401:
      return 16;
    case 403:
      return 7;
    case 404:
      return 12;
    case 429:
    case 502:
    case 503:
    case 504:
      return 14;
    default:
      return 2;
  }
}

const first = (list: readonly string[] | undefined): Value | undefined => (list === undefined || list.length === 0 ? undefined : stringOf(toByteString(list[0]!)));
const optional = (text: string | undefined): Value | undefined => (text === undefined || text === "" ? undefined : stringOf(toByteString(text)));

/** What a TLS connection answers, on either side. */
function tlsAttribute(tls: TlsInit, peer: PeerInit, key: string): Value | undefined {
  switch (key) {
    case "tls_version":
      return stringOf(tls.version ?? "TLSv1.3");
    case "subject_local_certificate":
      return stringOf(toByteString(tls.localSubject ?? ""));
    case "subject_peer_certificate":
      return stringOf(toByteString(peer.subject ?? ""));
    case "uri_san_local_certificate":
      return first(tls.localUriSans);
    case "uri_san_peer_certificate":
      return first(peer.uriSans);
    case "dns_san_local_certificate":
      return first(tls.localDnsSans);
    case "dns_san_peer_certificate":
      return first(peer.dnsSans);
    case "sha256_peer_certificate_digest":
      return optional(peer.certificateSha256);
    default:
      return undefined;
  }
}

const CONNECTION: Table = {
  id: (_, info) => uintOf(info.connection.id),
  mtls: (_, info) => boolOf(info.connection.mutualTls),
  requested_server_name: (_, info) => stringOf(toByteString(info.connection.tls?.serverName ?? "")),
};

const port = (value: number | undefined): Value | undefined => (value === undefined ? undefined : intOf(value));

const UPSTREAM: Table = {
  address: (_, info) => (info.upstream?.address === undefined ? undefined : stringOf(endpointText(info.upstream))),
  port: (_, info) => port(info.upstream?.port),
  local_address: (_, info) => optional(info.upstream?.localAddress),
  locality: (_, info) => (info.upstream === undefined ? undefined : localityValue(info.upstream.locality ?? {})),
  transport_failure_reason: (_, info) => (info.upstream === undefined ? undefined : stringOf(toByteString(info.upstream.transportFailureReason ?? ""))),
  request_attempt_count: (_, info) => uintOf(info.attemptCount),
  cx_pool_ready_duration: (_, info) => (info.upstream === undefined ? undefined : durationOf(0n)),
  num_endpoints: (_, info) => (info.route?.cluster === undefined ? undefined : uintOf(1)),
};

const SOURCE: Table = {
  address: (_, info) => stringOf(endpointText(info.connection.source)),
  port: (_, info) => port(info.connection.source.port),
};
const DESTINATION: Table = {
  address: (_, info) => stringOf(endpointText(info.connection.destination)),
  port: (_, info) => port(info.connection.destination.port),
};

const upstreamMetadata = (upstream: UpstreamInfo | undefined): Value | undefined => {
  if (upstream === undefined) return undefined;
  return upstream.hostMetadata === undefined ? { kind: "null" } : metadataValue(upstream.hostMetadata);
};

const XDS: Table = {
  route_name: (_, info) => (info.route === undefined ? undefined : stringOf(toByteString(info.route.name))),
  route_metadata: (_, info) => (info.route === undefined ? undefined : metadataValue(info.route.metadata ?? {})),
  cluster_name: (_, info) => optional(info.cluster ?? info.route?.cluster),
  cluster_metadata: (_, info) => (info.route?.cluster === undefined ? undefined : metadataValue({})),
  virtual_host_name: (_, info) => (info.route === undefined ? undefined : stringOf(toByteString(info.route.virtualHost ?? ""))),
  virtual_host_metadata: (_, info) => (info.route === undefined ? undefined : metadataValue({})),
  upstream_host_metadata: (_, info) => upstreamMetadata(info.upstream),
  filter_chain_name: () => stringOf(""),
  listener_metadata: (context) => metadataValue(context.plugin?.listener.metadata ?? {}),
  listener_direction: (context) => intOf(context.plugin?.listener.direction ?? 0),
};

/** A map that answers by table and cannot be listed. */
function tableValue(table: Table, context: Context, info: StreamInfo, fallback?: (key: string) => Value | undefined): MapValue {
  return { kind: "map", get: (key) => (Object.hasOwn(table, key) ? table[key]!(context, info) : fallback?.(key)) };
}

/** The first segment of a property path; undefined: not found. */
export function rootAttribute(context: Context, name: string): Value | undefined {
  const info = context.info;
  if (name === "xds") {
    if (info === undefined) return { kind: "map", get: (key) => (key === "node" ? nodeValue(context.vm.host.node) : undefined) };
    return tableValue(XDS, context, info, (key) => (key === "node" ? nodeValue(context.vm.host.node) : undefined));
  }
  if (name === "plugin_name") return context.plugin && stringOf(toByteString(context.plugin.name));
  if (name === "plugin_root_id") return stringOf(toByteString(context.plugin?.rootId ?? ""));
  if (name === "plugin_vm_id") return stringOf(toByteString(context.vm.settings.vmId));
  if (info === undefined) return undefined;
  switch (name) {
    case "request":
      return tableValue(REQUEST, context, info);
    case "response":
      return tableValue(RESPONSE, context, info);
    case "connection":
      return tableValue(CONNECTION, context, info, (key) => info.connection.tls && tlsAttribute(info.connection.tls, info.connection.source, key));
    case "upstream":
      return tableValue(UPSTREAM, context, info, (key) => info.upstream?.tls && tlsAttribute(info.upstream.tls, info.upstream.peer ?? {}, key));
    case "source":
      return tableValue(SOURCE, context, info);
    case "destination":
      return tableValue(DESTINATION, context, info);
    case "metadata":
      return metadataValue(info.metadata);
    case "filter_state":
      return {
        kind: "map",
        get: (key) => {
          const object = info.filterState.get(key);
          return object && filterStateValue(object);
        },
      };
    case "upstream_filter_state":
      return info.upstream && { kind: "map", get: () => undefined };
    case "connection_id":
      return uintOf(info.connection.id);
    default: {
      const object = info.filterState.get(`wasm.${name}`);
      return object?.from === "wasm" ? filterStateValue(object) : undefined;
    }
  }
}

/** Fast path for the two-segment properties that filters read on every request. */
export function fastAttribute(context: Context, info: StreamInfo, first: string, second: string): Value | undefined | null {
  switch (first) {
    case "request":
      return Object.hasOwn(REQUEST, second) ? REQUEST[second]!(context, info) : undefined;
    case "response":
      return Object.hasOwn(RESPONSE, second) ? RESPONSE[second]!(context, info) : undefined;
    case "xds":
      return Object.hasOwn(XDS, second) ? XDS[second]!(context, info) : null;
    case "source":
      return Object.hasOwn(SOURCE, second) ? SOURCE[second]!(context, info) : undefined;
    case "filter_state": {
      const object = info.filterState.get(second);
      return object && filterStateValue(object);
    }
    default:
      return null;
  }
}

import { bytesToByteString, toByteString, toBytes } from "./bytes.ts";
import type { HeaderMap } from "./header-map.ts";
import type { Json } from "./proto.ts";
import { bytesOf, propertyValue, stringOf, type PropertyInit, type Value } from "./values.ts";

/** One end of a connection. */
export interface Endpoint {
  /** IP address without port, or a pipe's path. */
  address?: string;
  port?: number;
}

/** What the peer showed when it connected. */
export interface PeerInit extends Endpoint {
  uriSans?: readonly string[];
  dnsSans?: readonly string[];
  /** Subject of the peer's certificate, RFC 2253. */
  subject?: string;
  /** SHA-256 of the peer's certificate, hexadecimal. */
  certificateSha256?: string;
}

export interface TlsInit {
  /** e.g. `TLSv1.3` */
  version?: string;
  /** Server name that the client asked for. */
  serverName?: string;
  localSubject?: string;
  localUriSans?: readonly string[];
  localDnsSans?: readonly string[];
}

/** A downstream connection; streams that share one share what filters put into its filter state. */
export interface ConnectionInit {
  source?: PeerInit;
  destination?: Endpoint;
  /** True or details: the connection is TLS. A peer with SANs or a subject makes it mutual TLS. */
  tls?: boolean | TlsInit;
  /** Envoy's connection id; counted by default. */
  id?: number;
}

/** Where a route leads. */
export interface Route {
  name: string;
  cluster?: string;
  virtualHost?: string;
  metadata?: Readonly<Record<string, Json>>;
}

/** An object in filter state. */
export type FilterStateObject =
  /** Set by a module: `proxy_set_property`. */
  | { from: "wasm"; value: Uint8Array; type: "bytes" | "string" | "protobuf" | "flatbuffers"; readonly: boolean }
  /** Set by Envoy itself (`set_filter_state`) or through `set_envoy_filter_state`. */
  | { from: "envoy"; value: Uint8Array; fields?: Readonly<Record<string, PropertyInit>> };

export type FilterStateInit = string | Uint8Array | { fields: Readonly<Record<string, PropertyInit>> };

/** Objects by key; a connection's objects are seen by all of its streams. */
export class FilterState {
  private readonly objects = new Map<string, FilterStateObject>();
  private readonly parent: FilterState | undefined;

  constructor(parent?: FilterState) {
    this.parent = parent;
  }

  get(key: string): FilterStateObject | undefined {
    return this.objects.get(key) ?? this.parent?.get(key);
  }

  set(key: string, object: FilterStateObject, onConnection = false): void {
    if (onConnection && this.parent !== undefined) this.parent.set(key, object);
    else this.objects.set(key, object);
  }

  /** Everything, as text by key: for tests and route functions. */
  toObject(): Record<string, string> {
    const object: Record<string, string> = this.parent?.toObject() ?? {};
    for (const [key, entry] of this.objects) object[key] = Buffer.from(entry.value).toString("utf8");
    return object;
  }

  static objectOf(init: FilterStateInit): FilterStateObject {
    if (typeof init === "string" || init instanceof Uint8Array) return { from: "envoy", value: toBytes(init) };
    return { from: "envoy", value: new Uint8Array(0), fields: init.fields };
  }
}

/** The value that a property read gives for an object. */
export function filterStateValue(object: FilterStateObject): Value {
  if (object.from === "wasm") return object.type === "string" ? stringOf(bytesToByteString(object.value)) : bytesOf(object.value);
  const { fields } = object;
  if (fields === undefined) return bytesOf(object.value);
  return { kind: "map", get: (key) => (Object.hasOwn(fields, key) ? propertyValue(fields[key]!) : undefined), entries: () => [] };
}

export class Connection {
  readonly id: number;
  readonly source: PeerInit;
  readonly destination: Endpoint;
  readonly tls: TlsInit | undefined;
  readonly filterState = new FilterState();

  constructor(init: ConnectionInit = {}, id = 0) {
    this.source = { address: "127.0.0.1", port: 50000, ...init.source };
    this.destination = { address: "127.0.0.1", port: 10000, ...init.destination };
    const { uriSans, dnsSans, subject } = this.source;
    const peer = (uriSans?.length ?? 0) > 0 || (dnsSans?.length ?? 0) > 0 || subject !== undefined;
    this.tls = init.tls === false ? undefined : init.tls === true ? {} : (init.tls ?? (peer ? {} : undefined));
    this.id = init.id ?? id;
  }

  /** Whether the peer presented a certificate. */
  get mutualTls(): boolean {
    const { uriSans, dnsSans, subject, certificateSha256 } = this.source;
    return this.tls !== undefined && ((uriSans?.length ?? 0) > 0 || (dnsSans?.length ?? 0) > 0 || subject !== undefined || certificateSha256 !== undefined);
  }
}

/** `ip:port`, `[ip6]:port` or the path of a pipe, as Envoy prints it; a byte string. */
export function endpointText(endpoint: Endpoint): string {
  const address = endpoint.address ?? "";
  if (endpoint.port === undefined || address.startsWith("/")) return toByteString(address);
  return address.includes(":") ? `[${address}]:${endpoint.port}` : `${toByteString(address)}:${endpoint.port}`;
}

export interface UpstreamInfo {
  address?: string;
  port?: number;
  /** "HTTP/2", or HTTP/1.1: who gets a body of another length than its headers say notices it in another way. */
  protocol?: string;
  localAddress?: string;
  transportFailureReason?: string;
  tls?: TlsInit;
  /** The upstream's certificate. */
  peer?: PeerInit;
  hostMetadata?: Readonly<Record<string, Json>>;
  locality?: { region?: string; zone?: string; subZone?: string };
}

/** Where there is no real one. */
export const DEFAULT_UPSTREAM: UpstreamInfo = { address: "127.0.0.1", port: 8080, localAddress: "127.0.0.1:51000" };

/** What Envoy knows of one stream; properties read from here. */
export class StreamInfo {
  readonly connection: Connection;
  readonly filterState: FilterState;
  startNs: bigint;
  startMonotonicNs: bigint;
  protocol: string;
  metadata: Record<string, Json> = {};
  route: Route | undefined;
  /** Cluster of a TCP connection; an HTTP stream's is its route's. */
  cluster: string | undefined;
  /** Known once the request is on its way there. */
  upstream: UpstreamInfo | undefined;
  responseCode: number | undefined;
  responseCodeDetails: string | undefined;
  /** Envoy's legacy response flag bits. */
  responseFlags = 0;
  bytesReceived = 0;
  bytesSent = 0;
  attemptCount = 0;
  /** Monotonic nanoseconds when the stream ended. */
  endNs: bigint | undefined;
  upstreamSentNs: bigint | undefined;
  upstreamReceivedNs: bigint | undefined;
  /** What a test pinned: property path (NUL-joined) to value. */
  overrides: ReadonlyMap<string, Value> | undefined;
  /** The request and response maps that properties read in the current phase. */
  requestHeaders: HeaderMap | undefined;
  responseHeaders: HeaderMap | undefined;
  responseTrailers: HeaderMap | undefined;

  constructor(connection: Connection, protocol: string, startNs: bigint, startMonotonicNs: bigint) {
    this.connection = connection;
    this.filterState = new FilterState(connection.filterState);
    this.protocol = protocol;
    this.startNs = startNs;
    this.startMonotonicNs = startMonotonicNs;
  }
}

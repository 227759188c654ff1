/** What one filter chain of a listener does with requests: its connection manager's settings, its filters, its routes. */
import { networkInterfaces } from "node:os";
import { SelvedgeError, type Finding } from "../errors.ts";
import { type Connection, type Filter, type Host, type Thread } from "../host/index.ts";
import type { HttpStream } from "../host/http-stream.ts";
import { FilterState } from "../host/stream-info.ts";
import type { StreamFilter } from "../host/stream-context.ts";
import type { Clock } from "../host/index.ts";
import { Authorizer, clusterOf, ExtAuthzFilter } from "./authz/filter.ts";
import { admit, type Admission, type RawRequest } from "./admit.ts";
import { Connections, type PeerFacts } from "./connections.ts";
import { accessLog, fieldOf, type AccessLog, type Logged, type LoggedSubject } from "./report/access-log.ts";
import type { Counters } from "./report/counters.ts";
import { JwtAuthentication, JwtFilter } from "./jwt/filter.ts";
import { compileRoutes, type RouteFinder } from "./router/match.ts";
import { literalValue } from "./router/rewrite.ts";
import { milliseconds } from "./schema/common.ts";
import { JWT_FILTER } from "./schema/jwt.ts";
import type { CaptureConfig, ChainConfig, ManagerConfig, WasmConfig } from "./schema/listener.ts";
import type { ServedStream } from "./stream.ts";
import { serverTls, type ServerTls } from "./tls/server.ts";
import type { Cluster } from "./upstream/cluster.ts";

export interface ChainParts {
  host: Host<Clock>;
  filter: (config: WasmConfig) => Filter;
  clusters: ReadonlyMap<string, Cluster>;
  counters: Counters;
  log: (line: string) => void;
}

type FilterFactory = (thread: Thread) => StreamFilter | undefined;

export class Chain {
  readonly name: string;
  readonly host: Host<Clock>;
  readonly bufferLimit: number;
  readonly routes: RouteFinder;
  readonly tls: ServerTls | undefined;
  readonly streams = new Set<ServedStream>();
  readonly limits: { headerBytes: number; idleMs: number; streamIdleMs: number; requestMs: number; headersMs: number; drainMs: number; handshakeMs: number };
  readonly http2: ManagerConfig["http2_protocol_options"];
  readonly #manager: ManagerConfig;
  /** Of requests, whatever their route. */
  readonly removedHeaders: readonly string[];
  /** Some route lets clients leave HTTP. */
  readonly upgrades: boolean;
  readonly #filters: FilterFactory[];
  readonly #parts: ChainParts;
  readonly #statName: string;
  readonly #jwt: JwtAuthentication[] = [];
  readonly #logs: AccessLog[];
  readonly #captures: CaptureConfig[];
  readonly #connections: Connections;

  constructor(config: ChainConfig, bufferLimit: number, parts: ChainParts) {
    const manager = config.filters.find((filter) => filter.name === "envoy.filters.network.http_connection_manager")!.typed_config as ManagerConfig;
    this.name = config.name;
    this.host = parts.host;
    this.bufferLimit = bufferLimit;
    this.#parts = parts;
    this.#manager = manager;
    this.#statName = `http.${manager.stat_prefix}`;
    this.#connections = new Connections(config, parts.host);
    this.tls = config.transport_socket && serverTls(config.transport_socket.typed_config);
    this.routes = compileRoutes(manager.route_config);
    this.upgrades = manager.route_config.virtual_hosts.some(({ routes }) => routes.some(({ route }) => route?.upgrade_configs !== undefined));
    this.removedHeaders = manager.route_config.request_headers_to_remove ?? [];
    this.http2 = manager.http2_protocol_options;
    this.limits = {
      headerBytes: manager.max_request_headers_kb * 1024,
      idleMs: milliseconds(manager.common_http_protocol_options.idle_timeout),
      streamIdleMs: milliseconds(manager.stream_idle_timeout),
      requestMs: milliseconds(manager.request_timeout),
      headersMs: milliseconds(manager.request_headers_timeout),
      drainMs: milliseconds(manager.drain_timeout),
      handshakeMs: config.transport_socket_connect_timeout === undefined ? 0 : milliseconds(config.transport_socket_connect_timeout),
    };
    this.#captures = manager.http_filters.flatMap(({ typed_config }) => ("on_request_headers" in typed_config ? typed_config.on_request_headers : []));
    const logs = (manager.access_log ?? []).map(({ typed_config }) => accessLog(typed_config.log_format.json_format));
    const findings = [...logs.flatMap((log) => (Array.isArray(log) ? log : [])), ...this.#check()];
    if (findings.length > 0) throw new SelvedgeError(findings);
    this.#logs = logs.filter((log): log is AccessLog => !Array.isArray(log));
    this.#filters = manager.http_filters.flatMap(({ typed_config }) => this.#factory(typed_config));
  }

  /** Keeps what the log says of a request, before a filter or a route changes it. */
  capture(http: HttpStream): void {
    for (const { object_key, format_string } of this.#captures) {
      const value = fieldOf<LoggedSubject>(format_string.text_format_source.inline_string)!(http);
      if (value !== null && value !== "") http.info.filterState.set(object_key, FilterState.objectOf(String(value)));
    }
  }

  createFilters(): StreamFilter[] {
    const thread = this.host.worker(0);
    return this.#filters.flatMap((create) => create(thread) ?? []);
  }

  /** What runs beside requests; after this the chain may be served. */
  start(): void {
    for (const each of this.#jwt) each.start();
  }

  close(): void {
    for (const each of this.#jwt) each.close();
  }

  #factory(config: ManagerConfig["http_filters"][number]["typed_config"]): FilterFactory[] {
    if ("providers" in config) {
      const jwt = new JwtAuthentication(config, this.#parts.clusters, this.#parts.counters);
      this.#jwt.push(jwt);
      return [() => new JwtFilter(this.host, jwt)];
    }
    if ("xds_matcher" in config) {
      const authorizer = new Authorizer(config, this.#parts.clusters);
      return [() => new ExtAuthzFilter(this.host, authorizer)];
    }
    if (!("config" in config)) return [];
    const { pluginConfig } = this.#parts.filter(config.config);
    return [(thread) => pluginConfig.createFilter(thread)];
  }

  cluster(name: string): Cluster {
    return this.#parts.clusters.get(name)!;
  }

  connection(facts: PeerFacts): Connection {
    this.#parts.counters.add(`${this.#statName}.downstream_cx_total`);
    return this.#connections.make(facts);
  }

  admit(raw: RawRequest, connection: Connection): Admission {
    this.received();
    const { common_http_protocol_options: common, path_with_escaped_slashes_action } = this.#manager;
    return admit(raw, {
      maxHeaders: common.max_headers_count,
      maxHeaderBytes: this.limits.headerBytes,
      escapedSlashes: path_with_escaped_slashes_action,
      tls: connection.tls !== undefined,
      peerAddress: connection.source.address ?? "",
      nodeAddress: NODE_ADDRESS,
      forwardedCertificate: this.#forwardedCertificate(connection),
    });
  }

  /** What filters are told of the client's certificate; undefined: nothing. */
  #forwardedCertificate(connection: Connection): string | undefined {
    if (this.#manager.forward_client_cert_details !== "SANITIZE_SET" || !connection.mutualTls) return undefined;
    const { source, tls } = connection;
    const uris = source.uriSans?.length ? source.uriSans : [""];
    return [...(tls?.localUriSans ?? []).slice(0, 1).map((uri) => `By=${uri}`), ...(source.certificateSha256 ? [`Hash=${source.certificateSha256}`] : []), ...uris.map((uri) => `URI=${uri}`)].join(";");
  }

  received(): void {
    this.#parts.counters.add(`${this.#statName}.downstream_rq_total`);
  }

  answered(status: string): void {
    this.#parts.counters.add(`${this.#statName}.downstream_rq_${status[0]}xx`);
  }

  log(logged: Logged): void {
    for (const log of this.#logs) this.#parts.log(log(logged));
  }

  /** What the schema can't say. */
  #check(): Finding[] {
    const finding = (message: string, found: string): Finding => ({ code: "host-engine-unsupported", severity: "error", message: `the host engine can't serve this configuration: ${message}`, found, fix: "run it with `--engine envoy`" });
    const routes = this.#manager.route_config.virtual_hosts.flatMap(({ routes: each }) => each);
    const headers = routes.flatMap(({ request_headers_to_add = [], response_headers_to_add = [] }) => [...request_headers_to_add, ...response_headers_to_add]);
    const clusters = routes.flatMap(({ route }) => (route ? [route.cluster, ...(route.request_mirror_policies ?? []).map(({ cluster }) => cluster)] : []));
    const filters = this.#manager.http_filters;
    return [
      ...filters.flatMap(({ typed_config }) => ("xds_matcher" in typed_config ? [clusterOf(typed_config.extension_config.typed_config) ?? "neither or both of http_service and grpc_service"] : [])).filter((name) => !this.#parts.clusters.has(name)).map((name) => finding("an authorizer in a cluster that isn't there", name)),
      ...jwtFindings(this.#manager, this.#parts.clusters).map(([message, found]) => finding(message, found)),
      ...this.#captures.map(({ format_string }) => format_string.text_format_source.inline_string).filter((format) => !fieldOf(format)).map((format) => finding("filter state of requests with another format", format)),
      ...this.#connections.unknown.map((format) => finding("filter state with another format", format)),
      ...headers.filter(({ header }) => literalValue(header.value) === undefined).map(({ header }) => finding(`a header's value (${header.key}) with commands in it`, header.value)),
      ...clusters.filter((name) => !this.#parts.clusters.has(name)).map((name) => finding("a route to a cluster that isn't there", name)),
      ...routes.filter((each) => [each.route, each.redirect, each.direct_response].filter(Boolean).length !== 1).map(({ name }) => finding("a route without exactly one of route, redirect and direct_response", name)),
      ...routes.filter(({ route }) => route?.upgrade_configs !== undefined && this.#parts.clusters.get(route.cluster)?.speaksHttp2).map(({ name }) => finding("WebSockets towards an HTTP/2 backend", name)),
      ...domainsIn(this.#manager).filter((domain) => domain.slice(1).includes("*")).map((domain) => finding("a domain with a wildcard elsewhere than in front", domain)),
      ...(filters.findIndex((filter) => filter.name === "envoy.filters.http.router") === filters.length - 1 ? [] : [finding("the router isn't the last filter", filters.map(({ name }) => name).join(", "))]),
    ];
  }
}

/** The first address of this machine that isn't loopback. */
const NODE_ADDRESS = Object.values(networkInterfaces()).flat().find((each) => each !== undefined && each.family === "IPv4" && !each.internal)?.address ?? "127.0.0.1";

function domainsIn(manager: ManagerConfig): string[] {
  return manager.route_config.virtual_hosts.flatMap(({ domains }) => domains);
}

/** Names in jwt_authn that lead nowhere. */
function jwtFindings({ http_filters, route_config }: ManagerConfig, clusters: ReadonlyMap<string, Cluster>): [string, string][] {
  const configs = http_filters.flatMap(({ typed_config }) => ("providers" in typed_config ? [typed_config] : []));
  const asked = route_config.virtual_hosts.flatMap(({ routes }) => routes.flatMap(({ typed_per_filter_config }) => typed_per_filter_config?.[JWT_FILTER]?.requirement_name ?? []));
  if (configs.length > 1) return [["two jwt_authn filters", configs.map((each) => Object.keys(each.providers).join()).join(" and ")]];
  const [config] = configs;
  const named = Object.values(config?.requirement_map ?? {}).flatMap(({ requires_any: { requirements } }) => requirements.flatMap((each) => ("provider_name" in each ? [each.provider_name] : [])));
  const providers = Object.entries(config?.providers ?? {});
  return [
    ...asked.filter((name) => !config || !Object.hasOwn(config.requirement_map, name)).map((name): [string, string] => ["a route with a requirement of tokens that isn't there", name]),
    ...named.filter((name) => !Object.hasOwn(config!.providers, name)).map((name): [string, string] => ["a requirement of an issuer that isn't there", name]),
    ...providers.filter(([, { local_jwks, remote_jwks }]) => (local_jwks === undefined) === (remote_jwks === undefined)).map(([name]): [string, string] => ["an issuer without exactly one of local_jwks and remote_jwks", name]),
    ...providers.flatMap(([, { remote_jwks }]) => (remote_jwks && !clusters.has(remote_jwks.http_uri.cluster) ? [["keys from a cluster that isn't there", remote_jwks.http_uri.cluster] as [string, string]] : [])),
  ];
}

/** The listeners, hosts and routes of a composed configuration, read back from it: which route Envoy gives a request. */
import type { Config, Json } from "../compose/emit/config.ts";
import { covers, compareHostnames } from "../compose/hostnames.ts";
import { hostname, splitPath, type AccessRequest } from "./request.ts";

export interface Listener {
  /** `<namespace>/<gateway>/<port>`. */
  name: string;
  /** `<namespace>/<gateway>`. */
  gateway: string;
  addresses: string[];
  port: number;
  chains: Chain[];
}

/** What a TLS server name selects; plain HTTP has one. */
export interface Chain {
  serverNames: string[];
  tls: boolean;
  /** Without a certificate there is no connection. */
  clientCertificate: boolean;
  /** Of requests; none where there are only connections. */
  hosts: VirtualHost[];
  /** What becomes of connections. */
  tcp?: TcpChain;
}

export interface TcpChain {
  /** Name of the plugin that decides; undefined: no policy concerns it. */
  plugin: string | undefined;
  /** `<namespace>/<name>` of its Backends; none: it closes every connection. */
  backends: string[];
}

export interface VirtualHost {
  domains: string[];
  routes: Route[];
}

export interface Route {
  name: string;
  match: RouteMatch;
  action: "forward" | "redirect" | "answer";
}

interface StringMatch {
  exact?: string;
  safe_regex?: { regex: string };
}

export interface RouteMatch {
  path?: string;
  prefix?: string;
  path_separated_prefix?: string;
  safe_regex?: { regex: string };
  headers?: { name: string; string_match: StringMatch }[];
  query_parameters?: { name: string; string_match: StringMatch }[];
  filter_state?: unknown[];
}

/** What of a request is not known, so that a match on it has no answer. */
export interface Unknown {
  headers?: (name: string) => boolean;
  query?: boolean;
}

/** @param config an Envoy bootstrap that compose made */
export function readListeners(config: Config): Listener[] {
  const { listeners = [] } = (config.static_resources ?? {}) as { listeners?: Config[] };
  return listeners.flatMap((listener) => {
    const name = String(listener.name);
    const chains = list(listener.filter_chains).map(readChain);
    if (chains.length === 0) return [];
    const addresses = [listener.address, ...list(listener.additional_addresses).map((each) => each.address)].map((each) => (each as Config).socket_address as Config);
    return [{ name, gateway: name.split("/").slice(0, 2).join("/"), addresses: addresses.map((each) => String(each.address)), port: Number(addresses[0]!.port_value), chains }];
  });
}

const list = (value: Json | undefined): Config[] => (Array.isArray(value) ? (value as Config[]) : []);

function readChain(chain: Config): Chain {
  const configs = list(chain.filters).map((filter) => filter.typed_config as Config);
  const routes = configs.find((each) => each.route_config !== undefined)?.route_config as Config | undefined;
  const tls = (chain.transport_socket as Config | undefined)?.typed_config as Config | undefined;
  const names = (chain.filter_chain_match as Config | undefined)?.server_names;
  return {
    serverNames: Array.isArray(names) ? names.map(String) : [],
    tls: tls !== undefined,
    clientCertificate: tls?.require_client_certificate === true,
    ...(!routes && { tcp: readTcp(configs) }),
    hosts: list(routes?.virtual_hosts).map((host) => ({
      domains: (host.domains as Json[]).map(String),
      routes: list(host.routes).map((route) => ({
        name: String(route.name),
        match: route.match as RouteMatch,
        action: route.redirect !== undefined ? "redirect" : route.direct_response !== undefined ? "answer" : "forward",
      })),
    })),
  };
}

function readTcp(configs: readonly Config[]): TcpChain {
  const type = (name: string) => configs.find((each) => String(each["@type"]).endsWith(`.${name}`));
  const proxy = type("TcpProxy");
  const weighted = list((proxy?.weighted_clusters as Config | undefined)?.clusters).map(({ name }) => String(name));
  const clusters = proxy === undefined ? [] : proxy.cluster !== undefined ? [String(proxy.cluster)] : weighted;
  const plugin = (type("Wasm")?.config as Config | undefined)?.name;
  return { plugin: plugin === undefined ? undefined : String(plugin), backends: clusters.map((name) => name.replace(/^tcp\//, "")) };
}

/** The filter chain for a server name; undefined: Envoy closes the connection. */
export function chainFor(listener: Listener, sni: string | undefined): Chain | undefined {
  const name = sni?.toLowerCase() ?? "";
  const named = listener.chains
    .flatMap((chain) => chain.serverNames.filter((each) => covers(each, name)).map((each) => ({ chain, each })))
    .sort((a, b) => compareHostnames(a.each, b.each))[0];
  return named?.chain ?? listener.chains.find((chain) => chain.serverNames.length === 0);
}

/** The virtual host that serves a host. */
export function hostFor(chain: Chain, host: string): VirtualHost | undefined {
  const name = hostname(host);
  return chain.hosts
    .flatMap((each) => each.domains.filter((domain) => covers(domain.toLowerCase(), name)).map((domain) => ({ each, domain })))
    .sort((a, b) => compareHostnames(a.domain, b.domain))[0]?.each;
}

/**
 * The route that a request takes while no canary arm is chosen: authorization decides before that.
 * "unknown": it depends on what isn't known of the request. Undefined: none.
 */
export function routeFor(chain: Chain, request: Pick<AccessRequest, "host" | "path" | "method" | "headers">, unknown: Unknown = {}): Route | "unknown" | undefined {
  for (const route of hostFor(chain, request.host)?.routes ?? []) {
    if (route.match.filter_state !== undefined) continue;
    const matched = matches(route.match, request, unknown);
    if (matched === undefined) return "unknown";
    if (matched) return route;
  }
  return undefined;
}

function matches(match: RouteMatch, request: Pick<AccessRequest, "path" | "method" | "headers">, unknown: Unknown): boolean | undefined {
  const { path, query } = splitPath(request.path);
  if (!pathMatches(match, path)) return false;
  let open = false;
  for (const { name, string_match } of match.headers ?? []) {
    if (name !== ":method" && unknown.headers?.(name)) {
      open = true;
      continue;
    }
    const values = name === ":method" ? [request.method] : request.headers.filter(([each]) => each.toLowerCase() === name).map(([, value]) => value);
    if (!values.some((value) => textMatches(string_match, value))) return false;
  }
  if (match.query_parameters && unknown.query) open = true;
  else {
    for (const { name, string_match } of match.query_parameters ?? []) {
      const value = new URLSearchParams(query).get(name);
      if (value === null || !textMatches(string_match, value)) return false;
    }
  }
  return open ? undefined : true;
}

function pathMatches(match: RouteMatch, path: string): boolean {
  if (match.path !== undefined) return path === match.path;
  if (match.prefix !== undefined) return path.startsWith(match.prefix);
  if (match.path_separated_prefix !== undefined) return path === match.path_separated_prefix || path.startsWith(`${match.path_separated_prefix}/`);
  return match.safe_regex !== undefined && pattern(match.safe_regex.regex).test(path);
}

function textMatches({ exact, safe_regex }: StringMatch, value: string): boolean {
  return exact !== undefined ? exact === value : safe_regex !== undefined && pattern(safe_regex.regex).test(value);
}

const patterns = new Map<string, RegExp>();

/** RE2's spelling of what JavaScript writes otherwise; `check` has refused what neither can do. */
function pattern(regex: string): RegExp {
  let compiled = patterns.get(regex);
  if (!compiled) {
    const flags = /^\(\?([imsU]+)\)/.exec(regex)?.[1] ?? "";
    const plain = regex.replace(/\(\?[imsU-]+\)/g, "").replace(/\(\?[imsU-]+:/g, "(?:").replace(/\(\?P</g, "(?<");
    patterns.set(regex, (compiled = new RegExp(`^(?:${plain})$`, flags.replace(/[^ims]/g, ""))));
  }
  return compiled;
}

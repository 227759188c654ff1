/** From the options of a command to a request, or a connection, and the place where it arrives. */
import { isIP } from "node:net";
import { UsageError, fail } from "../errors.ts";
import type { Json } from "../host/index.ts";
import { CONNECTION, type Arrival, type EdgeNode, type Gateway, type Workload } from "../decide/node.ts";
import { hostname, peerOf, type AccessRequest } from "../decide/request.ts";
import { chainFor, type Chain, type Listener, type Route } from "../decide/table.ts";

export interface RequestFlags {
  as?: string;
  to?: string;
  method?: string;
  host?: string;
  path?: string;
  /** `name: value`. */
  headers?: readonly string[];
  port?: string;
  ip?: string;
  remoteIp?: string;
  localIp?: string;
  sni?: string;
  jwtClaims?: string;
}

export interface Asked {
  arrival: Exclude<Arrival, { kind: "unknown" }>;
  request: AccessRequest;
  /** By attribute: what was taken for granted. */
  assumed: Record<string, string>;
}

/** @throws UsageError for flags that make no sense, SelvedgeError where there is no such listener or workload */
export function askedBy(node: EdgeNode, flags: RequestFlags): Asked {
  const assumed: Record<string, string> = {};
  const take = (attribute: string, given: string | undefined, otherwise: string, words: string): string => {
    if (given !== undefined) return given;
    assumed[attribute] = `${words} ${otherwise}`;
    return otherwise;
  };
  const target = flags.to === undefined ? undefined : targetOf(node, flags.to);
  const peer = flags.as === undefined ? undefined : flags.as.split(",").flatMap((each) => peerOf(each, node.trustDomain) ?? []);
  const identity = peer?.length ? peer : undefined;
  if (flags.as === undefined) for (const attribute of ["principal", "namespace", "serviceAccount", "trustDomain"]) assumed[attribute] = "no client certificate (--as)";
  const listener = target?.listener ?? listenerFor(node, flags.port, identity !== undefined);
  if (isTcp(listener)) return connectionBy(node, listener, target?.tcp, identity, flags, assumed);
  const host = take("host", flags.host, target?.host ?? "localhost", "host");
  const direct = take("source.ip", flags.ip, "127.0.0.1", "physical peer's address (--ip)");
  const request: AccessRequest = {
    method: take("method", flags.method?.trim(), "GET", "method"),
    host,
    path: take("path", flags.path, target?.path ?? "/", "path"),
    headers: (flags.headers ?? []).map(headerOf),
    peer: identity,
    tls: true,
    sni: flags.sni ?? (isIP(hostname(host)) === 0 ? hostname(host) : undefined),
    direct,
    remote: flags.remoteIp ?? direct,
    local: localOf(listener, flags),
    claims: claimsOf(flags.jwtClaims),
  };
  checkAddresses(request);
  if (!request.path.startsWith("/")) throw new UsageError(`--path starts with /, unlike ${request.path}`);
  if (flags.remoteIp === undefined) assumed["remote.ip"] = `client's address (--remote-ip) ${request.remote}`;
  if (flags.sni === undefined && request.sni !== undefined) assumed.sni = `server name (--sni) ${request.sni}`;
  if (flags.localIp === undefined) assumed["destination.ip"] = `address connected to (--local-ip) ${request.local.address}`;
  if (!target?.route) {
    const arrival = node.arrive(listener, request);
    if (arrival.kind === "unknown") fail("request-incomplete", "the route depends on what isn't known of the request");
    return { arrival, request, assumed };
  }
  const chain = chainFor(listener, request.sni) ?? listener.chains[0]!;
  if (chain.clientCertificate && identity === undefined) return { arrival: { kind: "refused", reason: `${listener.name} wants a client certificate, and there is none`, listener }, request, assumed };
  return { arrival: { kind: "arrived", listener, chain, gateway: target.gateway, route: target.route, workload: target.workload, request: { ...request, tls: chain.tls } }, request, assumed };
}

const OF_REQUESTS = ["method", "host", "path", "headers", "jwtClaims"] as const;

/** A connection to a listener that takes no requests. @param to chain that leads to the destination asked for */
function connectionBy(node: EdgeNode, listener: Listener, to: Chain | undefined, peer: string[] | undefined, flags: RequestFlags, assumed: Record<string, string>): Asked {
  const surplus = OF_REQUESTS.find((flag) => flags[flag]?.length);
  if (surplus !== undefined) throw new UsageError(`${listener.name} takes connections, which have no --${surplus === "headers" ? "header" : surplus === "jwtClaims" ? "jwt-claims" : surplus}`);
  const direct = flags.ip ?? "127.0.0.1";
  const named = to?.serverNames[0]?.replace("*", "any");
  const request: AccessRequest = { ...CONNECTION, peer, tls: true, sni: flags.sni ?? named, direct, remote: flags.remoteIp ?? direct, local: localOf(listener, flags) };
  checkAddresses(request);
  if (flags.ip === undefined) assumed["source.ip"] = `physical peer's address (--ip) ${direct}`;
  if (flags.remoteIp === undefined) assumed["remote.ip"] = `client's address (--remote-ip) ${request.remote}`;
  if (flags.localIp === undefined) assumed["destination.ip"] = `address connected to (--local-ip) ${request.local.address}`;
  if (flags.sni === undefined) assumed.sni = request.sni === undefined ? "no server name (--sni)" : `server name (--sni) ${request.sni}`;
  const arrival = node.arrive(listener, request);
  if (arrival.kind === "unknown") fail("request-incomplete", "the route depends on what isn't known of the request");
  return { arrival, request: arrival.kind === "arrived" ? arrival.request : request, assumed };
}

function localOf(listener: Listener, { localIp }: RequestFlags): AccessRequest["local"] {
  return { address: localIp ?? listener.addresses.find((each) => isIP(each) !== 0 && !/^(0\.0\.0\.0|::)$/.test(each)) ?? "127.0.0.1", port: listener.port };
}

/** @throws UsageError */
function checkAddresses({ direct, remote, local }: AccessRequest): void {
  for (const [flag, address] of [["--ip", direct], ["--remote-ip", remote], ["--local-ip", local.address]] as const) {
    if (isIP(address) === 0) throw new UsageError(`${flag} must be an IP address, not ${address}`);
  }
}

const isTcp = ({ chains }: Listener): boolean => chains.every(({ tcp }) => tcp !== undefined);

interface Target {
  listener: Listener;
  gateway: Gateway;
  workload: Workload;
  /** Undefined: a chain of connections leads there. */
  route: Route | undefined;
  tcp?: Chain;
  host: string;
  path: string | undefined;
}

/** The first route, or chain of connections, that leads to a workload or to a Backend of this name. @throws SelvedgeError `workload-unknown` */
export function targetOf(node: EdgeNode, name: string): Target {
  const matches = (workload: Workload): boolean =>
    workload.name === name || workload.targets.some((target) => target.startsWith("Backend/") && `${workload.namespace}/${target.slice("Backend/".length)}` === name) || workload.routes.includes(name);
  for (const gateway of node.gateways) for (const listener of gateway.listeners) {
    const { chain: tcp } = gateway;
    if (tcp?.tcp?.backends.includes(name)) return { listener, gateway, workload: gateway.self, route: undefined, tcp, host: "", path: undefined };
    const workload = tcp ? undefined : gateway.workloads.find(matches);
    if (!workload) continue;
    for (const chain of listener.chains) {
      for (const host of chain.hosts) {
        const route = host.routes.find((each) => workload.routes.includes(each.name) && each.match.filter_state === undefined);
        if (!route) continue;
        const { path, path_separated_prefix, prefix } = route.match;
        return { listener, gateway, workload, route, host: host.domains[0]!.replace(/^\*$/, "localhost").replace(/^\*\./, "any."), path: path ?? path_separated_prefix ?? prefix };
      }
    }
  }
  const known = [...new Set(node.gateways.flatMap(({ workloads, chain }) => chain?.tcp?.backends ?? workloads.map((workload) => workload.name!)))];
  return fail("workload-unknown", `no route leads to a workload ${name} that a policy could concern`, { expected: known.length > 0 ? `one of ${known.join(", ")}` : "namespace/name of a workload or Backend" });
}

function listenerFor(node: EdgeNode, port: string | undefined, identified: boolean): Listener {
  const all = node.listeners;
  if (port !== undefined) {
    return all.find((each) => String(each.port) === port) ?? fail("listener-unknown", `no listener is on port ${port}`, { expected: all.map((each) => String(each.port)).join(", ") });
  }
  // Connections are asked for by their port or destination, where there are requests too.
  const requests = all.filter((each) => !isTcp(each));
  return oneOf(requests.length > 0 ? requests : all, identified);
}

function oneOf(all: readonly Listener[], identified: boolean): Listener {
  const secure = all.filter((each) => each.chains.some(({ tls }) => tls));
  const [first] = identified ? (secure.length > 0 ? secure : all) : all;
  if (!first) fail("listener-unknown", "no Gateway of this folder has a listener");
  if (all.length > 1 && (identified ? secure : all).length !== 1) throw new UsageError(`there are several listeners: say --port ${all.map((each) => each.port).join(", ")}, or --to`);
  return first;
}

function headerOf(text: string): [string, string] {
  const at = text.indexOf(":", 1);
  if (at < 0) throw new UsageError(`--header takes name:value, not ${text}`);
  return [text.slice(0, at).trim().toLowerCase(), text.slice(at + 1).trim()];
}

function claimsOf(text: string | undefined): Record<string, Json> | undefined {
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as Json;
    if (value !== null && typeof value === "object" && !Array.isArray(value)) return value as Record<string, Json>;
  } catch {
    // Said below.
  }
  throw new UsageError("--jwt-claims takes a JSON object: the claims of a verified token, such as '{\"iss\":\"…\",\"sub\":\"…\"}'; never the token itself");
}


/** A line of an access log (of a request, or of a connection) as compose's configuration writes it, or Istio's JSON format: what it says of a request, and what it doesn't. */
import type { Attribute } from "./conditions.ts";
import { IDENTITY, isHttp } from "./conditions.ts";
import type { RuleName } from "./module.ts";
import { CONNECTION, type EdgeNode } from "./node.ts";
import { endpoint, type AccessRequest } from "./request.ts";
import type { Listener, Unknown } from "./table.ts";

export interface LoggedRequest {
  /** What the line doesn't say is filled with something harmless; {@link unknown} tells what that is. */
  request: AccessRequest;
  unknown: (attribute: Attribute) => boolean;
  /** The same for lines of which the same is unknown. */
  shape: string;
  route: string | undefined;
  /** Local port that the client connected to, if the line says it. */
  port: number | undefined;
  recorded: Recorded;
}

/** What came of the request when it was recorded. */
export interface Recorded {
  /** Undefined: the line doesn't tell. */
  allowed: boolean | undefined;
  rule: RuleName | undefined;
  /** The line names the rule, or that there was none. */
  named: boolean;
  details: string | undefined;
}

type Fields = Record<string, unknown>;

/** The first name is ours; the others are those of Istio's default JSON access log. */
const NAMES = {
  method: ["method"],
  host: ["authority"],
  path: ["path"],
  principal: ["principal", "downstream_peer_uri_san"],
  direct: ["peer", "downstream_direct_remote_address"],
  remote: ["remote", "downstream_remote_address"],
  local: ["local", "downstream_local_address"],
  sni: ["sni", "requested_server_name"],
  route: ["route", "route_name"],
  details: ["details", "response_code_details"],
  status: ["status", "response_code"],
} as const;

/** Why a line can't be taken, or what it says. */
export function readLogLine(text: string): LoggedRequest | string {
  let fields: unknown;
  try {
    fields = JSON.parse(text);
  } catch {
    return "no JSON";
  }
  if (fields === null || typeof fields !== "object" || Array.isArray(fields)) return "no JSON object";
  const value = reader(fields as Fields);
  if ((fields as Fields).protocol === "TCP") return connectionOf(value, fields as Fields);
  const [method, host, path] = [value("method"), value("host"), value("path")];
  for (const [name, each] of [["method", method], ["authority", host], ["path", path]] as const) {
    if (each === undefined) return `no field \`${name}\``;
    // Envoy had no request to log: the connection or its first bytes were at fault.
    if (each === null) return `\`${name}\` is empty: no request was read`;
  }
  const principal = value("principal");
  const [direct, remote, sni, localText, route] = [value("direct"), value("remote"), value("sni"), value("local"), value("route")];
  const local = localText ? endpoint(localText) : undefined;
  const { headers, claims } = fields as { headers?: unknown; claims?: unknown };
  const named = headers !== null && typeof headers === "object" ? Object.entries(headers as Fields) : [];
  const knownHeaders = new Set(named.map(([name]) => name.toLowerCase()));
  const known: Partial<Record<Attribute, boolean>> = {
    "source.ip": Boolean(direct), "remote.ip": Boolean(remote), "destination.ip": local !== undefined, port: local !== undefined, sni: sni !== undefined, method: true, host: true, path: true,
  };
  return {
    request: {
      method: method!,
      host: host!,
      path: path!,
      headers: named.flatMap(([name, each]): [string, string][] => (typeof each === "string" ? [[name.toLowerCase(), each]] : [])),
      peer: principal ? principal.split(",") : undefined,
      tls: true,
      sni: sni ?? undefined,
      direct: direct || "192.0.2.1",
      remote: (remote && (endpoint(remote)?.address ?? remote)) || "192.0.2.1",
      local: local ?? { address: "192.0.2.2", port: 1 },
      claims: claims !== null && typeof claims === "object" ? (claims as AccessRequest["claims"]) : undefined,
    },
    unknown: (attribute) => {
      if (IDENTITY.has(attribute)) return principal === undefined;
      if (attribute.startsWith("header ")) return !knownHeaders.has(attribute.slice("header ".length)) && !/^header (host|:authority|:method|:path)$/.test(attribute);
      if (attribute.startsWith("jwt ")) return claims === undefined;
      return !known[attribute];
    },
    shape: [principal === undefined, direct === undefined, remote === undefined, sni === undefined, local === undefined, claims === undefined, ...knownHeaders].join(),
    route: route ?? undefined,
    port: local?.port,
    recorded: recordedOf(value("details"), value("status")),
  };
}

/** A line as compose's configuration writes it for connections. */
function connectionOf(value: ReturnType<typeof reader>, fields: Fields): LoggedRequest | string {
  const [principal, direct, remote, sni, localText] = [value("principal"), value("direct"), value("remote"), value("sni"), value("local")];
  const local = localText ? endpoint(localText) : undefined;
  if (!local) return "no field `local`, which tells the listener";
  const known: Partial<Record<Attribute, boolean>> = { "source.ip": Boolean(direct), "remote.ip": Boolean(remote), "destination.ip": true, port: true, sni: sni !== undefined };
  const closed = typeof fields.closed === "string" ? fields.closed : undefined;
  const denied = closed?.startsWith("wasm") === true;
  // What reached the client, or with TLS the upstream, came by the filter.
  const passed = !denied && (Number(fields.bytes_sent) > 0 || Number(fields.upstream_bytes_sent) > 0);
  return {
    request: { ...CONNECTION, peer: principal ? principal.split(",") : undefined, tls: true, sni: sni ?? undefined, direct: direct || "192.0.2.1", remote: (remote && (endpoint(remote)?.address ?? remote)) || "192.0.2.1", local },
    unknown: (attribute) => (IDENTITY.has(attribute) ? principal === undefined : !isHttp(attribute) && !known[attribute]),
    shape: ["TCP", principal === undefined, direct === undefined, remote === undefined, sni === undefined].join(),
    route: undefined,
    port: local.port,
    recorded: { allowed: denied ? false : passed ? true : undefined, rule: undefined, named: false, details: denied ? "closed by the filter" : passed ? "let through" : undefined },
  };
}

/** Undefined: not logged. Null: logged, and there was none. */
function reader(fields: Fields): (name: keyof typeof NAMES) => string | null | undefined {
  return (name) => {
    const key = NAMES[name].find((each) => Object.hasOwn(fields, each));
    if (key === undefined) return undefined;
    const value = fields[key];
    if (value === null || value === "" || value === "-") return null;
    return typeof value === "string" ? value : typeof value === "number" ? String(value) : undefined;
  };
}

function recordedOf(details: string | null | undefined, status: string | null | undefined): Recorded {
  if (!details) return { allowed: undefined, rule: undefined, named: false, details: undefined };
  const denied = /^selvedge_authz_denied\[(?:none|(.+)#(\d+))\]$/.exec(details);
  if (denied) return { allowed: false, rule: denied[1] === undefined ? undefined : { policy: denied[1], rule: Number(denied[2]) }, named: true, details };
  if (details === "selvedge_ambiguous_identity") return { allowed: false, rule: undefined, named: false, details };
  // Whatever an upstream or the router said, authorization had let the request pass.
  const passed = /^(via_upstream|route_not_found|direct_response|upstream_|no_healthy_upstream|response_timeout|downstream_)/.test(details) && status !== "400";
  return { allowed: passed ? true : undefined, rule: undefined, named: false, details };
}

/** The listener that a logged request came to; a message where it can't be told. */
export function listenerOf(node: EdgeNode, logged: LoggedRequest): Listener | string {
  const { listeners } = node;
  const mine = logged.port === undefined ? listeners : listeners.filter(({ port }) => port === logged.port);
  if (mine.length === 1) return mine[0]!;
  if (logged.port === undefined) return "no field `local`, which tells the listener";
  const addressed = mine.filter(({ addresses }) => addresses.includes(logged.request.local.address));
  if (addressed.length === 1) return addressed[0]!;
  return mine.length === 0 ? `no listener on port ${logged.port}` : `more than one listener on port ${logged.port}`;
}

/** What the log doesn't say, for the choice of a route. Access logs have no query strings. */
export function unknownToRoutes({ unknown }: LoggedRequest): Unknown {
  return { headers: (name) => unknown(`header ${name.toLowerCase()}`), query: true };
}

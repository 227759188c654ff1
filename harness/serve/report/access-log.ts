/** JSON access logs: Envoy's command operators, as far as compose writes them. */
import { fromByteString } from "../../host/bytes.ts";
import { endpointText } from "../../host/stream-info.ts";
import type { HeaderMap } from "../../host/index.ts";
import type { StreamInfo } from "../../host/stream-info.ts";
import type { Finding } from "../../errors.ts";

/** A request, or a connection that is none. */
export interface LoggedSubject {
  info: StreamInfo;
  /** Absent: a connection. */
  requestHeaders?: HeaderMap | undefined;
}

export interface Logged extends LoggedSubject {
  /** 0: no answer. */
  status: number;
  /** Why the proxy closed a connection, if it did. */
  closed?: string | undefined;
  upstreamBytesSent?: number;
  startMs: number;
  durationMs: number;
  flags: string;
}

type Field = (logged: Logged) => string | number | null;

const text = (value: string | undefined): string | null => (value === undefined || value === "" ? null : value);

const FIELDS: Record<string, (argument: string) => Field> = {
  START_TIME: () => ({ startMs }) => new Date(startMs).toISOString(),
  DOWNSTREAM_LOCAL_CLOSE_REASON: () => ({ closed }) => text(closed),
  UPSTREAM_WIRE_BYTES_SENT: () => ({ upstreamBytesSent = 0 }) => upstreamBytesSent,
  REQ: (name) => (logged) => header(logged, name),
  PATH: () => (logged) => header(logged, ":path")?.split("?")[0] ?? null,
  PROTOCOL: () => ({ info }) => text(info.protocol),
  RESPONSE_CODE: () => ({ status }) => status,
  RESPONSE_FLAGS: () => ({ flags }) => flags || "-",
  RESPONSE_CODE_DETAILS: () => ({ info }) => text(info.responseCodeDetails?.replaceAll(" ", "_")),
  DURATION: () => ({ durationMs }) => Math.round(durationMs),
  BYTES_RECEIVED: () => ({ info }) => info.bytesReceived,
  BYTES_SENT: () => ({ info }) => info.bytesSent,
  DOWNSTREAM_PEER_URI_SAN: () => ({ info }) => text(info.connection.source.uriSans?.join(",")),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: () => ({ info }) => text(info.connection.source.address),
  // X-Forwarded-For isn't believed, so that the peer is the client.
  DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT: () => ({ info }) => text(info.connection.source.address),
  DOWNSTREAM_LOCAL_ADDRESS: () => ({ info }) => text(endpointText(info.connection.destination)),
  REQUESTED_SERVER_NAME: () => ({ info }) => text(info.connection.tls?.serverName),
  ROUTE_NAME: () => ({ info }) => text(info.route?.name),
  FILTER_STATE: (key) => ({ info }) => {
    const object = info.filterState.get(key);
    return object ? Buffer.from(object.value).toString() : null;
  },
  UPSTREAM_HOST: () => ({ info }) => (info.upstream?.address === undefined ? null : endpointText(info.upstream)),
};

const OPERATOR = /^%([A-Z_]+)(?:\(([^()]*)\))?%$/;
/** Arguments that an operator may have; those that aren't listed take none. */
const ARGUMENTS: Record<string, RegExp> = { REQ: /^[A-Za-z0-9:-]+$/, PATH: /^NQ(:PATH)?$/, FILTER_STATE: /^[^:]+:PLAIN$/ };

export type AccessLog = (logged: Logged) => string;

/** Does the text consist of one operator that is known, with an argument that it takes? Then what it says of a request. */
export function fieldOf<T extends LoggedSubject>(command: string): ((logged: T) => string | number | null) | undefined {
  if (!command.includes("%")) return () => command;
  const [, name = "", argument] = OPERATOR.exec(command) ?? [];
  const fits = ARGUMENTS[name] === undefined ? argument === undefined : argument !== undefined && ARGUMENTS[name].test(argument);
  return fits ? (FIELDS[name]?.(argument?.replace(/:PLAIN$/, "") ?? "") as ((logged: T) => string | number | null) | undefined) : undefined;
}

/** One JSON object a line, or what isn't known in the format. */
export function accessLog(format: Record<string, string | Record<string, string>>): AccessLog | Finding[] {
  const findings: Finding[] = [];
  const fields = Object.entries(format).map(([key, value]): [string, (logged: Logged) => unknown] => {
    if (typeof value !== "string") {
      const nested = accessLog(value);
      if (Array.isArray(nested)) findings.push(...nested);
      return [key, (logged) => (Array.isArray(nested) ? null : JSON.parse(nested(logged)))];
    }
    const field = fieldOf<Logged>(value);
    if (field === undefined) findings.push({ code: "host-engine-unsupported", severity: "error", message: `the host engine's access log can't write ${key}`, found: value, expected: `one of %${Object.keys(FIELDS).join("%, %")}% and nothing around it`, fix: "run it with `--engine envoy`" });
    return [key, field ?? (() => null)];
  });
  if (findings.length > 0) return findings;
  return (logged) => JSON.stringify(Object.fromEntries(fields.map(([key, field]) => [key, field(logged)])));
}

function header({ requestHeaders }: LoggedSubject, name: string): string | null {
  const value = requestHeaders?.get(name.toLowerCase());
  return value === undefined ? null : fromByteString(value);
}

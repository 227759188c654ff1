/** JSON access logs: Envoy's command operators, as far as compose writes them. */
import { fromByteString } from "../../host/bytes.ts";
import { endpointText } from "../../host/stream-info.ts";
import type { HttpStream } from "../../host/http-stream.ts";
import type { Finding } from "../../errors.ts";

export interface Logged {
  http: HttpStream;
  startMs: number;
  durationMs: number;
  flags: string;
}

type Field = (logged: Logged) => string | number | null;

const text = (value: string | undefined): string | null => (value === undefined || value === "" ? null : value);

const FIELDS: Record<string, (argument: string) => Field> = {
  START_TIME: () => ({ startMs }) => new Date(startMs).toISOString(),
  REQ: (name) => ({ http }) => header(http, name),
  PATH: () => ({ http }) => header(http, ":path")?.split("?")[0] ?? null,
  PROTOCOL: () => ({ http }) => http.info.protocol,
  RESPONSE_CODE: () => ({ http }) => (http.resetBy === undefined || http.downstream.headers ? (http.info.responseCode ?? 0) : 0),
  RESPONSE_FLAGS: () => ({ flags }) => flags || "-",
  RESPONSE_CODE_DETAILS: () => ({ http }) => text(http.info.responseCodeDetails?.replaceAll(" ", "_")),
  DURATION: () => ({ durationMs }) => Math.round(durationMs),
  BYTES_RECEIVED: () => ({ http }) => http.info.bytesReceived,
  BYTES_SENT: () => ({ http }) => http.info.bytesSent,
  DOWNSTREAM_PEER_URI_SAN: () => ({ http }) => text(http.info.connection.source.uriSans?.join(",")),
  DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT: () => ({ http }) => text(http.info.connection.source.address),
  ROUTE_NAME: () => ({ http }) => text(http.info.route?.name),
  FILTER_STATE: (key) => ({ http }) => {
    const object = http.info.filterState.get(key);
    return object ? Buffer.from(object.value).toString() : null;
  },
  UPSTREAM_HOST: () => ({ http }) => (http.info.upstream?.address === undefined ? null : endpointText(http.info.upstream)),
};

const OPERATOR = /^%([A-Z_]+)(?:\(([^()]*)\))?%$/;
/** Arguments that an operator may have; those that aren't listed take none. */
const ARGUMENTS: Record<string, RegExp> = { REQ: /^[A-Za-z0-9:-]+$/, PATH: /^NQ$/, FILTER_STATE: /^[^:]+:PLAIN$/ };

export type AccessLog = (logged: Logged) => string;

/** One JSON object a line, or what isn't known in the format. */
export function accessLog(format: Record<string, string>): AccessLog | Finding[] {
  const findings: Finding[] = [];
  const fields = Object.entries(format).map(([key, value]): [string, Field] => {
    const [, name = "", argument] = OPERATOR.exec(value) ?? [];
    const fits = ARGUMENTS[name] === undefined ? argument === undefined : argument !== undefined && ARGUMENTS[name].test(argument);
    if (FIELDS[name] === undefined || !fits) findings.push({ code: "host-engine-unsupported", severity: "error", message: `the host engine's access log can't write ${key}`, found: value, expected: `one of %${Object.keys(FIELDS).join("%, %")}% and nothing around it`, fix: "run it with `--engine envoy`" });
    return [key, FIELDS[name]?.(argument?.replace(/:PLAIN$/, "") ?? "") ?? (() => null)];
  });
  if (findings.length > 0) return findings;
  return (logged) => JSON.stringify(Object.fromEntries(fields.map(([key, field]) => [key, field(logged)])));
}

function header(http: HttpStream, name: string): string | null {
  const value = http.requestHeaders?.get(name.toLowerCase());
  return value === undefined ? null : fromByteString(value);
}

/**
 * The JSON access log on standard output that a Telemetry resource asks for: who, what, where to, how it ended; and all that
 * deciding again takes (`selvedge explain --log`, `selvedge replay`). Never a query string, a token or a header, unless a
 * header is named.
 */
import type { GatewayModel } from "../resolve/model.ts";
import { rulesOf } from "../resolve/index.ts";
import { extension, type Config } from "./config.ts";
import { ARM_KEY } from "./matches.ts";

/** What requests and connections have in common: how long, how much, and who. */
const OF_CONNECTION = {
  duration_ms: "%DURATION%",
  bytes_received: "%BYTES_RECEIVED%",
  bytes_sent: "%BYTES_SENT%",
  principal: "%DOWNSTREAM_PEER_URI_SAN%",
  peer: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
  remote: "%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
  local: "%DOWNSTREAM_LOCAL_ADDRESS%",
  sni: "%REQUESTED_SERVER_NAME%",
};

/** What the log says of a request as the client sent it, where routes change it on its way. */
const CAPTURED = "selvedge.log.";

export interface AccessLogging {
  /** Headers that the Telemetry resource names, in lower case. */
  headers: string[];
  /** Routes change paths, hosts or headers, so that at the end they are no longer what authorization saw. */
  captured: boolean;
}

export function accessLoggingOf(gateway: GatewayModel): AccessLogging | undefined {
  if (!gateway.accessLog) return undefined;
  const changes = rulesOf(gateway).some(({ rewrite, requestHeaders, arms }) => rewrite !== undefined || [requestHeaders, ...arms.map((arm) => arm.requestHeaders)].some(({ values, remove }) => values.length + remove.length > 0));
  return { headers: gateway.accessLogHeaders, captured: changes };
}

/** Path and host as commands of Envoy's formatter. Not the `x-envoy-original-path` that a client may send. */
const SOURCES = { path: "%PATH(NQ:PATH)%", authority: "%REQ(:AUTHORITY)%" };

const headerCommand = (name: string): string => `%REQ(${name})%`;

export function accessLog({ headers, captured }: AccessLogging): Config {
  const from = (key: string, command: string): string => (captured ? `%FILTER_STATE(${CAPTURED}${key}:PLAIN)%` : command);
  return extension("envoy.access_loggers.stdout", "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", {
    log_format: {
      json_format: {
        time: "%START_TIME%",
        method: "%REQ(:METHOD)%",
        authority: from("authority", SOURCES.authority),
        path: from("path", SOURCES.path),
        protocol: "%PROTOCOL%",
        status: "%RESPONSE_CODE%",
        flags: "%RESPONSE_FLAGS%",
        details: "%RESPONSE_CODE_DETAILS%",
        ...OF_CONNECTION,
        route: "%ROUTE_NAME%",
        arm: `%FILTER_STATE(${ARM_KEY}:PLAIN)%`,
        upstream: "%UPSTREAM_HOST%",
        headers: headers.length > 0 ? Object.fromEntries(headers.map((name) => [name, from(name, headerCommand(name))])) : undefined,
      },
    },
  });
}

/** The same of connections: `protocol` is TCP, and `closed` says why Envoy or a filter closed one, if they did. */
export function connectionLog(): Config {
  return extension("envoy.access_loggers.stdout", "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", {
    log_format: {
      json_format: {
        time: "%START_TIME%",
        protocol: "TCP",
        flags: "%RESPONSE_FLAGS%",
        closed: "%DOWNSTREAM_LOCAL_CLOSE_REASON%",
        ...OF_CONNECTION,
        upstream: "%UPSTREAM_HOST%",
        upstream_bytes_sent: "%UPSTREAM_WIRE_BYTES_SENT%",
      },
    },
  });
}

/** Keeps what the log says of a request before any route changes it; before the Wasm filters, whose answers are logged, too. */
export function captureFilter({ headers, captured }: AccessLogging): Config[] {
  if (!captured) return [];
  const entries = [...Object.entries(SOURCES), ...headers.map((name) => [name, headerCommand(name)] as const)];
  return [
    extension("envoy.filters.http.set_filter_state", "envoy.extensions.filters.http.set_filter_state.v3.Config", {
      on_request_headers: entries.map(([key, command]) => ({
        object_key: CAPTURED + key,
        factory_key: "envoy.string",
        format_string: { text_format_source: { inline_string: command }, omit_empty_values: true },
        skip_if_empty: true,
      })),
    }),
  ];
}

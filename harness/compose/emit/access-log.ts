/** The JSON access log on standard output that a Telemetry resource asks for: who, what, where to, how it ended. */
import { extension, type Config } from "./config.ts";
import { ARM_KEY } from "./matches.ts";

/** The query string stays out: it may carry credentials. */
export function accessLog(): Config {
  return extension("envoy.access_loggers.stdout", "envoy.extensions.access_loggers.stream.v3.StdoutAccessLog", {
    log_format: {
      json_format: {
        time: "%START_TIME%",
        method: "%REQ(:METHOD)%",
        authority: "%REQ(:AUTHORITY)%",
        path: "%PATH(NQ)%",
        protocol: "%PROTOCOL%",
        status: "%RESPONSE_CODE%",
        flags: "%RESPONSE_FLAGS%",
        details: "%RESPONSE_CODE_DETAILS%",
        duration_ms: "%DURATION%",
        bytes_received: "%BYTES_RECEIVED%",
        bytes_sent: "%BYTES_SENT%",
        principal: "%DOWNSTREAM_PEER_URI_SAN%",
        peer: "%DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT%",
        route: "%ROUTE_NAME%",
        arm: `%FILTER_STATE(${ARM_KEY}:PLAIN)%`,
        upstream: "%UPSTREAM_HOST%",
      },
    },
  });
}

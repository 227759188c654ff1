import type { HeaderMap } from "./header-map.ts";

/** What a client may not say of a request: Envoy's own headers, and those of one hop. */
const REMOVED = [
  "x-envoy-decorator-operation", "x-envoy-downstream-service-cluster", "x-envoy-downstream-service-node", "x-envoy-original-path", "x-envoy-original-host",
  "x-envoy-retriable-status-codes", "x-envoy-retriable-header-names", "x-envoy-retry-on", "x-envoy-retry-grpc-on", "x-envoy-max-retries",
  "x-envoy-upstream-alt-stat-name", "x-envoy-upstream-rq-timeout-ms", "x-envoy-upstream-rq-per-try-timeout-ms", "x-envoy-upstream-rq-timeout-alt-response",
  "x-envoy-expected-rq-timeout-ms", "x-envoy-force-trace", "x-envoy-ip-tags", "x-envoy-original-url", "x-envoy-hedge-on-per-try-timeout", "x-envoy-internal",
  "keep-alive", "proxy-connection", "transfer-encoding",
];

/**
 * Takes off a request what Envoy's connection manager, where it is the first proxy that a request meets, shows no filter.
 * X-Forwarded-Client-Cert is the caller's: whether it is believed is a matter of who is trusted.
 *
 * @param upgrades the client asks for another protocol: what says so stays
 */
export function removeForeignHeaders(headers: HeaderMap, upgrades: boolean): void {
  for (const name of REMOVED) headers.remove(name);
  if (!upgrades) for (const name of ["connection", "upgrade"]) headers.remove(name);
  const te = headers.get("te");
  if (te !== undefined) {
    if (te.split(",").some((token) => token.trim().toLowerCase().split(";")[0] === "trailers")) headers.assign("te", "trailers");
    else headers.remove("te");
  }
  if (/^100-continue$/i.test(headers.get("expect") ?? "")) headers.remove("expect");
}

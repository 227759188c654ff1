/**
 * Headers that Envoy 1.40 keeps in a field of their own ("inline"): adding one that is there appends to its value
 * with a comma. Measured with test/conformance on the release build.
 */
const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

const BOTH = `cache-control content-encoding content-type proxy-status via x-envoy-attempt-count x-envoy-decorator-operation x-request-id
  upgrade keep-alive proxy-connection content-length transfer-encoding connection`;

export const INLINE_REQUEST = words(`${BOTH} accept accept-encoding access-control-request-headers access-control-request-method
  access-control-request-private-network authorization authentication cdn-loop grpc-accept-encoding grpc-timeout if-match if-modified-since
  if-none-match if-range if-unmodified-since origin pragma referer user-agent x-client-trace-id x-envoy-downstream-service-cluster
  x-envoy-downstream-service-node x-envoy-external-address x-envoy-force-trace x-envoy-hedge-on-per-try-timeout x-envoy-internal x-envoy-ip-tags
  x-envoy-is-timeout-retry x-envoy-max-retries x-envoy-original-host x-envoy-original-path x-envoy-original-url x-envoy-retriable-header-names
  x-envoy-retriable-status-codes x-envoy-retry-grpc-on x-envoy-retry-on x-envoy-upstream-alt-stat-name x-envoy-upstream-rq-per-try-timeout-ms
  x-envoy-upstream-rq-timeout-alt-response x-envoy-upstream-rq-timeout-ms x-envoy-upstream-stream-duration-ms x-envoy-expected-rq-timeout-ms
  x-forwarded-client-cert x-forwarded-for x-forwarded-host x-forwarded-port x-forwarded-proto expect te
  :path :method :scheme :authority :protocol`);

export const INLINE_RESPONSE = words(`${BOTH} access-control-allow-credentials access-control-allow-headers access-control-allow-methods
  access-control-allow-origin access-control-allow-private-network access-control-expose-headers access-control-max-age age date etag expires
  grpc-message grpc-status last-modified location server vary x-envoy-degraded x-envoy-immediate-health-check-fail x-envoy-ratelimited
  x-envoy-upstream-canary x-envoy-upstream-healthchecked-cluster x-envoy-upstream-service-time :status`);

export const INLINE_RESPONSE_TRAILERS = words("grpc-message grpc-status");

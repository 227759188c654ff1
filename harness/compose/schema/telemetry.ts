/** Telemetry, telemetry.istio.io/v1. */
import { Type, type Static } from "@sinclair/typebox";
import { closed, optional, Selector, TargetRef, unsupported } from "./common.ts";

const Provider = closed({ name: Type.String({ minLength: 1 }) });

const MetricsOverride = closed({
  match: optional(
    closed({
      metric: optional(Type.String()),
      customMetric: unsupported("custom metrics are not supported"),
      mode: optional(Type.Union(["CLIENT_AND_SERVER", "CLIENT", "SERVER"].map((value) => Type.Literal(value)))),
    }),
  ),
  disabled: optional(Type.Boolean()),
  tagOverrides: unsupported("the telemetry filter's labels are fixed"),
});

const Metrics = closed({
  providers: optional(Type.Array(Provider)),
  overrides: optional(Type.Array(MetricsOverride)),
  reportingInterval: unsupported("metrics are read from Envoy's admin endpoint, which has no reporting interval"),
});

const AccessLogging = closed({
  match: unsupported("one node has one side: leave match out"),
  providers: optional(Type.Array(Provider)),
  disabled: optional(Type.Boolean()),
  filter: unsupported("access log filters are not supported"),
});

export const TelemetrySpec = closed({
  selector: optional(Selector),
  targetRef: optional(TargetRef),
  targetRefs: optional(Type.Array(TargetRef, { minItems: 1, maxItems: 16 })),
  metrics: optional(Type.Array(Metrics)),
  accessLogging: optional(Type.Array(AccessLogging)),
  tracing: unsupported("tracing is not supported"),
});

export type TelemetrySpec = Static<typeof TelemetrySpec>;

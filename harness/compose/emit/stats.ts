/** What Envoy's statistics need to know about the filters' metrics, and what they needn't keep. */
import type { Config } from "./config.ts";

/** Labels of the telemetry filter's metrics, in the order in which they stand in a stat's name. */
export const LABELS = [
  "source_workload",
  "source_workload_namespace",
  "destination_workload",
  "destination_workload_namespace",
  "request_method",
  "response_code",
  "route",
  "arm",
] as const;

/** Labels of the authz filter's counters and gauges. */
const AUTHZ_LABELS = ["policy", "rule", "reason", "plugin"];

const DURATION_BUCKETS = [1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000];
const SIZE_BUCKETS = [100, 1000, 10_000, 100_000, 1_000_000, 10_000_000, 100_000_000];

/** Details that nobody asks an edge node for, and that every cluster and worker would pay memory for. */
const UNWANTED = [
  "^cluster\\..*\\.circuit_breakers\\.high\\.",
  "^cluster\\..*\\.(http1|http2)\\.(metadata|outbound_control|inbound_|trailers|keepalive|dropped_|header_overflow)",
  "^cluster\\..*\\.ssl\\.(ciphers|curves|sigalgs|versions)\\.",
  "^listener\\..*\\.worker_\\d+\\.",
  "^listener\\..*\\.ssl\\.(ciphers|curves|sigalgs)\\.",
  "^(runtime|thread_local_cluster_manager|listener_manager\\.worker)",
];

export function statsConfig(): Config {
  return {
    // Wasm metrics carry labels as `.name=.value;` in their own name: the host call that defines them has none.
    stats_tags: [...LABELS, ...AUTHZ_LABELS].map((label) => ({ tag_name: label, regex: `^wasmcustom\\..*?(\\.${label}=\\.(.*?);)` })),
    histogram_bucket_settings: [
      { match: { prefix: "wasmcustom.selvedge_request_duration" }, buckets: DURATION_BUCKETS },
      { match: { prefix: "wasmcustom.selvedge_request_bytes" }, buckets: SIZE_BUCKETS },
      { match: { prefix: "wasmcustom.selvedge_response_bytes" }, buckets: SIZE_BUCKETS },
    ],
    stats_matcher: { exclusion_list: { patterns: UNWANTED.map((regex) => ({ safe_regex: { regex } })) } },
  };
}

/** From the telemetry filter's series, as Prometheus scrapes them, to one row for each source → destination. Pure. */
import type { PrometheusSample } from "../envoy/index.ts";
import { sumBuckets, quantile, type Bucket, type Quantile } from "./statistics.ts";

export const REQUESTS = "selvedge_requests_total";
export const DURATION = "selvedge_request_duration_milliseconds";

/** Responses that authorization refused are no measure of a service. */
const DENIED = "403";

export interface ObservedEdge {
  /** `namespace/workload`. */
  source: string;
  destination: string;
  requests: number;
  denied: number;
  /** Responses with a 5xx status. */
  errors: number;
  /** Milliseconds, over all responses but the denied; absent when there are none. */
  latency?: { p50: Quantile; p95: Quantile; p99: Quantile };
}

/** How many requests and durations the series hold; Envoy merges histograms only now and then. */
export function totals(samples: readonly PrometheusSample[]): { requests: number; durations: number } {
  const sum = (name: string): number => samples.filter((each) => each.name === name).reduce((total, { value }) => total + value, 0);
  return { requests: sum(REQUESTS), durations: sum(`${DURATION}_count`) };
}

/** Sorted by source, then destination. */
export function observedEdges(samples: readonly PrometheusSample[]): ObservedEdge[] {
  const edges = new Map<string, { edge: ObservedEdge; buckets: Bucket[] }>();
  for (const { name, labels, value } of samples) {
    if (name !== REQUESTS && name !== `${DURATION}_bucket`) continue;
    const source = workload(labels.source_workload_namespace, labels.source_workload);
    const destination = workload(labels.destination_workload_namespace, labels.destination_workload);
    const key = JSON.stringify([source, destination]);
    const found = edges.get(key) ?? { edge: { source, destination, requests: 0, denied: 0, errors: 0 }, buckets: [] };
    edges.set(key, found);
    const status = labels.response_code ?? "";
    if (name === REQUESTS) {
      found.edge.requests += value;
      if (status === DENIED) found.edge.denied += value;
      if (status.startsWith("5")) found.edge.errors += value;
    } else if (status !== DENIED) found.buckets.push({ le: Number(labels.le === "+Inf" ? Infinity : labels.le), count: value });
  }
  return [...edges.values()]
    .map(({ edge, buckets }) => ({ ...edge, ...latency(buckets) }))
    .sort((a, b) => (a.source === b.source ? compare(a.destination, b.destination) : compare(a.source, b.source)));
}

function latency(buckets: Bucket[]): Pick<ObservedEdge, "latency"> {
  const histogram = sumBuckets(buckets);
  const [p50, p95, p99] = [0.5, 0.95, 0.99].map((q) => quantile(histogram, q));
  return p50 && p95 && p99 ? { latency: { p50, p95, p99 } } : {};
}

function workload(namespace: string | undefined, name: string | undefined): string {
  return !namespace || namespace === "unknown" ? (name ?? "unknown") : `${namespace}/${name}`;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

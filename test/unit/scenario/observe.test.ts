import { describe, expect, it } from "vitest";
import { parsePrometheus } from "../../../harness/envoy/index.ts";
import { observedEdges, totals } from "../../../harness/scenario/observe.ts";

function labels(source: string, destination: string, code: string, more = ""): string {
  return `{source_workload="${source}",source_workload_namespace="prod",destination_workload="${destination}",destination_workload_namespace="prod",request_method="GET",response_code="${code}",route="r",arm="a"${more}}`;
}

function series(source: string, destination: string, code: string, buckets: Record<string, number>): string {
  const last = Object.values(buckets).at(-1)!;
  return [
    `selvedge_requests_total${labels(source, destination, code)} ${last}`,
    ...Object.entries(buckets).map(([le, count]) => `selvedge_request_duration_milliseconds_bucket${labels(source, destination, code, `,le="${le}"`)} ${count}`),
    `selvedge_request_duration_milliseconds_count${labels(source, destination, code)} ${last}`,
  ].join("\n");
}

describe("what telemetry counted, by source and destination", () => {
  it("adds statuses, leaves denials out of latencies, and counts 5xx as errors", () => {
    const samples = parsePrometheus(
      [
        series("frontend", "payments", "200", { "10": 90, "20": 90, "+Inf": 90 }),
        series("frontend", "payments", "503", { "10": 0, "20": 10, "+Inf": 10 }),
        series("frontend", "payments", "403", { "10": 500, "20": 500, "+Inf": 500 }),
        series("api", "payments", "403", { "10": 3, "20": 3, "+Inf": 3 }),
      ].join("\n"),
    );
    expect(observedEdges(samples)).toEqual([
      { source: "prod/api", destination: "prod/payments", requests: 3, denied: 3, errors: 0 },
      {
        source: "prod/frontend",
        destination: "prod/payments",
        requests: 600,
        denied: 500,
        errors: 10,
        latency: { p50: { value: expect.closeTo(5.556, 3), beyond: false }, p95: { value: 15, beyond: false }, p99: { value: 19, beyond: false } },
      },
    ]);
    expect(totals(samples)).toEqual({ requests: 603, durations: 603 });
  });

  it("names an unknown peer without a namespace", () => {
    const [edge] = observedEdges(parsePrometheus('selvedge_requests_total{source_workload="unknown",source_workload_namespace="unknown",destination_workload="x",destination_workload_namespace="dev",response_code="200"} 1'));
    expect(edge).toMatchObject({ source: "unknown", destination: "dev/x" });
  });
});

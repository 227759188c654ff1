import { describe, expect, it } from "vitest";
import type { Scenario, TrafficModel } from "../../../harness/scenario/model.ts";
import { renderListeners, renderUrls } from "../../../harness/scenario/urls.ts";

const workload = { id: "prod/api", name: "api", namespace: "prod", spiffeId: "spiffe://x", directory: "policies/certs/prod-api" };
const traffic = (changes: Partial<TrafficModel>): TrafficModel => ({ from: workload, method: "GET", host: "web.example", path: "/x", headers: {}, bodyBytes: 0, count: 1, concurrency: 1, ...changes });

describe("what can be tried", () => {
  it("is an allowed and a denied request as a shell takes them", () => {
    const scenario: Scenario = {
      name: "demo",
      file: "policies/scenario.yaml",
      trustDomain: "cluster.local",
      target: { address: "::1", port: 8443, tls: true, mutualTls: true },
      workloads: [workload],
      upstreams: [],
      traffic: [
        traffic({ expect: "deny", method: "POST", path: "/it's?a=1&b", headers: { "x-why": "a test" } }),
        traffic({ expect: "allow", path: "/{user}", canary: { route: "r", arms: [], sticky: true, users: 1, requestsPerUser: 1 } }),
        traffic({ expect: "allow" }),
      ],
    };
    expect(renderUrls(scenario, "policies/certs/ca", "http://127.0.0.1:9901")).toBe(
      [
        "Try it:",
        "  # allowed, as prod/api",
        "  curl -i --cacert policies/certs/ca/ca.crt \\",
        "    --cert policies/certs/prod-api/tls.crt --key policies/certs/prod-api/tls.key \\",
        "    --resolve 'web.example:8443:[::1]' https://web.example:8443/x",
        "  # denied, as prod/api",
        "  curl -i -X POST --cacert policies/certs/ca/ca.crt \\",
        "    --cert policies/certs/prod-api/tls.crt --key policies/certs/prod-api/tls.key \\",
        "    -H 'x-why: a test' \\",
        "    --resolve 'web.example:8443:[::1]' 'https://web.example:8443/it'\\''s?a=1&b'",
        "  # what Envoy counts",
        "  curl http://127.0.0.1:9901/stats/prometheus",
        "",
      ].join("\n"),
    );
  });

  it("is every listener where there is no scenario", () => {
    const listeners = [
      { name: "edge/a/443", address: "0.0.0.0", port: 443, protocol: "HTTPS" as const, mutualTls: true, hostnames: ["a.example", "b.example"] },
      { name: "edge/a/80", address: "::1", port: 80, protocol: "HTTP" as const, mutualTls: false, hostnames: [] },
    ];
    expect(renderListeners(listeners, undefined)).toBe("Listening:\n  https://0.0.0.0:443  edge/a/443 for a.example, b.example, client certificate required\n  http://[::1]:80  edge/a/80\n");
  });
});

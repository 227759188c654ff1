import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { LABELS } from "../../../harness/compose/index.ts";
import { compileWat } from "../../support/wat.ts";
import { writeFileSync } from "node:fs";
import { authorization, backend, clusters, codes, compose, doc, folder, GATEWAY, hcm, plugin, ref, route, SIMPLE } from "./support.ts";

const SPLIT = doc(GATEWAY, backend("a", "app: a, version: v1"), backend("b", "app: a, version: v2"), route(`- name: n\n  backendRefs: [${ref("a", "weight: 3")}, ${ref("b")}]`), authorization("{}"));
const canary = (spec: string, name = "c") => `
apiVersion: selvedge.dev/v1alpha1
kind: CanaryPolicy
metadata: { name: ${name}, namespace: prod }
spec:
  targetRef: { group: gateway.networking.k8s.io, kind: HTTPRoute, name: r${spec.includes("sectionName") ? ", sectionName: n" : ""} }
  ${spec.replace("sectionName", "")}
`;
const telemetry = (spec: string, meta = "name: t, namespace: prod") => `
apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { ${meta} }
spec: { ${spec} }
`;

describe("the connection manager", () => {
  const made = hcm(compose(SIMPLE));
  it("normalises paths and refuses ambiguous headers", () => {
    expect(made).toMatchObject({
      normalize_path: true,
      merge_slashes: true,
      path_with_escaped_slashes_action: "UNESCAPE_AND_REDIRECT",
      common_http_protocol_options: { headers_with_underscores_action: "REJECT_REQUEST", max_headers_count: 100 },
      max_request_headers_kb: 60,
    });
  });
  it("believes nothing that a client says about itself", () => {
    expect(made).toMatchObject({ use_remote_address: true, xff_num_trusted_hops: 0, forward_client_cert_details: "SANITIZE" });
    expect(made.internal_address_config.cidr_ranges).toHaveLength(1);
    expect(made.http_filters.at(-1).typed_config.suppress_envoy_headers).toBe(true);
  });
  it("keeps the port in the Host header", () => {
    expect(Object.keys(made).filter((key) => key.startsWith("strip_"))).toEqual([]);
  });
  it("logs only when Telemetry says so, without the query", () => {
    expect(made.access_log).toBeUndefined();
    const logging = hcm(compose(doc(SIMPLE, telemetry("accessLogging: [{ providers: [{ name: envoy }] }]"))));
    const format = logging.access_log[0].typed_config.log_format.json_format;
    expect(format.path).toBe("%PATH(NQ:PATH)%");
    expect(format.arm).toBe("%FILTER_STATE(wasm.selvedge_arm:PLAIN)%");
    expect(JSON.stringify(format)).not.toMatch(/REQ\(:PATH\)|PATH\(WQ|ORIG/);
  });
});

describe("wasm filters", () => {
  it("are one module, closed when it fails, with its own capabilities and nothing else", () => {
    const [filter] = hcm(compose(SPLIT, { capabilities: { edge: ["proxy_log", "proxy_get_property"] } })).http_filters;
    const { config } = filter.typed_config;
    expect(config).toMatchObject({ name: "selvedge.edge.prod.gw", root_id: "edge", failure_policy: "FAIL_RELOAD", reload_config: { backoff: { base_interval: "1s" } } });
    expect(config.vm_config).toMatchObject({
      vm_id: "selvedge.edge.prod.gw",
      runtime: "envoy.wasm.runtime.v8",
      code: { local: { filename: "/modules/edge.wasm" } },
      capability_restriction_config: { allowed_capabilities: { proxy_get_property: {}, proxy_log: {} } },
    });
    expect(config.capability_restriction_config).toBeUndefined();
    expect(config.configuration["@type"]).toBe("type.googleapis.com/google.protobuf.StringValue");
    expect(Object.keys(JSON.parse(config.configuration.value))).toEqual(["authz", "canary", "telemetry", "identity"]);
  });
  it("as separate modules stand in the order telemetry, authz, canary; telemetry fails open", () => {
    const filters = hcm(compose(SPLIT, { modules: "separate", identity: "filter_state" })).http_filters.slice(0, -1);
    expect(filters.map(({ typed_config: { config } }: { typed_config: { config: Record<string, unknown> } }) => [config.root_id, config.failure_policy])).toEqual([
      ["telemetry", "FAIL_OPEN"],
      ["authz", "FAIL_RELOAD"],
      ["canary", "FAIL_RELOAD"],
    ]);
    for (const { typed_config } of filters) expect(JSON.parse(typed_config.config.configuration.value).identity).toEqual({ filterState: "selvedge.peer" });
  });
  it("are left out where nothing needs them", () => {
    const off = telemetry("metrics: [{ providers: [{ name: prometheus }], overrides: [{ disabled: true }] }]");
    expect(hcm(compose(doc(SIMPLE, off))).http_filters).toHaveLength(1);
    expect(Object.keys(plugin(compose(SIMPLE)))).toEqual(["telemetry", "identity"]);
  });
  it("are written for older Envoys where their fields were", () => {
    const { config } = hcm(compose(SIMPLE, { envoyVersion: "1.39.2" })).http_filters[0].typed_config;
    expect(config.capability_restriction_config).toBeDefined();
    expect(config.vm_config.capability_restriction_config).toBeUndefined();
    expect(codes(compose(SIMPLE, { envoyVersion: "1.35.0" }).findings)).toEqual(["envoy-too-old"]);
    expect(codes(compose(SIMPLE, { envoyVersion: "1.36.0", identity: "filter_state" }).findings)).toEqual(["envoy-too-old"]);
    expect(plugin(compose(SIMPLE, { envoyVersion: "1.36.0" })).identity).toBeUndefined();
  });
  it("have one VM for each Gateway", () => {
    const other = GATEWAY.replace("name: gw", "name: gw2").replace("8080", "8081");
    expect(compose(doc(SIMPLE, other)).plugins.map((each) => each.name)).toEqual(["selvedge.edge.prod.gw", "selvedge.edge.prod.gw2"]);
  });

  const real = (text: string) => compileWat(text).then((bytes) => {
    const dir = folder({});
    writeFileSync(join(dir, "edge.wasm"), bytes);
    return compose(SIMPLE, { moduleDir: dir, capabilities: {} });
  });
  it("may use what their module imports and exports", async () => {
    const result = await real(`(module (import "env" "proxy_log" (func (param i32 i32 i32) (result i32))) (memory (export "memory") 1)
      (func (export "proxy_abi_version_0_2_1")) (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0)
      (func (export "proxy_on_context_create") (param i32 i32)))`);
    expect(Object.keys(hcm(result).http_filters[0].typed_config.config.vm_config.capability_restriction_config.allowed_capabilities)).toEqual(["proxy_log", "proxy_on_context_create"]);
  });
  it("refuse a WebAssembly module that isn't Proxy-Wasm", async () => {
    const result = await real("(module (memory (export \"memory\") 1))");
    expect(codes(result.findings)).toContain("proxy-wasm-marker");
    expect(result.config).toBeUndefined();
  });
  it("refuse a file that is no WebAssembly, and one that is missing", () => {
    const dir = folder({ "edge.wasm": "hello" });
    const [finding] = compose(SIMPLE, { moduleDir: dir, capabilities: {} }).findings.filter((each) => each.severity === "error");
    expect(finding!.where!.file).toBe(join(dir, "edge.wasm"));
    const missing = compose(SIMPLE, { capabilities: {} }).findings.filter((each) => each.severity === "error");
    expect(missing).toMatchObject([{ code: "module-missing", where: { file: "/modules/edge.wasm" }, fix: "build it: selvedge build" }]);
  });
});

describe("canary configuration", () => {
  it("splits by weight without a CanaryPolicy", () => {
    expect(plugin(compose(SPLIT)).canary.rollouts).toEqual([
      { route: "prod/r/n", id: "prod/r", arms: [{ name: "a", weight: 3 }, { name: "b", weight: 1 }] },
    ]);
  });
  it("takes the stable arm and the keys from one", () => {
    const [rollout] = plugin(compose(doc(SPLIT, canary("sectionName\n  stable: b\n  stickiness: { keys: [{ header: x-user }, { cookie: s }, { principal: true }, { sourceIP: true }] }")))).canary.rollouts;
    expect(rollout).toEqual({
      route: "prod/r/n",
      id: "prod/c",
      arms: [{ name: "b", weight: 1 }, { name: "a", weight: 3 }],
      stickiness: { salt: "prod/c", keys: [{ header: "x-user" }, { cookie: "s" }, { principal: true }, { sourceIP: true }] },
    });
  });
  it("lets the policy that names the rule win, and takes its salt", () => {
    const made = plugin(compose(doc(SPLIT, canary("stickiness: { keys: [{ header: a }] }", "wide"), canary("sectionName\n  stickiness: { salt: s, keys: [{ header: b }] }", "own"))));
    expect(made.canary.rollouts[0].stickiness).toEqual({ salt: "s", keys: [{ header: "b" }] });
  });
  it.each([
    ["a missing route", SPLIT, canary("stable: a").replace("name: r ", "name: nope "), "target-missing"],
    ["a missing rule", SPLIT.replace("name: n", "name: m"), canary("sectionName\n  stable: a"), "target-missing"],
    ["a stable backend that gets nothing", SPLIT, canary("stable: c"), "target-missing"],
    ["another kind", SPLIT, canary("stable: a").replace("HTTPRoute", "Gateway"), "reference-unsupported"],
    ["two keys in one", SPLIT, canary("stickiness: { keys: [{ header: a, cookie: b }] }"), "wrong-value"],
    ["no keys", SPLIT, canary("stickiness: { keys: [] }"), "wrong-value"],
    ["an unknown field", SPLIT, canary("steps: []"), "unknown-field"],
  ])("refuses %s", (_, text, policy, code) => expect(codes(compose(doc(text, policy)).findings)).toContain(code));
  it("refuses two for one rule, and warns of one without effect", () => {
    expect(codes(compose(doc(SPLIT, canary("stable: a", "x"), canary("stable: b", "y"))).findings)).toEqual(["policy-conflict"]);
    expect(codes(compose(doc(SIMPLE, canary("stable: a"))).findings, "warning")).toContain("policy-unattached");
  });
});

describe("telemetry configuration", () => {
  it("names the destination and arm of every route", () => {
    const at = { workload: "a", namespace: "prod" };
    expect(plugin(compose(SPLIT)).telemetry).toEqual({
      maxSeries: 1000,
      routes: { "prod/r/n": { destination: at, arm: "a", label: "prod/r/n" }, "prod/r/n/b": { destination: at, arm: "b", label: "prod/r/n" } },
    });
  });
  it.each([
    ["app: x, app.kubernetes.io/name: y", "y"],
    ["service.istio.io/canonical-name: z, app: x", "z"],
    ["", "a"],
  ])("{ %s } is the workload %s", (labels, workload) => {
    const made = plugin(compose(doc(GATEWAY, backend("a", labels), route(`- backendRefs: [${ref("a")}]`))));
    expect(made.telemetry.routes["prod/r/0"].destination.workload).toBe(workload);
  });
  it("has tags for every label, and buckets", () => {
    const stats = compose(SIMPLE).config!.stats_config as { stats_tags: { tag_name: string; regex: string }[]; histogram_bucket_settings: { buckets: number[] }[] };
    expect(stats.stats_tags.map((each) => each.tag_name)).toEqual([...LABELS, "policy", "rule", "reason", "plugin"]);
    const name = `wasmcustom.selvedge_requests_total${[...LABELS, "policy", "rule", "reason", "plugin"].map((label) => `.${label}=.v ${label}/x;`).join("")}`;
    for (const { tag_name, regex } of stats.stats_tags) {
      const [, removed, value] = new RegExp(regex).exec(name)!;
      expect(value).toBe(`v ${tag_name}/x`);
      expect(removed).toBe(`.${tag_name}=.v ${tag_name}/x;`);
    }
    expect(stats.histogram_bucket_settings[0]!.buckets.at(-1)).toBe(10_000);
  });
  it("takes the most specific resource: Gateway, namespace, root", () => {
    const off = "metrics: [{ overrides: [{ match: { metric: ALL_METRICS }, disabled: true }] }]";
    const on = "metrics: [{ overrides: [{ disabled: false }] }]";
    const metrics = (...all: string[]) => plugin(compose(doc(SIMPLE, ...all)))?.telemetry !== undefined;
    const root = telemetry(off, "name: root, namespace: istio-system");
    expect(metrics(root)).toBe(false);
    expect(metrics(root, telemetry(on))).toBe(true);
    expect(metrics(telemetry(on), telemetry(`targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: gw }], ${off}`, "name: own, namespace: prod"))).toBe(false);
    expect(metrics(telemetry(off, "name: x, namespace: dev"))).toBe(true);
    expect(codes(compose(doc(SIMPLE, telemetry(off, "name: x, namespace: dev"))).findings, "warning")).toContain("policy-unattached");
    expect(codes(compose(doc(SIMPLE, telemetry(off), telemetry(on, "name: u, namespace: prod"))).findings)).toEqual(["policy-conflict"]);
  });
  it.each([
    "tracing: []",
    "accessLogging: [{ filter: { expression: x } }]",
    "accessLogging: [{ providers: [{ name: otel }] }]",
    "accessLogging: [{ match: { mode: SERVER } }]",
    "metrics: [{ providers: [{ name: stackdriver }] }]",
    "metrics: [{ overrides: [{ match: { metric: REQUEST_COUNT }, disabled: true }] }]",
    "metrics: [{ overrides: [{ match: { mode: CLIENT }, disabled: true }] }]",
    "metrics: [{ overrides: [{ tagOverrides: { request_method: { operation: REMOVE } } }] }]",
    "metrics: [{ reportingInterval: 5s }]",
  ])("refuses %s", (spec) => expect(codes(compose(doc(SIMPLE, telemetry(spec))).findings)).toEqual(["unsupported-field"]));
});

describe("a document that is refused", () => {
  it("gives one error, not one more for everything that refers to it", () => {
    expect(codes(compose(SIMPLE.replace("protocol: HTTP", "protocol: HTPS")).findings)).toEqual(["wrong-value"]);
    expect(codes(compose(SIMPLE.replace("endpoints:", "endpoint:")).findings)).toEqual(["missing-field", "unknown-field"]);
  });
});

describe("the node", () => {
  it("names clusters in statistics without dots, which would end the name", () => {
    const result = compose(doc(GATEWAY, backend("a.b"), route(`- backendRefs: [${ref("a.b")}]`)));
    expect(clusters(result)[0]).toMatchObject({ name: "prod/a.b", alt_stat_name: "prod/a_b" });
  });
  it("has an admin endpoint on loopback, or none", () => {
    expect(compose(SIMPLE, { adminPort: 0 }).config!.admin).toMatchObject({ address: { socket_address: { address: "127.0.0.1", port_value: 0 } } });
    expect(compose(SIMPLE, { adminPort: null }).config!.admin).toBeUndefined();
  });
  it("bounds connections, and its heap where asked", () => {
    const monitors = (heapBytes?: number) => (compose(SIMPLE, { heapBytes }).config!.overload_manager as { resource_monitors: { name: string }[] }).resource_monitors.map((each) => each.name);
    expect(monitors()).toEqual(["envoy.resource_monitors.global_downstream_max_connections"]);
    expect(monitors(1e8)).toHaveLength(2);
  });
  it("is printed as YAML that says the same, without anchors, the same every time", () => {
    const result = compose(SPLIT);
    expect(parse(result.yaml!)).toEqual(result.config);
    expect(result.yaml).not.toMatch(/[:-] [&*][a-z]/i);
    expect(compose({ "z.yaml": SPLIT.split("---\n").slice(2).join("---\n"), "b/a.yaml": SPLIT.split("---\n").slice(0, 2).join("---\n") }).yaml).toBe(result.yaml);
  });
  it("is refused for other targets, clearly", () => {
    const result = compose(SIMPLE, { target: "istio" });
    expect(codes(result.findings)).toEqual(["target-unsupported"]);
    expect(result.yaml).toBeUndefined();
  });
});

import { beforeAll, describe, expect, it } from "vitest";
import { compileModule, releaseOptions } from "../../../harness/build/index.ts";
import { FakeClock, loadFilter, streamThrough, type ExchangeOptions, type ExchangeRequest, type Filter, type StreamOptions } from "../../../harness/host/index.ts";

let wasm: Uint8Array;
beforeAll(async () => {
  wasm = await compileModule({ entry: "filters/telemetry/assembly/index.ts", options: { ...releaseOptions, optimizeLevel: 1, exportRuntime: false } });
});

/** A filter that answers every request itself. */
const DENY = `
  import { Context, FilterHeadersStatusValues, RootContext, registerRootContext, sendLocalResponse, view } from "./filters/sdk/assembly";
  export * from "./filters/sdk/assembly/proxy";
  class Deny extends Context {
    onRequestHeaders(headers: u32, end: bool): FilterHeadersStatusValues {
      sendLocalResponse(403, view(0, 0), view(0, 0));
      return FilterHeadersStatusValues.StopIteration;
    }
  }
  class Root extends RootContext {
    createContext(id: u32): Context { return new Deny(id, this); }
  }
  registerRootContext((id: u32) => new Root(id), "deny");
`;

const CONFIG = {
  routes: {
    "prod/r/0": { destination: { workload: "reviews", namespace: "prod" }, arm: "v1", label: "prod/r/0" },
    "prod/r/0/v2": { destination: { workload: "reviews", namespace: "prod" }, arm: "v2", label: "prod/r/0" },
  },
};
const PEER = { uriSans: ["spiffe://cluster.local/ns/dev/sa/frontend"] };

const load = async (config: object | undefined = CONFIG): Promise<Filter> =>
  (await loadFilter(wasm, { name: "telemetry", rootId: "telemetry", config: config && JSON.stringify(config), clock: new FakeClock() })).requireRunning();

/** Labels in their documented order; anything not given is as for an unknown caller of the stable arm. */
function series(metric: string, labels: Record<string, string> = {}): string {
  const all: Record<string, string> = {
    source_workload: "unknown", source_workload_namespace: "unknown", destination_workload: "reviews", destination_workload_namespace: "prod",
    request_method: "GET", response_code: "200", route: "prod/r/0", arm: "v1", ...labels,
  };
  return `selvedge_${metric}${Object.entries(all).map(([name, value]) => `.${name}=.${value};`).join("")}`;
}
const requests = (filter: Filter, labels?: Record<string, string>): number => filter.metrics.counter(series("requests_total", labels));
const samples = (filter: Filter, metric: string, labels?: Record<string, string>): readonly number[] => filter.metrics.histogram(series(metric, labels)).samples;
const allRequests = (filter: Filter): Record<string, number> =>
  Object.fromEntries(filter.metrics.names().filter((name) => name.startsWith("selvedge_requests_total")).map((name) => [name, filter.metrics.counter(name)]));

const send = (filter: Filter, request: ExchangeRequest = {}, options: ExchangeOptions & { routes?: StreamOptions["routes"] } = {}) =>
  filter.http(request, { ...options, stream: { routes: options.routes ?? "prod/r/0", ...options.stream } });

describe("labels", () => {
  it("say who called what, how, and what came of it", async () => {
    const filter = await load();
    await send(filter, { peer: PEER, method: "POST", body: "x" }, { upstream: { status: 404 } });
    expect(allRequests(filter)).toEqual({
      [series("requests_total", { source_workload: "frontend", source_workload_namespace: "dev", request_method: "POST", response_code: "404" })]: 1,
    });
  });

  it("tell the arm that the request took in the end", async () => {
    const filter = await load();
    await send(filter, {}, { routes: "prod/r/0/v2" });
    expect(requests(filter, { arm: "v2" })).toBe(1);
  });

  it.each([
    ["no certificate", undefined],
    ["an identity of another form", { uriSans: ["spiffe://td/some/workload"] }],
    ["no SPIFFE ID", { uriSans: ["https://example.test/"] }],
    ["a service account with a slash", { uriSans: ["spiffe://td/ns/a/sa/b/c"] }],
  ])("call a caller with %s unknown", async (_, peer) => {
    const filter = await load();
    await send(filter, { peer });
    expect(requests(filter)).toBe(1);
  });

  it("call a caller with two identities unknown, where they are all told", async () => {
    const filter = await load({ ...CONFIG, identity: { filterState: "selvedge.peer" } });
    const filterState = (uris: string): ExchangeOptions => ({ stream: { filterState: { "selvedge.peer": uris } } });
    await send(filter, {}, filterState(PEER.uriSans[0]!));
    await send(filter, {}, filterState(`${PEER.uriSans[0]},spiffe://cluster.local/ns/dev/sa/admin`));
    expect(requests(filter, { source_workload: "frontend", source_workload_namespace: "dev" })).toBe(1);
    expect(requests(filter)).toBe(1);
  });

  it("can't be broken by what a certificate says", async () => {
    const filter = await load();
    await send(filter, { peer: { uriSans: ["spiffe://td/ns/a;b/sa/c.route=.d\n"] } });
    expect(requests(filter, { source_workload: "c.route_.d_", source_workload_namespace: "a_b" })).toBe(1);
  });

  it("are Envoy's own names where the configuration doesn't list the route", async () => {
    const filter = await load();
    await send(filter, {}, { routes: { name: "other", cluster: "backend" } as never });
    await send(filter, {}, { routes: () => undefined });
    expect(allRequests(filter)).toEqual({
      [series("requests_total", { destination_workload: "backend", destination_workload_namespace: "unknown", route: "other", arm: "" })]: 1,
      [series("requests_total", { destination_workload: "unknown", destination_workload_namespace: "unknown", route: "unknown", arm: "", response_code: "404" })]: 1,
    });
  });

  it("need no configuration at all", async () => {
    const filter = await load(undefined);
    await send(filter, { peer: PEER }, { routes: { name: "r", cluster: "c" } as never });
    expect(Object.values(allRequests(filter))).toEqual([1]);
  });

  it("know nine methods", async () => {
    const filter = await load();
    for (const method of ["PURGE", "get", "X".repeat(5000)]) await send(filter, { method });
    expect(requests(filter, { request_method: "_OTHER" })).toBe(3);
  });

  it("say 0 where the client went away before an answer", async () => {
    const filter = await load();
    await send(filter, {}, { upstream: "silent", giveUpMs: 70 });
    expect(requests(filter, { response_code: "0" })).toBe(1);
    expect(samples(filter, "request_duration_milliseconds", { response_code: "0" })).toEqual([70]);
  });
});

describe("durations", () => {
  it("are milliseconds from the request's headers to its end", async () => {
    const filter = await load();
    await send(filter, {}, { upstream: { status: 200, delayMs: 37 } });
    expect(samples(filter, "request_duration_milliseconds")).toEqual([37]);
  });

  it.each([
    ["back", -3_600_000],
    ["forward", 86_400_000],
  ])("don't follow a wall clock that is set %s", async (_, step) => {
    const filter = await load();
    const clock = filter.host.clock as FakeClock;
    await send(filter, {}, { upstream: () => (clock.step(step), { status: 200, delayMs: 25 }) });
    expect(samples(filter, "request_duration_milliseconds")).toEqual([25]);
  });

  it("of long requests are whole", async () => {
    const filter = await load();
    await send(filter, {}, { upstream: { status: 200, delayMs: 45_000 } });
    expect(samples(filter, "request_duration_milliseconds")).toEqual([45_000]);
  });
});

describe("sizes", () => {
  it("come from the content length", async () => {
    const filter = await load();
    await send(filter, { method: "POST", headers: { "content-length": "5" }, body: "12345" }, { upstream: { status: 200, headers: { "content-length": "3" }, body: "abc" } });
    expect(samples(filter, "request_bytes", { request_method: "POST" })).toEqual([5]);
    expect(samples(filter, "response_bytes", { request_method: "POST" })).toEqual([3]);
  });

  it("are counted where there is none", async () => {
    const filter = await load();
    await send(filter, { method: "POST", body: ["123", "4567"] }, { upstream: { status: 200, body: ["ab", "cd", "e"] } });
    expect(samples(filter, "request_bytes", { request_method: "POST" })).toEqual([7]);
    expect(samples(filter, "response_bytes", { request_method: "POST" })).toEqual([5]);
  });

  it("are 0 without a body, and for what HTTP gives no body", async () => {
    const filter = await load();
    await send(filter, {}, { upstream: { status: 304, headers: { "content-length": "1000" } } });
    await send(filter, { headers: { "content-length": "9" } }, { giveUpMs: 100 });
    await send(filter, { method: "HEAD" }, { upstream: { status: 200, headers: { "content-length": "1000" } } });
    for (const response_code of ["304", "0"]) expect(samples(filter, "request_bytes", { response_code })).toEqual([0]);
    expect(samples(filter, "response_bytes", { response_code: "304" })).toEqual([0]);
    expect(samples(filter, "response_bytes", { request_method: "HEAD" })).toEqual([0]);
  });

  it("don't believe in a petabyte that never came", async () => {
    const filter = await load();
    const stream = filter.stream({ routes: "prod/r/0" });
    await stream.request({ headers: [[":method", "POST"], [":path", "/"], [":authority", "a"], ["content-length", "999999999999999"]], body: "abc", end: false });
    stream.reset();
    expect(samples(filter, "request_bytes", { request_method: "POST", response_code: "0" })).toEqual([3]);
  });
});

describe("the limit on series", () => {
  it("counts what is beyond it by class of status", async () => {
    const filter = await load({ ...CONFIG, maxSeries: 2 });
    for (const status of [200, 201, 202, 204, 404, 500, 200]) await send(filter, {}, { upstream: { status } });
    const overflow = (code: string): number => requests(filter, Object.fromEntries(Object.entries({
      source_workload: "", source_workload_namespace: "", destination_workload: "", destination_workload_namespace: "", request_method: "", response_code: "", route: "", arm: "",
    }).map(([name]) => [name, name === "response_code" ? code : "overflow"])));
    expect([requests(filter), requests(filter, { response_code: "201" }), requests(filter, { response_code: "202" })]).toEqual([2, 1, 0]);
    expect([overflow("2xx"), overflow("4xx"), overflow("5xx")]).toEqual([2, 1, 1]);
    expect(filter.metrics.counter("selvedge_telemetry_series_overflow_total")).toBe(4);
  });

  it("holds against any number of callers and routes", async () => {
    const filter = await load({ maxSeries: 10 });
    for (let i = 0; i < 60; i++) await send(filter, { peer: { uriSans: [`spiffe://td/ns/n/sa/w${i}`] } }, { routes: { name: `r${i % 30}`, cluster: "c" } as never });
    const counts = Object.values(allRequests(filter));
    expect(counts).toHaveLength(11);
    expect(counts.reduce((a, b) => a + b)).toBe(60);
    expect(filter.metrics.counter("selvedge_telemetry_series_overflow_total")).toBe(50);
  });

  it("defines each metric once", async () => {
    const filter = await load();
    // A second definition would be refused, and what it counts would be lost.
    for (let status = 200; status < 205; status++) await send(filter, {}, { upstream: { status } });
    filter.inject({ kind: "status", hostCall: "proxy_define_metric", status: "InternalFailure" });
    for (let i = 0; i < 100; i++) await send(filter, {}, { upstream: { status: 200 + (i % 5) } });
    expect(Object.values(allRequests(filter))).toEqual([21, 21, 21, 21, 21]);
  });
});

describe("a stream in trouble", () => {
  it.each(["proxy_get_property", "proxy_get_header_map_pairs", "proxy_define_metric", "proxy_record_metric", "proxy_increment_metric", "proxy_get_current_time_nanoseconds"])(
    "goes on where %s fails",
    async (hostCall) => {
      const filter = await load();
      filter.inject({ kind: "status", hostCall, status: "InternalFailure" });
      const outcome = await send(filter, { peer: PEER, method: "POST", body: "x" }, { upstream: { status: 200, body: "y" } });
      expect(outcome.status).toBe(200);
      expect(filter.status.state).toBe("running");
    },
  );

  it("is counted where another filter answered before this one saw it", async () => {
    const telemetry = await load();
    const deny = (await loadFilter(await compileModule({ source: DENY, options: { ...releaseOptions, optimizeLevel: 1, exportRuntime: false } }), { host: telemetry.host })).requireRunning();
    const stream = streamThrough([deny, telemetry], { routes: "prod/r/0", source: PEER });
    await stream.request({ headers: [[":method", "POST"], [":path", "/"], [":authority", "a"]], body: "abc" });
    expect(allRequests(telemetry)).toEqual({
      [series("requests_total", { source_workload: "frontend", source_workload_namespace: "dev", request_method: "POST", response_code: "403" })]: 1,
    });
    expect(samples(telemetry, "request_duration_milliseconds", { source_workload: "frontend", source_workload_namespace: "dev", request_method: "POST", response_code: "403" })).toHaveLength(1);
  });

  it.each<[string, ExchangeRequest]>([
    ["200 headers", { headers: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-${i}`, "v"])) }],
    ["a header of 60 KB", { headers: { "content-length": "1".repeat(60 * 1024) } }],
    ["no :authority", { authority: "" }],
    ["bytes that aren't UTF-8", { path: "/\xff\xfe", method: "\xff" }],
    ["two content lengths", { headers: { "content-length": ["1", "2"] } }],
  ])("with %s doesn't trap", async (_, request) => {
    const filter = await load();
    // A body that is shorter than its length is waited for.
    await send(filter, request, { giveUpMs: 100 });
    expect(filter.status.state).toBe("running");
    expect(Object.values(allRequests(filter))).toEqual([1]);
  });

  it("leaves memory where it was", async () => {
    const filter = await load();
    for (let i = 0; i < 50; i++) await send(filter, { peer: PEER });
    const before = filter.memoryBytes();
    for (let i = 0; i < 1000; i++) await send(filter, { peer: PEER });
    expect(filter.memoryBytes()).toBe(before);
  });
});

/** The examples of harness/host/README.md, as they stand there. */
import { beforeAll, expect, test } from "vitest";
import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { buildFilter } from "../../../harness/build/index.ts";
import { FakeClock, Host, loadFilter, streamThrough } from "../../../harness/index.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";

const [authz, telemetry] = ["authz", "telemetry"].map((name) => fileURLToPath(new URL(`../../../dist/${name}.wasm`, import.meta.url))) as [string, string];
const here = fileURLToPath(import.meta.url);
let gate: string;

beforeAll(async () => {
  const scratch = temporaryDirectory("test");
  const entry = fileURLToPath(new URL("gate/assembly/index.ts", import.meta.url));
  gate = (await buildFilter({ name: "gate", entry, outDir: scratch.path })).path;
  return () => scratch.remove();
}, 240_000);

const readers = {
  namespace: "prod",
  policies: [{ metadata: { name: "readers" }, spec: { rules: [{ from: [{ source: { namespaces: ["prod"] } }], to: [{ operation: { methods: ["GET"] } }] }] } }],
};

test("readers may read", async () => {
  const filter = await loadFilter(authz, { config: readers });
  const web = { uriSans: ["spiffe://cluster.local/ns/prod/sa/web"] };

  const read = await filter.http({ method: "GET", path: "/", peer: web }, { upstream: { status: 200, body: "hello" } });
  expect(read).toMatchObject({ action: "response", status: 200, body: "hello" });

  const write = await filter.http({ method: "PUT", path: "/", peer: web });
  expect(write).toMatchObject({ action: "localReply", status: 403, upstream: undefined });
  expect(filter.metrics.counter("selvedge_authz_denied_total.policy=.none;.rule=.none;")).toBe(1);
});

test("refuses a configuration with a typo", async () => {
  const filter = await loadFilter(authz, { config: { polices: [] } });
  expect(filter.status).toMatchObject({ state: "rejected", reason: expect.stringContaining("$.polices") });
  expect(() => filter.requireRunning()).toThrow("polices");
});

test("holds a request until somebody was asked", async () => {
  const filter = await loadFilter(gate, { clusters: { auth: (call) => ({ status: call.headers.some(([name, value]) => name === "x-token" && value === "good") ? 200 : 401, delayMs: 20 }) } });
  expect(await filter.http({ headers: { "x-token": "bad" } })).toMatchObject({ status: 403, elapsedMs: 20 });
  expect(await filter.http({ headers: { "x-token": "good" } })).toMatchObject({ status: 200 });
  expect(filter.metrics.counter("gate_asked")).toBe(2);
  expect(filter.host.httpCalls[0]).toMatchObject({ cluster: "auth", timeoutMs: 200 });

  filter.loseSharedData(); // or it remembers
  for (const trouble of ["timeout", "connectionFailure", "reset"] as const) {
    filter.host.setCluster("auth", trouble);
    expect((await filter.http()).status).toBe(403);
  }
});

test("sees a request piece by piece", async () => {
  const filter = await loadFilter(telemetry, { config: {} });
  const stream = filter.stream({ protocol: "HTTP/2", routes: "reviews" });
  const request = await stream.request({ headers: { ":method": "POST", ":path": "/", ":authority": "x" }, end: false });
  expect(request.action).toBe("continue");
  await stream.sendBody("ab");
  await stream.sendBody("c", true);
  const response = await stream.response({ status: 201, body: ["1", "2"], trailers: { "x-sum": "3" } });
  expect(response).toMatchObject({ action: "continue", body: "12", trailers: [["x-sum", "3"]] });
  expect(stream.ended).toBe(true);
});

test("lets time pass, and sets the clock", async () => {
  const clock = new FakeClock(Date.UTC(2026, 0, 1));
  const filter = await loadFilter(gate, { clock });
  filter.tick(2500); // on_tick runs every second
  expect(filter.logs.map(({ message }) => message)).toEqual(["someone is known: no", "someone is known: no"]);
  filter.stepClock(-60_000); // somebody sets the machine's clock; timers don't mind
  expect(clock.nowMs()).toBe(Date.UTC(2026, 0, 1) + 2500 - 60_000);
});

test("shares what it knows between workers, and survives its loss", async () => {
  const filter = await loadFilter(gate, { workers: 2, clusters: { auth: { status: 200 } } });
  await filter.http({}, { stream: { worker: 0 } });
  await filter.http({}, { stream: { worker: 1 } });
  expect(filter.metrics.counter("gate_asked")).toBe(1);
  expect(filter.sharedData).toEqual({ known: "yes" });
  filter.loseSharedData();
  await filter.http({}, { stream: { worker: 1 } });
  expect(filter.metrics.counter("gate_asked")).toBe(2);
});

test("fails as its failure policy says", async () => {
  const clusters = { auth: { status: 200 } };
  const closed = await loadFilter(gate, { clusters });
  closed.inject({ kind: "trap", callback: "proxy_on_request_headers", nth: 1 });
  expect((await closed.http()).status).toBe(503);
  expect((await closed.http()).status).toBe(503); // its VM is gone
  expect(closed.status.state).toBe("failed");
  expect(closed.status.trap?.callback).toBe("proxy_on_request_headers");

  const reloading = await loadFilter(gate, { clusters, failurePolicy: "FAIL_RELOAD" });
  reloading.inject({ kind: "trap", hostCall: "proxy_http_call", nth: 1 });
  expect((await reloading.http()).status).toBe(503);
  reloading.tick(2000); // the time between two attempts
  expect((await reloading.http()).status).toBe(200);
  expect(reloading.reloads).toMatchObject({ success: 1 });
});

test("gets nothing from the host that is not granted", async () => {
  const outOfMemory = await loadFilter(gate, { faults: [{ kind: "outOfMemory" }], clusters: { auth: { status: 200 } } });
  expect((await outOfMemory.http()).status).not.toBe(200);

  const refusing = await loadFilter(gate, { clusters: { auth: { status: 200 } } });
  refusing.inject({ kind: "status", hostCall: "proxy_http_call", status: "InternalFailure" });
  expect((await refusing.http()).status).toBe(503);

  const restricted = await loadFilter(authz, { config: readers, capabilities: ["proxy_on_memory_allocate", "proxy_on_context_create"] });
  expect((await restricted.http({ method: "PUT" })).status).toBe(200); // no on_request_headers: a capability too few opens
});

test("is ended when it runs too long or takes too much", async () => {
  const filter = await loadFilter(gate, { timeLimitMs: 50, memoryLimitBytes: 16 * 1024 * 1024 });
  expect((await filter.http({ path: "/loop" })).status).toBe(503);
  expect(filter.status.reason).toContain("ran for more than 50 ms and was ended");
});

test("decides about a connection", async () => {
  const config = {
    protocol: "tcp",
    namespace: "prod",
    policies: [{ metadata: { name: "app" }, spec: { rules: [{ from: [{ source: { principals: ["cluster.local/ns/prod/sa/app"] } }] }] } }],
  };
  const filter = await loadFilter(authz, { config });
  const app = filter.tcp({ source: { uriSans: ["spiffe://cluster.local/ns/prod/sa/app"] } });
  app.data("hello");
  expect(new TextDecoder().decode(app.toUpstream)).toBe("hello");
  const other = filter.tcp({ source: { uriSans: ["spiffe://cluster.local/ns/dev/sa/app"] } });
  other.data("hello");
  expect(other).toMatchObject({ closedBy: "filter", toUpstream: new Uint8Array(0) });
});

test("works with another filter behind it", async () => {
  const host = new Host();
  const first = await loadFilter(authz, { host, config: readers });
  const second = await loadFilter(telemetry, { host, config: {} });
  const stream = streamThrough([first, second], { routes: "reviews" });
  const decision = await stream.request({ headers: { ":method": "PUT", ":path": "/", ":authority": "x" } });
  expect(decision.localReply?.status).toBe(403);
  first.close();
  second.close();
  expect(host.vmCounts.active).toBe(0);
});

test("every example of the README is one of these", () => {
  const readme = readFileSync(new URL("../../../harness/host/README.md", import.meta.url), "utf8");
  const examples = [...readme.matchAll(/```ts\n(test\([\s\S]*?)```/g)].map((match) => match[1]!.trim());
  expect(examples.length).toBeGreaterThan(8);
  for (const example of examples) expect(readFileSync(here, "utf8")).toContain(example);
});

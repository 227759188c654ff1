import { describe, expect, test } from "vitest";
import { FakeClock, HeaderMap, Host, loadFilter, RealClock, streamThrough } from "../../../harness/host/index.ts";
import { load, module, TEAPOT } from "./support.ts";

const request = { headers: [[":method", "GET"], [":path", "/"], [":authority", "x"]] as [string, string][] };

describe("a filter", () => {
  test("decides about a request", async () => {
    const filter = await load(TEAPOT);
    const decision = await filter.stream().request(request);
    expect(decision.action).toBe("localReply");
    expect(decision.localReply).toMatchObject({ status: 418, body: "", headers: [[":status", "418"]] });
  });

  test("lets a request through to the upstream, and shows it as changed", async () => {
    const filter = await load(`(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (drop (call $add (i32.const 0) (i32.const 16) (i32.const 3) (i32.const 20) (i32.const 2))) (i32.const 0)) (data (i32.const 16) "x-a\\00") (data (i32.const 20) "\\c3\\bc")`);
    const outcome = await filter.http({ path: "/p", headers: { "x-b": ["1", "2"] } }, { upstream: (seen) => ({ status: 201, body: seen.header("x-b") ?? "" }) });
    expect(outcome).toMatchObject({ action: "response", status: 201, body: "1" });
    expect(outcome.upstream?.headers.slice(-3)).toEqual([["x-b", "1"], ["x-b", "2"], ["x-a", "ü"]]);
  });

  test("reads its configuration, given as an object", async () => {
    const filter = await load(`(func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $buffer (i32.const 7) (i32.const 0) (i32.const 100) (i32.const 0) (i32.const 4)))
      (drop (call $log (i32.const 3) (i32.load (i32.const 0)) (i32.load (i32.const 4)))) (i32.const 1))`, { config: { a: ["ü"] } });
    expect(filter.logs).toMatchObject([{ level: "warn", message: '{"a":["ü"]}', plugin: "test", thread: "worker-0", from: "wasm" }]);
  });

  test("that refuses its configuration is rejected, with what it complained about", async () => {
    const filter = await load(`(func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $log (i32.const 5) (i32.const 16) (i32.const 6))) (i32.const 0)) (data (i32.const 16) "no way")`);
    expect(filter.status).toEqual({ state: "rejected", reason: "proxy_on_configure answered 0: no way" });
    expect(filter.findings[0]?.code).toBe("host-config-rejected");
    expect(() => filter.stream()).toThrow(/did not accept its configuration/);
    expect(() => filter.requireRunning()).toThrow(/no way/);
  });

  test("shares nothing with a filter on another host", async () => {
    const body = `(func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $define (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 8))) (drop (call $increment (i32.load (i32.const 8)) (i64.const 1)))
      (drop (call $set_shared (i32.const 16) (i32.const 5) (i32.const 16) (i32.const 5) (i32.const 0))) (i32.const 1)) (data (i32.const 16) "loads")`;
    const [one, two] = [await load(body), await load(body)];
    expect([one.metrics.counter("loads"), two.metrics.counter("loads")]).toEqual([1, 1]);
    one.loseSharedData();
    expect([one.sharedData, two.sharedData]).toEqual([{}, { loads: "loads" }]);
  });

  test("shows metrics by name and kind", async () => {
    const filter = await load(`(func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $define (i32.const 0) (i32.const 16) (i32.const 1) (i32.const 8))) (drop (call $increment (i32.const 4) (i64.const 3)))
      (drop (call $define (i32.const 1) (i32.const 17) (i32.const 1) (i32.const 8))) (drop (call $record (i32.const 5) (i64.const 9)))
      (drop (call $define (i32.const 2) (i32.const 18) (i32.const 1) (i32.const 8))) (drop (call $record (i32.const 6) (i64.const 5))) (drop (call $record (i32.const 6) (i64.const 7)))
      (i32.const 1)) (data (i32.const 16) "cgh")`);
    expect(filter.metrics.toObject()).toEqual({ c: 3, g: 9, h: { count: 2, sum: 12, samples: [5, 7] } });
    expect(filter.metrics.get("h")).toEqual([5, 7]);
    expect(filter.metrics.counter("nothing")).toBe(0);
    expect(filter.metrics.names()).toEqual(["c", "g", "h"]);
  });

  test("re-routes after clear_route_cache, by what it put into filter state", async () => {
    const filter = await load(`(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (drop (call $set_property (i32.const 16) (i32.const 3) (i32.const 20) (i32.const 2)))
      (drop (call $foreign (i32.const 32) (i32.const 17) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))) (i32.const 0))
      (data (i32.const 16) "arm\\00v2") (data (i32.const 32) "clear_route_cache")`);
    const stream = filter.stream({ routes: (headers, state) => `${headers[":path"]}:${state["wasm.arm"] ?? "stable"}` });
    const decision = await stream.request(request);
    expect(decision.route).toBe("/:v2");
    expect(decision.filterState).toEqual({ "wasm.arm": "v2" });
  });

  test("answers 404 for a request without a route", async () => {
    const filter = await load("");
    const outcome = await filter.http({}, { stream: { routes: () => undefined } });
    expect(outcome).toMatchObject({ action: "localReply", status: 404, localReply: { details: "route_not_found" }, upstream: undefined });
  });

  test("reads pinned properties and those of the stream model", async () => {
    const read = (at: number, size: number) => `(drop (call $property (i32.const ${at}) (i32.const ${size}) (i32.const 0) (i32.const 4))) (drop (call $log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4))))`;
    const filter = await load(`(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) ${read(16, 35)} ${read(64, 7)} ${read(80, 17)} (i32.const 0))
      (data (i32.const 16) "connection\\00uri_san_peer_certificate") (data (i32.const 64) "a\\00b.c\\00d") (data (i32.const 80) "filter_state\\00peer")`);
    await filter.stream({ source: { uriSans: ["spiffe://a", "spiffe://b"] }, properties: { "a\0b.c\0d": "pinned" }, filterState: { peer: "x" } }).request(request);
    expect(filter.logs.map((entry) => entry.message)).toEqual(["spiffe://a", "pinned", "x"]);
  });
});

describe("several filters", () => {
  const note = (text: string) => `(func $note (param i32) (drop (call $log (i32.const 2) (local.get 0) (i32.const 2))))
    (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (call $note (i32.const 16)) (i32.const 0))
    (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (call $note (i32.const 18)) (i32.const 0))
    (func (export "proxy_on_log") (param i32) (call $note (i32.const 20))) (data (i32.const 16) "q${text}r${text}l${text}")`;

  test("see requests in order, responses in reverse order, and log in order", async () => {
    const host = new Host();
    const filters = [await load(note("1"), { host, name: "one" }), await load(note("2"), { host, name: "two" })];
    const stream = streamThrough(filters);
    await stream.request(request);
    await stream.response({ status: 200 });
    expect(host.logs.map((entry) => entry.message)).toEqual(["q1", "q2", "r2", "r1", "l1", "l2"]);
  });

  test("on different hosts cannot share a stream", async () => {
    expect(() => streamThrough([])).toThrow(/at least one/);
    const filters = [await load(""), await load("")];
    expect(() => streamThrough(filters)).toThrow(/same host/);
  });

  test("share one VM by vm_id, VM configuration and code", async () => {
    const host = new Host();
    const code = module(`(global $n (mut i32) (i32.const 48)) (func (export "proxy_on_configure") (param i32 i32) (result i32)
      (global.set $n (i32.add (global.get $n) (i32.const 1))) (i32.store (i32.const 16) (global.get $n)) (drop (call $log (i32.const 2) (i32.const 16) (i32.const 1))) (i32.const 1))`);
    await loadFilter(code, { host, vmId: "v", config: "a" });
    await loadFilter(code, { host, vmId: "v", config: "b" });
    await loadFilter(code, { host, vmId: "w", config: "c" });
    await loadFilter(code, { host, vmId: "v", vmConfig: "x", config: "d" });
    expect(host.logs.map((entry) => entry.message)).toEqual(["1", "2", "1", "1"]);
    expect(host.vmCounts.active).toBe(3);
  });

  test("closing the last plugin of a vm_id drops its shared data", async () => {
    const host = new Host();
    const code = module(`(func (export "proxy_on_configure") (param i32 i32) (result i32)
      (drop (call $set_shared (i32.const 16) (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 0))) (i32.const 1)) (data (i32.const 16) "k")`);
    const one = await loadFilter(code, { host, vmId: "v", config: "a" });
    const two = await loadFilter(code, { host, vmId: "v", config: "b" });
    one.close();
    expect(two.sharedData).toEqual({ k: "k" });
    two.close();
    expect(two.sharedData).toEqual({});
    expect(host.vmCounts.active).toBe(0);
  });
});

describe("bodies and ends of streams", () => {
  const counts = `(func $n (param i32 i32) (i32.store8 (i32.const 17) (i32.add (i32.const 48) (local.get 0))) (i32.store8 (i32.const 18) (i32.add (i32.const 48) (local.get 1))) (drop (call $log (i32.const 2) (i32.const 16) (i32.const 3))))
    (func (export "proxy_on_request_body") (param i32 i32 i32) (result i32) (call $n (local.get 1) (local.get 2)) (i32.const 0)) (data (i32.const 16) "b")`;

  test("HTTP/1 ends a body with a piece of its own, HTTP/2 with the last one", async () => {
    const filter = await load(counts);
    for (const protocol of ["HTTP/1.1", "HTTP/2"]) await filter.http({ method: "POST", body: ["aa", "bbb"] }, { stream: { protocol } });
    expect(filter.logs.map((entry) => entry.message)).toEqual(["b20", "b30", "b01", "b20", "b31"]);
  });

  test("can be sent piece by piece", async () => {
    const filter = await load(counts);
    const stream = filter.stream({ protocol: "HTTP/2" });
    await stream.request({ ...request, end: false });
    await stream.sendBody("a");
    const decision = await stream.sendBody("bc", true);
    expect(decision).toMatchObject({ action: "continue", complete: true, body: "abc" });
  });

  test("a reset ends the stream once", async () => {
    const filter = await load(`(func (export "proxy_on_log") (param i32) (drop (call $log (i32.const 2) (i32.const 16) (i32.const 3)))) (data (i32.const 16) "log")`);
    const stream = filter.stream();
    await stream.request(request);
    stream.reset();
    stream.reset();
    stream.close();
    expect(stream.ended).toBe(true);
    expect(stream.requestDecision().action).toBe("reset");
    expect(filter.logs).toHaveLength(1);
  });

  test("an upstream that breaks off before it has answered gives a 503", async () => {
    const outcome = await (await load("")).http({}, { upstream: "reset" });
    expect(outcome).toMatchObject({ action: "localReply", status: 503 });
  });

  test("a client that gives up leaves the exchange open for the client and ended for the filter", async () => {
    const filter = await load(`(func (export "proxy_on_log") (param i32) (drop (call $log (i32.const 2) (i32.const 16) (i32.const 3)))) (data (i32.const 16) "log")`);
    const outcome = await filter.http({}, { upstream: "silent", giveUpMs: 50 });
    expect(outcome).toMatchObject({ action: "paused", status: undefined });
    expect(filter.logs).toHaveLength(1);
  });
});

describe("time", () => {
  const ticking = `(func (export "proxy_on_configure") (param i32 i32) (result i32) (drop (call $tick (i32.const 100))) (i32.const 1))
    (func (export "proxy_on_tick") (param i32) (drop (call $log (i32.const 2) (i32.const 16) (i32.const 4)))) (data (i32.const 16) "tick")`;

  test("moves only when told, and ticks on every worker", async () => {
    const filter = await load(ticking, { workers: 2 });
    filter.tick(250);
    expect(filter.logs.map((entry) => [entry.thread, entry.timeMs % 1000])).toEqual([["worker-0", 100], ["worker-1", 100], ["worker-0", 200], ["worker-1", 200]]);
  });

  test("ticks on the main thread and the workers, not on base and canary, with Envoy's topology", async () => {
    const filter = await load(ticking, { topology: "envoy" });
    filter.tick(100);
    expect(filter.logs.map((entry) => entry.thread)).toEqual(["main", "worker-0"]);
    filter.close();
    filter.tick(1000);
    expect(filter.logs).toHaveLength(2);
  });

  test("a step of the wall clock does not move timers", () => {
    const clock = new FakeClock(0);
    const start = clock.monotonicNs();
    const seen: number[] = [];
    clock.after(10, () => seen.push(clock.nowMs()));
    clock.step(-5000);
    clock.advance(10);
    expect(seen).toEqual([-4990]);
    expect(clock.monotonicNs() - start).toBe(10_000_000n);
  });

  test("timers run in order of their time, and of their creation", () => {
    const clock = new FakeClock();
    const seen: string[] = [];
    clock.after(5, () => seen.push("b"));
    clock.after(5, () => clock.after(0, () => seen.push("d")));
    clock.after(1, () => seen.push("a"));
    clock.after(5, () => seen.push("c"));
    clock.after(6, () => seen.push("never")).cancel();
    clock.advance(100);
    expect(seen).toEqual(["a", "b", "c", "d"]);
    expect(clock.untilNext()).toBeUndefined();
  });

  test("tasks that make tasks without end are stopped", () => {
    const clock = new FakeClock();
    const again = (): void => void clock.after(0, again);
    again();
    expect(() => clock.advance(1)).toThrow(/without end/);
  });
});

describe("header maps", () => {
  test("a shared map changes alone", () => {
    const map = HeaderMap.from({ a: "1" }, "request");
    const copy = map.share();
    copy.add("b", "2");
    map.set("a", "3");
    expect([map.toObject(), copy.toObject()]).toEqual([{ a: "3" }, { a: "1", b: "2" }]);
  });
});

test("a closed filter lets nothing through", async () => {
  const host = new Host();
  const closed = await load("", { host, name: "closed" });
  const open = await load("", { host });
  closed.close();
  await expect(closed.http()).rejects.toThrow("closed has been closed");
  expect(() => streamThrough([open, closed])).toThrow("closed has been closed");
  expect(() => closed.tcp()).toThrow("closed has been closed");
  expect((await open.http()).status).toBe(200);
});

test("CEL is there for a module that keeps its functions' names as UTF-16", async () => {
  const wide = [..."expr_create"].map((letter) => `${letter}\\00`).join("");
  const filter = await load(`(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (local $i i32)
    (loop $next
      (i32.store8 (i32.add (i32.const 64) (local.get $i)) (i32.load8_u (i32.add (i32.const 16) (i32.mul (i32.const 2) (local.get $i)))))
      (br_if $next (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 11))))
    (i32.store8 (i32.const 90) (i32.add (i32.const 48) (call $foreign (i32.const 64) (i32.const 11) (i32.const 80) (i32.const 4) (i32.const 8) (i32.const 12))))
    (drop (call $log (i32.const 2) (i32.const 90) (i32.const 1))) (i32.const 0))
    (data (i32.const 16) "${wide}") (data (i32.const 80) "true")`);
  await filter.http();
  expect(filter.logs.map(({ message }) => message)).toEqual(["0"]);
});

describe("on the real clock", () => {
  test("an exchange waits for its upstream", async () => {
    const filter = await load("", { clock: new RealClock() });
    expect(await filter.http({}, { upstream: { status: 201, delayMs: 5 } })).toMatchObject({ action: "response", status: 201 });
    expect(await filter.http({}, { upstream: "silent", giveUpMs: 10 })).toMatchObject({ action: "paused" });
    expect(() => filter.tick(1)).toThrow(/only a fake clock/);
  });
});

import { describe, expect, test } from "vitest";
import type { FilterOptions } from "../../../harness/host/index.ts";
import { load } from "./support.ts";

/** Calls cluster "auth" for every request, stops, and lets the request go on (or answers 403) by the status that comes. */
const AUTH = `(global $stream (mut i32) (i32.const 0))
  (func (export "proxy_on_request_headers") (param $id i32) (param i32 i32) (result i32)
    (global.set $stream (local.get $id))
    (if (call $call (i32.const 16) (i32.const 4) (i32.const 64) (i32.const 61) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 100) (i32.const 8)) (then (return (i32.const 0))))
    (i32.const 1))
  (func (export "proxy_on_http_call_response") (param i32 i32 i32 i32 i32)
    (drop (call $effective (global.get $stream)))
    (if (i32.eqz (local.get 2)) (then (drop (call $reply (i32.const 502) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))) (return)))
    (drop (call $get (i32.const 6) (i32.const 32) (i32.const 7) (i32.const 0) (i32.const 4)))
    (if (i32.eq (i32.load8_u (i32.load (i32.const 0))) (i32.const 50))
      (then (drop (call $continue (i32.const 0))))
      (else (drop (call $reply (i32.const 403) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))))))
  (data (i32.const 16) "auth") (data (i32.const 32) ":status")
  (data (i32.const 64) "\\03\\00\\00\\00\\07\\00\\00\\00\\03\\00\\00\\00\\05\\00\\00\\00\\01\\00\\00\\00\\0a\\00\\00\\00\\01\\00\\00\\00:method\\00GET\\00:path\\00/\\00:authority\\00a\\00")`;

const withAuth = (auth: NonNullable<FilterOptions["clusters"]>[string], more: FilterOptions = {}) => load(AUTH, { clusters: { auth }, ...more });

describe("an HTTP callout", () => {
  test("holds the request until its answer", async () => {
    const filter = await withAuth({ status: 200, delayMs: 30 });
    const stream = filter.stream();
    expect((await stream.request({ headers: { ":method": "GET", ":path": "/", ":authority": "x" } })).action).toBe("paused");
    filter.tick(29);
    expect(stream.requestDecision().action).toBe("paused");
    filter.tick(1);
    expect(stream.requestDecision().action).toBe("continue");
    expect(filter.host.httpCalls).toMatchObject([{ cluster: "auth", timeoutMs: 100, plugin: "test", thread: "worker-0", headers: [[":method", "GET"], [":path", "/"], [":authority", "a"]] }]);
  });

  test.each([
    ["an answer", { status: 200 }, 200, 0],
    ["a refusal", { status: 401 }, 403, 0],
    ["nothing until the time-out", "timeout", 403, 100],
    ["an answer after the time-out", { status: 200, delayMs: 101 }, 403, 100],
    ["no connection", "connectionFailure", 403, 0],
    ["a reset", "reset", 502, 0],
    ["a late reset", { fail: "reset", delayMs: 40 }, 502, 40],
  ] as const)("ends with %s", async (_, auth, status, elapsedMs) => {
    expect(await (await withAuth(auth)).http()).toMatchObject({ status, elapsedMs });
  });

  test("that no upstream could be sent is answered by the proxy itself", async () => {
    const connect = AUTH.replace("(i32.const 61)", "(i32.const 65)").replace(/\\07(\\00\\00\\00)\\03/, "\\07$1\\07").replace("GET", "CONNECT");
    const filter = await load(connect, { clusters: { auth: { status: 200 } } });
    expect((await filter.http()).status).toBe(403); // by Envoy's 503
    expect(filter.host.httpCalls[0]?.headers).toContainEqual([":method", "CONNECT"]);
  });

  test("to an unknown cluster is refused at once", async () => {
    expect((await (await load(AUTH)).http()).status).toBe(200);
  });

  test("can be answered by a function, also an asynchronous one", async () => {
    const filter = await withAuth(async (call) => {
      await Promise.resolve();
      return { status: call.headers.some(([name, value]) => name === ":authority" && value === "a") ? 200 : 500 };
    });
    expect((await filter.http()).status).toBe(200);
  });

  test("under way when the plugin ends is dropped", async () => {
    const filter = await withAuth({ status: 200, delayMs: 30 });
    const stream = filter.stream();
    await stream.request({ headers: { ":method": "GET", ":path": "/", ":authority": "x" } });
    filter.close();
    filter.tick(1000);
    expect(stream.requestDecision().action).toBe("paused");
  });
});

describe("a plugin that is not done yet", () => {
  test("is deleted after proxy_done", async () => {
    const filter = await load(`(func (export "proxy_on_configure") (param i32 i32) (result i32) (drop (call $tick (i32.const 10))) (i32.const 1))
      (func (export "proxy_on_done") (param i32) (result i32) (i32.const 0))
      (func (export "proxy_on_tick") (param i32) (drop (call $done)))
      (func (export "proxy_on_delete") (param i32) (drop (call $log (i32.const 2) (i32.const 16) (i32.const 3)))) (data (i32.const 16) "del")`);
    filter.close();
    expect(filter.logs).toEqual([]);
    filter.tick(10);
    expect(filter.logs).toMatchObject([{ message: "del" }]);
    filter.tick(1000);
    expect(filter.logs).toHaveLength(1);
  });
});

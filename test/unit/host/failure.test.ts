import { describe, expect, test } from "vitest";
import { FakeClock, Host, loadFilter } from "../../../harness/host/index.ts";
import { SelvedgeError } from "../../../harness/errors.ts";
import { endless, load, module, TEAPOT, TRAPS_ON_LONG_PATH } from "./support.ts";

describe("a trap", () => {
  test("names module, callback and place", async () => {
    const filter = await load(TRAPS_ON_LONG_PATH);
    const outcome = await filter.http({ path: "/long" });
    expect(outcome).toMatchObject({ action: "localReply", status: 503, localReply: { details: "wasm_fail_stream" } });
    const { state, trap } = filter.status;
    expect(state).toBe("failed");
    expect(trap).toMatchObject({ module: "test", callback: "proxy_on_request_headers", reason: "RuntimeError: unreachable" });
    expect(trap?.frames[0]).toMatchObject({ functionIndex: 3, name: expect.stringContaining("proxy_on_request_headers") as string });
    expect(filter.findings[0]).toMatchObject({ code: "host-filter-failed", severity: "error" });
    expect(filter.logs.at(-1)?.message).toMatch(/^Function: proxy_on_request_headers failed: Uncaught RuntimeError: unreachable\nProxy-Wasm plugin in-VM backtrace:\n {2}0: {2}0x/);
  });

  test("has offsets into the file as it is, though its memory was limited", async () => {
    const code = module(TRAPS_ON_LONG_PATH);
    const filter = await loadFilter(code, { name: "test" });
    await filter.http({ path: "/long" });
    // 0x00 is `unreachable`.
    expect(code[filter.status.trap!.frames[0]!.offset]).toBe(0x00);
  });

  test("with FAIL_CLOSED keeps everyone out", async () => {
    const filter = await load(TRAPS_ON_LONG_PATH);
    await filter.http({ path: "/long" });
    expect((await filter.http({ path: "/" })).status).toBe(503);
    filter.tick(3600_000);
    expect((await filter.http({ path: "/" })).status).toBe(503);
  });

  test("with FAIL_OPEN lets later streams pass, with fail_open also the one it hits", async () => {
    for (const [options, statuses] of [[{ failurePolicy: "FAIL_OPEN" }, [503, 200]], [{ failOpen: true }, [200, 200]]] as const) {
      const filter = await load(TRAPS_ON_LONG_PATH, options);
      expect([(await filter.http({ path: "/long" })).status, (await filter.http({ path: "/" })).status]).toEqual(statuses);
    }
  });

  test("with FAIL_RELOAD is followed by a new VM after the backoff", async () => {
    const filter = await load(TRAPS_ON_LONG_PATH, { failurePolicy: "FAIL_RELOAD", reloadBackoffMs: 1000 });
    await filter.http({ path: "/long" });
    filter.tick(999);
    expect((await filter.http({ path: "/" })).status).toBe(503);
    expect(filter.reloads).toEqual({ success: 0, failure: 0, backoff: 1 });
    filter.tick(501);
    expect((await filter.http({ path: "/" })).status).toBe(200);
    expect(filter.reloads.success).toBe(1);
    expect(filter.status.state).toBe("running");
  });

  test("with FAIL_RELOAD counts an attempt that fails", async () => {
    const body = `(func (export "proxy_on_configure") (param i32 i32) (result i32) (drop (call $get_shared (i32.const 16) (i32.const 1) (i32.const 0) (i32.const 4) (i32.const 8)))
      (if (i32.load (i32.const 4)) (then (return (i32.const 0)))) (drop (call $set_shared (i32.const 16) (i32.const 1) (i32.const 16) (i32.const 1) (i32.const 0))) (i32.const 1))
      (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (unreachable)) (data (i32.const 16) "k")`;
    const filter = await load(body, { failurePolicy: "FAIL_RELOAD", reloadBackoffMs: 10 });
    await filter.http();
    filter.tick(100);
    expect((await filter.http()).status).toBe(503);
    expect(filter.reloads).toEqual({ success: 0, failure: 1, backoff: 0 });
  });
});

describe("a module that does not come back", () => {
  const limit = { timeLimitMs: 60 };

  test("from a request is ended, named, and answered with 503", async () => {
    const filter = await load(endless("proxy_on_request_headers", "(param i32 i32 i32) (result i32)"), limit);
    expect(await filter.http()).toMatchObject({ status: 503 });
    expect(filter.status).toMatchObject({ state: "failed", reason: expect.stringMatching(/proxy_on_request_headers failed: ran for more than 60 ms .*module test/) as string });
    expect((await filter.http()).status).toBe(503);
  });

  test("from its configuration is rejected", async () => {
    const filter = await load(endless("proxy_on_configure", "(param i32 i32) (result i32)"), limit);
    expect(filter.status).toMatchObject({ state: "rejected", reason: expect.stringContaining("proxy_on_configure failed: ran for more than") as string });
  });

  test("from _initialize or its start section cannot be loaded", async () => {
    await expect(load(endless("_initialize", ""), limit)).rejects.toThrow(/test: the module cannot be started, it fails in _initialize.*more than 60 ms/s);
    await expect(load("(func $s (loop $a (br $a))) (start $s)", limit)).rejects.toThrow(/the start section.*more than 60 ms/s);
  });

  test("from a tick fails, and the clock goes on", async () => {
    const filter = await load(`(func (export "proxy_on_configure") (param i32 i32) (result i32) (drop (call $tick (i32.const 10))) (i32.const 1)) ${endless("proxy_on_tick", "(param i32)")}`, limit);
    filter.tick(100);
    expect(filter.status.reason).toMatch(/proxy_on_tick failed: ran for more than/);
    expect((filter.host.clock as FakeClock).untilNext()).toBeUndefined();
  });

  test("from its allocator is named with the callback around it", async () => {
    const filter = await load(`(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (drop (call $pairs (i32.const 0) (i32.const 0) (i32.const 4))) (i32.const 0))`, {
      ...limit,
      allocator: '(func (export "malloc") (param i32) (result i32) (loop $a (br $a)) (unreachable))',
    });
    await filter.http();
    expect(filter.status.reason).toContain("malloc (called during proxy_on_request_headers)");
  });

  test("can be replaced, with FAIL_RELOAD", async () => {
    const body = `${TRAPS_ON_LONG_PATH.replace("(unreachable)", "(loop $a (br $a))")}`;
    const filter = await load(body, { ...limit, failurePolicy: "FAIL_RELOAD", reloadBackoffMs: 10 });
    expect((await filter.http({ path: "/long" })).status).toBe(503);
    filter.tick(100);
    expect((await filter.http({ path: "/" })).status).toBe(200);
  });
});

describe("memory", () => {
  const growing = `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (loop $more (br_if $more (i32.ne (memory.grow (i32.const 1)) (i32.const -1)))) (unreachable))`;

  test("cannot grow beyond the limit", async () => {
    const filter = await load(growing, { memoryLimitBytes: 1024 * 1024 });
    expect((await filter.http()).status).toBe(503);
    expect(filter.memoryBytes()).toBe(1024 * 1024);
  });

  test("keeps the lower limit that the module itself declares", async () => {
    const filter = await load(growing, { memory: '(memory (export "memory") 4 6)' });
    await filter.http();
    expect(filter.memoryBytes()).toBe(6 * 65536);
  });

  test("that is imported is limited, too", async () => {
    const filter = await load(growing, { memory: '(import "env" "memory" (memory 1))', memoryLimitBytes: 131072 });
    await filter.http();
    expect(filter.memoryBytes()).toBe(131072);
  });

  test("that grew during a host call is read where it is now", async () => {
    const filter = await load(`(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
      (drop (call $log (i32.const 2) (i32.load (i32.const 0)) (i32.load (i32.const 4)))) (i32.const 0)) (data (i32.const 16) ":path")`, {
      allocator: '(func (export "malloc") (param i32) (result i32) (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))',
    });
    await filter.http({ path: "/after-growth" });
    expect(filter.logs[0]?.message).toBe("/after-growth");
  });
});

describe("injected faults", () => {
  test("trap in a callback, at the n-th call", async () => {
    const filter = await load(`(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32) (i32.const 0))`);
    filter.inject({ kind: "trap", callback: "proxy_on_request_headers", nth: 2 });
    expect([(await filter.http()).status, (await filter.http()).status, (await filter.http()).status]).toEqual([200, 503, 503]);
    expect(filter.status.reason).toContain("injected fault: trap in proxy_on_request_headers");
  });

  test("trap in a host call, also while the module starts", async () => {
    const filter = await load(`(func (export "proxy_on_configure") (param i32 i32) (result i32) (drop (call $time (i32.const 8))) (i32.const 1))`, {
      faults: [{ kind: "trap", hostCall: "proxy_get_current_time_nanoseconds" }],
    });
    expect(filter.status).toMatchObject({ state: "rejected", reason: expect.stringContaining("injected fault") as string });
  });

  test("status of a host call", async () => {
    const filter = await load(`(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (i32.store8 (i32.const 16) (i32.add (i32.const 48) (call $time (i32.const 8)))) (drop (call $log (i32.const 2) (i32.const 16) (i32.const 1))) (i32.const 0))`);
    filter.inject({ kind: "status", hostCall: "proxy_get_current_time_nanoseconds", status: "CasMismatch" });
    await filter.http();
    filter.clearFaults();
    await filter.http();
    expect(filter.logs.map((entry) => entry.message)).toEqual(["8", "0"]);
    expect(() => filter.inject({ kind: "status", hostCall: "proxy_log", status: "Nonsense" as "Ok" })).toThrow(SelvedgeError);
  });

  test("of what there isn't are refused: nothing would ever happen", async () => {
    const filter = await load("");
    expect(() => filter.inject({ kind: "trap", callback: "proxy_on_requets_headers" })).toThrow(/no callback named proxy_on_requets_headers[^]*proxy_on_request_headers/);
    expect(() => filter.inject({ kind: "trap", hostCall: "proxy_htp_call" })).toThrow(/no host call named proxy_htp_call[^]*proxy_http_call/);
    await expect(load("", { faults: [{ kind: "status", hostCall: "http_call", status: "Ok" }] })).rejects.toThrow("no host call named http_call");
  });

  test("out of memory", async () => {
    const filter = await load(`(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
      (i32.store8 (i32.const 16) (i32.add (i32.const 48) (call $pairs (i32.const 0) (i32.const 0) (i32.const 4)))) (drop (call $log (i32.const 2) (i32.const 16) (i32.const 1))) (i32.const 0))`);
    filter.inject({ kind: "outOfMemory", nth: 1 });
    await filter.http();
    await filter.http();
    expect(filter.logs.filter(({ from }) => from === "wasm").map((entry) => entry.message)).toEqual(["6", "0"]);
  });
});

describe("a module that no host can load", () => {
  test("says which file is missing", async () => {
    await expect(loadFilter("/nonexistent/x.wasm")).rejects.toThrow(/\/nonexistent\/x\.wasm cannot be read: there is no such file/);
  });

  test("says what calls the host too early", async () => {
    await expect(load('(func $s (drop (call $time (i32.const 0)))) (start $s)')).rejects.toThrow(/host-call-too-early.*start section/s);
  });

  test("leaves other filters of the host alone", async () => {
    const host = new Host();
    const filter = await load(TEAPOT, { host });
    await expect(load("(func $s unreachable) (start $s)", { host })).rejects.toThrow(SelvedgeError);
    expect((await filter.http()).status).toBe(418);
  });
});

import { describe, expect, test } from "vitest";
import { load } from "./support.ts";

const none = "(i32.const 0) (i32.const 0)";
const reply = `(drop (call $reply (i32.const 418) ${none} ${none} ${none} (i32.const -1)))`;
const on = (name: string, params: number, body: string, result = ""): string => `(func (export "proxy_on_${name}") (param ${"i32 ".repeat(params)}) ${result === "" ? "" : "(result i32)"} ${body} ${result})`;

describe("what makes Envoy crash is said, and does nothing", () => {
  test.each([
    ["a local reply in on_log", on("log", 1, reply), "proxy_send_local_response for a stream that has ended"],
    ["a local reply in on_done", on("done", 1, reply, "(i32.const 1)"), "proxy_send_local_response for a stream that has ended"],
    ["a local reply in on_delete", on("delete", 1, reply), "proxy_send_local_response for a stream that has ended"],
    ["a second local reply after the response has come", on("response_headers", 3, `${reply} ${reply}`, "(i32.const 0)"), "proxy_send_local_response for a stream that has ended"],
    ["continuing a response that isn't there", on("request_headers", 3, "(drop (call $continue (i32.const 1)))", "(i32.const 0)"), "proxy_continue_stream before there is a response"],
  ])("%s", async (_, body, message) => {
    const filter = await load(body);
    const { status } = await filter.http();
    expect([200, 418]).toContain(status);
    expect((await filter.http()).status).toBe(status); // the module lives on
    filter.close();
    expect(filter.logs.filter(({ from }) => from === "host").map((entry) => entry.message)).toContain(`test: ${message} makes Envoy crash; here it does nothing (said once)`);
  });
});

describe("a callback that continues the stream and lets it go on as well is told that Envoy goes on twice", () => {
  test.each([
    ["request", on("request_headers", 3, "(drop (call $continue (i32.const 0)))", "(i32.const 0)")],
    ["request", on("request_trailers", 2, "(drop (call $continue (i32.const 0)))", "(i32.const 0)")],
    ["response", on("response_trailers", 2, "(drop (call $continue (i32.const 1)))", "(i32.const 0)")],
    ["response", on("response_headers", 3, "(drop (call $continue (i32.const 1)))", "(i32.const 0)")],
  ])("%s: %s", async (side, body) => {
    const filter = await load(body);
    await filter.http({ method: "POST", body: "b", trailers: { a: "b" } }, { upstream: { body: "b", trailers: { a: "b" } } });
    expect(filter.logs.filter(({ level }) => level === "critical").map(({ message }) => message)).toEqual([`test: proxy_continue_stream in a callback that lets the ${side} go on anyway makes Envoy send it on twice, or crash; here it goes on once (said once)`]);
  });

  test("and one that holds it isn't", async () => {
    const filter = await load(on("request_headers", 3, "(drop (call $continue (i32.const 0)))", "(i32.const 1)"));
    expect((await filter.http()).status).toBe(200);
    expect(filter.logs).toEqual([]);
  });
});

test("trailers after a body that is held, of a stream that was held before, get through once the stream is continued", async () => {
  const held = `${on("request_headers", 3, "(drop (call $tick (i32.const 10)))", "(i32.const 1)")} ${on("request_body", 3, "", "(i32.const 1)")} ${on("request_trailers", 2, "", "(i32.const 0)")}
    (func (export "proxy_on_tick") (param i32) (drop (call $effective (i32.const 2))) (drop (call $continue (i32.const 0))))`;
  const filter = await load(held);
  const { status, upstream } = await filter.http({ method: "POST", body: ["a", "b"], trailers: { x: "y" } });
  expect(status).toBe(200);
  expect(upstream).toMatchObject({ trailers: [["x", "y"]] });
});

describe("an answer of the proxy's own that a filter holds", () => {
  test.each([
    ["at its headers", on("response_headers", 3, "", "(i32.const 1)")],
    ["at its body", on("response_body", 3, "", "(i32.const 1)")],
  ])("doesn't arrive: %s", async (_, hold) => {
    const body = "(drop (call $reply (i32.const 418) (i32.const 0) (i32.const 0) (i32.const 16) (i32.const 3) (i32.const 0) (i32.const 0) (i32.const -1)))";
    const filter = await load(`${on("request_headers", 3, body, "(i32.const 0)")} ${hold} (data (i32.const 16) "tea")`);
    const outcome = await filter.http();
    expect(outcome.action).toBe("paused");
    expect(outcome.localReply?.status).toBe(418);
  });
});

test("the route follows the headers that a filter changes", async () => {
  const add = "(drop (call $add (i32.const 0) (i32.const 16) (i32.const 3) (i32.const 16) (i32.const 3)))";
  const filter = await load(`${on("request_headers", 3, add, "(i32.const 0)")} (data (i32.const 16) "new")`);
  const stream = filter.stream({ routes: (headers) => (headers.new === undefined ? "old" : "new") });
  expect((await stream.request({ headers: { ":path": "/", ":method": "GET" } })).route).toBe("new");
});

/** A filter that uses everything `@solo-io/proxy-runtime` exports, compiled through the compatibility entry, in a real Envoy. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningEnvoy } from "../../harness/envoy/index.ts";
import { bootstrap, httpListener } from "./fixtures/bootstrap.ts";
import { Client } from "./fixtures/client.ts";
import { startFixtures, type Fixtures } from "./fixtures/start.ts";
import { startUpstream, type Echo, type Upstream } from "./fixtures/upstream.ts";

let fixtures: Fixtures;
let upstream: Upstream;
let envoy: RunningEnvoy;
let client: Client;

beforeAll(async () => {
  upstream = await startUpstream();
  fixtures = await startFixtures(["compat"], ({ compat }) =>
    bootstrap([httpListener("http", [{ module: compat!, rootId: "everything", vmId: "compat-vm", configuration: "what ever you want" }])], { upstream: upstream.port }),
  );
  envoy = fixtures.envoy;
  client = new Client(await envoy.port("http"));
});

afterAll(async () => {
  client?.close();
  await fixtures?.stop();
  await upstream?.close();
});

describe("a filter written for @solo-io/proxy-runtime", () => {
  it("gets from each function what it documents, and a status where it used to trap", async () => {
    const answer = () => client.report({ path: "/report" });
    await expect.poll(async () => (await answer()).grpc).toContain("ok");
    expect(await answer()).toEqual({
      configuration: "what ever you want", started: "true", fetched: "'fetched'", canceled: "1", grpc: "initial got compat trailing ok",
      path: "'/report'", missing: "''", set: "0'kept'",
      add: "00", values: "'3'4", removed: "''||", sized: "true0",
      "shared missing": "1none", "shared set": "0", "shared get": "0'one'", "shared swap": "08",
      queue: "0truetrue", "queue unknown": "1", enqueue: "0", dequeue: "0'x'7none",
      counter: expect.stringMatching(/^0 \d+$/), gauge: "42", histogram: "02", defined: "00true",
      "no body": "''000", uncompressed: "|12", "unknown function": "0", clear_route_cache: "0",
      status: "0", level: "2", done: "1",
    });
    const reply = await client.send({ path: "/report" });
    expect(reply.headers).toMatchObject({ "content-type": "text/plain", "x-reported": "yes" });
  });

  it("fetches on a timer, and tells another thread through a queue", async () => {
    // The main thread and the worker, once each.
    await expect.poll(async () => (await envoy.admin.stats("compat_drained")).get("wasmcustom.compat_drained")).toBe(2);
    expect((await envoy.admin.stats("compat_ticks")).get("wasmcustom.compat_ticks")).toBeGreaterThan(2);
  });

  it("edits headers, bodies and trailers through stream_context", async () => {
    const answer = await client.send({ path: "/edit", headers: { "x-old": "old", "x-gone": "1" }, body: "text", trailers: { "x-sent": "client" } });
    const echo = JSON.parse(answer.body) as Echo;
    expect(echo.headers).toMatchObject({ "x-added": "1", "x-old": "new" });
    expect(echo.headers).not.toHaveProperty("x-gone");
    expect([echo.body, echo.trailers]).toEqual(["text", { "x-sent": "client", "x-seen": "client" }]);
    expect(answer.headers).toMatchObject({ "x-upstream": "replaced", "x-effective": "00" });
    expect(answer.trailers).toMatchObject({ "x-out": "filter" });
  });

  it("replaces all headers", async () => {
    const { headers } = JSON.parse((await client.send({ path: "/set", headers: { "x-drop": "1", "x-keep": "1" } })).body) as Echo;
    expect(headers).toMatchObject({ "x-set": "yes", "x-keep": "1" });
    expect(headers).not.toHaveProperty("x-drop");
  });

  it.each(["/auth/function", "/auth/method"])("decides by an HTTP call, and resumes the request: %s", async (path) => {
    const answer = await client.send({ path });
    expect(answer.status).toBe(200);
    expect((JSON.parse(answer.body) as Echo).headers).toMatchObject({ "x-allowed": "end" });
  });

  it.each([
    ["/auth/slow", 403, "status 504"],
    ["/auth/broken", 403, "status none"],
    ["/auth/nowhere", 500, "result 2"],
  ])("refuses where the call brings nothing: %s", async (path, status, body) => {
    const answer = await client.send({ path });
    expect([answer.status, answer.body]).toEqual([status, body]);
  });

  it("resumes a response", async () => {
    expect((await client.send({ path: "/resume" })).headers).toMatchObject({ "x-resumed": "yes" });
  });

  it("hears the end of streams and of the plugin", async () => {
    await client.send({ path: "/logged" });
    await envoy.waitForLog(/compat logs 200/);
    await envoy.waitForLog(/compat context deleted/);
    client.close();
    await fixtures.stop();
    expect(envoy.log()).toMatch(/compat root done at some time/);
    expect(envoy.log()).not.toMatch(/\[(error|critical)\]\[wasm\]/);
  });
});

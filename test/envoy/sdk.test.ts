/** The SDK's host calls in a real Envoy: one fixture makes them all, an HTTP/2 upstream and the admin interface show their effect. */
import { generateKeyPairSync, sign } from "node:crypto";
import { deflateSync, inflateSync } from "node:zlib";
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
  fixtures = await startFixtures(["sdk"], ({ sdk }) =>
    bootstrap([httpListener("http", [{ module: sdk!, rootId: "fixture", vmId: "fixture-vm", configuration: "configuration" }])], { upstream: upstream.port, dead: 1 }),
  );
  envoy = fixtures.envoy;
  client = new Client(await envoy.port("http"));
});

afterAll(async () => {
  client?.close();
  await fixtures?.stop();
  await upstream?.close();
});

/** The request as the upstream saw it. */
const echo = async (call: Parameters<Client["send"]>[0]): Promise<Echo> => JSON.parse((await client.send(call)).body) as Echo;

describe("headers and trailers", () => {
  it("reads pairs and single values, telling missing from empty", async () => {
    const report = await client.report({ path: "/headers", headers: { "x-multi": ["one", "two"], "x-empty": "" } });
    expect(report).toEqual({
      loaded: "true", path: "'/headers'", first: "'one'", second: "'two'", third: "absent", empty: "''", missing: "absent",
      get: "'one'", "get empty": "''", "get missing": "absent", count: "true", bytes: "true",
      "response map": "true", "response count": "0", "response bytes": "-1",
    });
  });

  it("adds, replaces and removes request and response headers", async () => {
    const answer = await client.send({ path: "/headers/edit", headers: { "x-old": "old", "x-gone": "1" } });
    const { headers } = JSON.parse(answer.body) as Echo;
    expect(headers).toMatchObject({ "x-added": "1, 2", "x-old": "new" });
    expect(headers).not.toHaveProperty("x-gone");
    expect(answer.headers).toMatchObject({ "x-seen-status": "200", "x-upstream": "replaced" });
    expect(answer.headers).not.toHaveProperty("x-secret");
  });

  it("replaces a whole map", async () => {
    const { headers } = await echo({ path: "/headers/set", headers: { "x-old": "old" } });
    expect(headers).toMatchObject({ ":path": "/headers/set", "x-only": "this" });
    expect(headers).not.toHaveProperty("x-old");
  });

  it("reads and edits trailers both ways", async () => {
    const answer = await client.send({ path: "/trailers", body: "b", trailers: { "x-sent": "client", "x-gone": "1" } });
    expect((JSON.parse(answer.body) as Echo).trailers).toEqual({ "x-sent": "client", "x-seen": "client", "x-count": "2" });
    expect(answer.trailers).toEqual({ "x-trailing": "end", "x-sent": "upstream", "x-seen": "upstream", "x-count": "3" });
  });
});

describe("bodies", () => {
  // The upstream answers these paths with the body that reached it.
  it.each([
    ["replace", "some text", "[response of 14]"],
    ["wrap", "some text", "response<request<some text>>"],
    ["slice", "0123456789", "4"],
    ["none", "x".repeat(100_000), "x".repeat(100_000)],
    ["empty", "dropped", ""],
  ])("%s", async (action, body, expected) => {
    const answer = await client.send({ path: `/body/${action}`, body });
    expect([answer.status, answer.body]).toEqual([200, expected]);
  });
});

describe("properties, local replies, effective context", () => {
  it("reads attributes by type, and writes filter state", async () => {
    expect(await client.report({ path: "/property" })).toEqual({
      path: "'/property'", route: "'default'", missing: "absent", "root id": "'fixture'", port: "true", "no integer": "-7", "no property": "-8",
      mtls: "false", "no boolean": "true", set: "0", "read back": "'kept'", "filter state": "'kept'", clock: "true",
    });
  });

  it("answers itself, from a request and from a response callback", async () => {
    const early = await client.send({ path: "/reply/early" });
    expect([early.status, early.body, early.headers["x-why"]]).toEqual([418, "short and stout ☕", "teapot, again"]);
    const late = await client.send({ path: "/reply/late" });
    expect([late.status, late.body]).toEqual([502, "late"]);
    await envoy.waitForLog(/access \/reply\/early 418 fixture_teapot/);
    await envoy.waitForLog(/access \/reply\/late 502 fixture_late/);
  });

  it("resumes streams from the root's timer", async () => {
    const answers = await Promise.all([1, 2, 3].map(() => client.send({ path: "/rest" })));
    expect(answers.map(({ status, headers }) => [status, headers["x-awake"]])).toEqual(Array(3).fill([200, "yes"]));
  });
});

describe("callouts", () => {
  it("calls over HTTP", async () => {
    expect(await client.report({ path: "/call/ok" })).toEqual({
      headers: "true", status: "'201'", body: "'payload'", trailer: "'end'", callout: "0", message: "''",
    });
  });

  it.each([
    ["an answer that breaks off is none", "broken", { headers: "false", status: "absent", body: "absent", callout: "11", message: "'reset'" }],
    ["Envoy answers for a time-out", "slow", { headers: "true", status: "'504'" }],
    ["Envoy answers for a dead endpoint", "dead", { headers: "true", status: "'503'" }],
  ])("%s", async (_, action, expected) => {
    expect(await client.report({ path: `/call/${action}` })).toMatchObject(expected);
  });

  it.each(["/call/unknown", "/call/invalid"])("says at once why a call can't be made: %s", async (path) => {
    expect(await client.report({ path })).toEqual({ refused: "2" });
  });

  it("makes unary gRPC calls", async () => {
    expect(await client.report({ path: "/grpc/call" })).toMatchObject({ received: "got hello", grpc: "0" });
    expect(await client.report({ path: "/grpc/fail" })).toMatchObject({ received: "", grpc: "7", message: expect.stringContaining("not for you") });
    expect(await client.report({ path: "/grpc/unknown" })).toEqual({ refused: "4" });
  });

  it("streams gRPC messages with metadata both ways", async () => {
    expect(await client.report({ path: "/grpc/stream" })).toEqual({
      initial: "given", received: "got one,got two", trailing: "done", grpc: "0", message: "'via_upstream'",
    });
    expect(await client.report({ path: "/grpc/cancel" })).toEqual({ cancel: "0", again: "1", close: "1" });
  });
});

describe("shared data and queues", () => {
  it("compares and swaps", async () => {
    expect(await client.report({ path: "/shared/data" })).toEqual({
      missing: "absent", set: "0", get: "'first'", matching: "0", outdated: "8", kept: "'second'", "moved on": "true", empty: "0", "read empty": "''",
    });
  });

  it("queues in order, and wakes the reader", async () => {
    const before = (await envoy.admin.stats("fixture_drained")).get("wasmcustom.fixture_drained") ?? 0;
    expect(await client.report({ path: "/shared/queue" })).toEqual({
      "same token": "true", resolved: "true", unknown: "0", enqueue: "0 0", "1st": "'a'", "2nd": "'b'", "3rd": "absent", "no queue": "absent", bad: "1",
    });
    await expect.poll(async () => (await envoy.admin.stats("fixture_drained")).get("wasmcustom.fixture_drained")).toBe(before + 3);
  });
});

describe("metrics and logs", () => {
  it("counts, sets and records", async () => {
    expect(await client.report({ path: "/metrics" })).toEqual({
      increment: "0", "by five": "0", counter: "6", "by zero": "2", set: "0", add: "0", subtract: "0", gauge: "42", record: "0", unreadable: "0",
      unknown: "1", "unknown record": "1", "bad type": "true",
    });
    const stats = await envoy.admin.stats("fixture_(counter|gauge)");
    expect([stats.get("wasmcustom.fixture_counter"), stats.get("wasmcustom.fixture_gauge")]).toEqual([6, 42]);
    const samples = () => envoy.admin.prometheus("fixture_histogram");
    await expect.poll(async () => (await samples()).find(({ name }) => name.endsWith("_count"))?.value, { timeout: 15_000 }).toBe(1);
    expect((await samples()).find(({ name }) => name.endsWith("_sum"))?.value).toBeCloseTo(7, 0);
  });

  it("prints what the proxy's level lets through, also when that changes", async () => {
    expect(await client.report({ path: "/log" })).toEqual({ info: "true", debug: "false" });
    await envoy.waitForLog(/\[info\]\[wasm\].*fixture says info ☕/);
    await envoy.waitForLog(/\[warning\]\[wasm\].*fixture says warn/);
    await envoy.waitForLog(/\[error\]\[wasm\].*fixture says error/);
    await envoy.waitForLog(/\[critical\]\[wasm\].*fixture says critical/);
    expect(envoy.log()).not.toMatch(/fixture (bytes )?says? (trace|debug)/);
    await envoy.admin.logging("debug", "wasm");
    for (let i = 0; i < 300 && !envoy.log().includes("fixture says debug"); i++) await client.report({ path: "/log" });
    await envoy.waitForLog(/\[debug\]\[wasm\].*fixture bytes say debug/);
    expect(envoy.log()).not.toContain("fixture says trace");
    await envoy.admin.logging("info", "wasm");
  });
});

describe("foreign functions", () => {
  const unknown = { "no such function": "absent", status: "1" };

  it("chooses the route again", async () => {
    const routes = ["/foreign/route", "/foreign/no-route"].map(async (path) => (await client.send({ path })).headers["x-route"]);
    expect(await Promise.all(routes)).toEqual(["variant", "default"]);
  });

  it("verifies a P-256 signature", async () => {
    const { publicKey, privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
    const text = "signed by the fleet";
    const headers = {
      "x-key": publicKey.export({ type: "spki", format: "der" }).toString("hex"),
      "x-signature": sign("sha256", Buffer.from(text), privateKey).toString("hex"),
      "x-text": text,
    };
    const refused = { "other text": "false", "other hash": "false", "no hash": "false", "no key": "false", "no signature": "false" };
    expect(await client.report({ path: "/foreign/verify", headers })).toEqual({ valid: "true", ...refused, ...unknown });
    const tampered = Buffer.from(headers["x-signature"], "hex");
    tampered[tampered.length - 1]! ^= 1;
    expect(await client.report({ path: "/foreign/verify", headers: { ...headers, "x-signature": tampered.toString("hex") } })).toMatchObject({ valid: "false" });
  });

  it("compresses and uncompresses", async () => {
    const report = await client.report({ path: "/foreign/zlib", headers: { "x-deflated": deflateSync("by node").toString("hex") } });
    const text = "the quick brown fox jumps over the lazy dog, again and again and again and again";
    expect(report).toMatchObject({ unpacked: `'${text}'`, garbage: "absent", inflated: "'by node'", ...unknown });
    expect(inflateSync(Buffer.from(report.packed!, "hex")).toString()).toBe(text);
  });

  it("declares properties and sets Envoy's own filter state", async () => {
    expect(await client.report({ path: "/foreign/state" })).toEqual({
      first: "0", second: "2", value: "'1'", "envoy's own": "true", "its value": "'example.test'",
      "no factory": "false", ...unknown,
    });
  });

  it("evaluates CEL expressions", async () => {
    expect(await client.report({ path: "/foreign/cel" })).toEqual({
      path: "'/foreign/cel!'", length: "12", missing: "true", broken: "false", "broken value": "absent", ...unknown,
    });
  });
});

import { beforeAll, describe, expect, it } from "vitest";
import { compileModule, releaseOptions } from "../../../harness/build/index.ts";
import { FakeClock, loadFilter, type ExchangeOutcome, type ExchangeRequest, type Filter, type StreamOptions } from "../../../harness/host/index.ts";

let wasm: Uint8Array;
beforeAll(async () => {
  wasm = await compileModule({ entry: "filters/canary/assembly/index.ts", options: { ...releaseOptions, optimizeLevel: 1, exportRuntime: false } });
});

const ROUTE = "prod/reviews/0";
type Rollout = Record<string, unknown>;

const rollout = (stable: number, canary: number, more: Rollout = {}): Rollout => ({
  route: ROUTE,
  arms: [{ name: "v1", weight: stable }, { name: "v2", weight: canary }],
  ...more,
});
const sticky = (...keys: object[]): Rollout => ({ stickiness: { salt: "s", keys } });

const load = async (...rollouts: Rollout[]): Promise<Filter> => (await loadFilter(wasm, { name: "canary", rootId: "canary", config: JSON.stringify({ rollouts }) })).requireRunning();

/** The routes as compose writes them: one for each canary arm that matches the filter state, and the stable one. */
const routes: StreamOptions["routes"] = (headers, state) => {
  if (headers[":path"]?.startsWith("/other")) return "prod/other/0";
  const arm = state["wasm.selvedge_arm"];
  return arm === undefined || arm === "v1" ? ROUTE : `${ROUTE}/${arm}`;
};

const send = (filter: Filter, request: ExchangeRequest = {}): Promise<ExchangeOutcome> => filter.http(request, { stream: { routes } });
const routeOf = async (filter: Filter, request: ExchangeRequest = {}): Promise<string | undefined> => (await send(filter, request)).route;
const counted = (filter: Filter, arm: string, route = ROUTE): number => filter.metrics.counter(`selvedge_canary_requests_total.route=.${route};.arm=.${arm};`);
const unkeyed = (filter: Filter): number => filter.metrics.counter("selvedge_canary_unkeyed_total");

/** Who lands on the canary of `rollout(50, 50, sticky(…))` and who doesn't; found once, so that tests read plainly. */
const CANARY_KEY = "user-0";
const STABLE_KEY = "user-1";

describe("a split without stickiness", () => {
  it("honours the weights, request by request", async () => {
    const filter = await load(rollout(75, 25));
    for (let i = 0; i < 4000; i++) await send(filter);
    const canary = counted(filter, "v2");
    expect(counted(filter, "v1") + canary).toBe(4000);
    // The fake clock gives the same seed each time: either this holds or it doesn't, at four standard deviations.
    expect(Math.abs(canary - 1000)).toBeLessThan(4 * Math.sqrt(4000 * 0.25 * 0.75));
  });

  it("sends everyone one way at 0 and at 100", async () => {
    const none = await load(rollout(100, 0));
    const all = await load(rollout(0, 100));
    for (let i = 0; i < 50; i++) {
      expect(await routeOf(none)).toBe(ROUTE);
      expect(await routeOf(all)).toBe(`${ROUTE}/v2`);
    }
  });

  it("stays stable where no arm has a weight", async () => {
    const filter = await load(rollout(0, 0));
    expect(await routeOf(filter)).toBe(ROUTE);
    expect(counted(filter, "v1")).toBe(1);
  });

  it("differs from VM to VM", async () => {
    const drawn = async (startMs: number): Promise<string> => {
      const filter = await loadFilter(wasm, { rootId: "canary", config: JSON.stringify({ rollouts: [rollout(50, 50)] }), clock: new FakeClock(startMs) });
      let arms = "";
      for (let i = 0; i < 64; i++) arms += (await routeOf(filter)) === ROUTE ? "1" : "2";
      return arms;
    };
    expect(await drawn(1_000_000)).not.toBe(await drawn(1_000_000.001));
  });
});

describe("routing", () => {
  it("leaves the arm's name in filter state and takes the arm's route", async () => {
    const outcome = await send(await load(rollout(0, 1)));
    expect(outcome.route).toBe(`${ROUTE}/v2`);
    expect(outcome.filterState).toEqual({ "wasm.selvedge_arm": "v2" });
  });

  it("doesn't touch requests that stay on the stable arm, nor routes without a rollout", async () => {
    const filter = await load(rollout(1, 0));
    expect((await send(filter)).filterState).toEqual({});
    expect((await send(filter, { path: "/other" })).filterState).toEqual({});
    expect(filter.metrics.names()).toEqual([`selvedge_canary_requests_total.route=.${ROUTE};.arm=.v1;`]);
  });

  it("handles a request without any route", async () => {
    const filter = await load(rollout(0, 1));
    const outcome = await filter.http({}, { stream: { routes: () => undefined } });
    expect(outcome.status).toBe(404);
    expect(filter.metrics.names()).toEqual([]);
  });

  it("can't be steered by what a client sends", async () => {
    const filter = await load(rollout(1, 0));
    const headers = { selvedge_arm: "v2", "wasm.selvedge_arm": "v2", "x-selvedge-arm": "v2", cookie: "selvedge_arm=v2" };
    expect(await routeOf(filter, { headers })).toBe(ROUTE);
  });

  it("finds each of many rollouts", async () => {
    const many = Array.from({ length: 300 }, (_, i) => ({ ...rollout(0, 1), route: `r/${i}` }));
    const filter = await load(...many);
    for (let i = 0; i < 300; i += 7) {
      const outcome = await filter.http({}, { stream: { routes: (_, state) => (state["wasm.selvedge_arm"] === "v2" ? `r/${i}/v2` : `r/${i}`) } });
      expect(outcome.route).toBe(`r/${i}/v2`);
    }
  });
});

describe("stickiness", () => {
  it("keeps a client on its arm", async () => {
    const filter = await load(rollout(50, 50, sticky({ header: "x-user" })));
    const arms = new Set<string | undefined>();
    for (let user = 0; user < 40; user++) {
      const headers = { "x-user": `user-${user}` };
      const first = await routeOf(filter, { headers });
      arms.add(first);
      for (let i = 0; i < 3; i++) expect(await routeOf(filter, { headers })).toBe(first);
    }
    expect(arms.size).toBe(2);
  });

  it("compares header names without case", async () => {
    const filter = await load(rollout(50, 50, sticky({ header: "X-User" })));
    expect(await routeOf(filter, { headers: { "x-user": CANARY_KEY } })).toBe(`${ROUTE}/v2`);
    expect(await routeOf(filter, { headers: { "x-user": STABLE_KEY } })).toBe(ROUTE);
    expect(unkeyed(filter)).toBe(0);
  });

  it.each<[string, object, ExchangeRequest]>([
    ["a cookie", { cookie: "session" }, { headers: { cookie: `a=b; session=${CANARY_KEY}` } }],
    ["a cookie in the second of two headers", { cookie: "session" }, { headers: { cookie: ["a=b", `session=${CANARY_KEY}`] } }],
    ["a header", { header: "x-user" }, { headers: { "x-user": CANARY_KEY } }],
  ])("takes its key from %s", async (_, key, request) => {
    const filter = await load(rollout(50, 50, sticky(key)));
    expect(await routeOf(filter, request)).toBe(`${ROUTE}/v2`);
  });

  it("takes its key from the caller's certificate", async () => {
    const filter = await load(rollout(50, 50, sticky({ principal: true })));
    const arms = new Map<string, string | undefined>();
    for (let i = 0; i < 20; i++) {
      const peer = { uriSans: [`spiffe://cluster.local/ns/prod/sa/w${i}`] };
      arms.set(peer.uriSans[0]!, await routeOf(filter, { peer }));
      expect(await routeOf(filter, { peer })).toBe(arms.get(peer.uriSans[0]!));
    }
    expect(new Set(arms.values()).size).toBe(2);
    expect(unkeyed(filter)).toBe(0);
    expect(await routeOf(filter)).toBe(ROUTE);
    expect(unkeyed(filter)).toBe(1);
  });

  it("takes its key from the source address, whatever the port", async () => {
    const filter = await load(rollout(50, 50, sticky({ sourceIP: true })));
    const routes = new Set<string | undefined>();
    for (let i = 1; i < 20; i++) {
      const first = await routeOf(filter, { peer: { address: `10.0.0.${i}`, port: 1000 } });
      routes.add(first);
      expect(await routeOf(filter, { peer: { address: `10.0.0.${i}`, port: 2000 + i } })).toBe(first);
    }
    expect(routes.size).toBe(2);
  });

  it("tries its keys in order, and passes over those that a request has not, has empty, or has twice", async () => {
    const filter = await load(rollout(50, 50, sticky({ header: "x-user" }, { cookie: "session" })));
    const cookie = `session=${CANARY_KEY}`;
    expect(await routeOf(filter, { headers: { "x-user": STABLE_KEY, cookie } })).toBe(ROUTE);
    expect(await routeOf(filter, { headers: { cookie } })).toBe(`${ROUTE}/v2`);
    expect(await routeOf(filter, { headers: { "x-user": "", cookie } })).toBe(`${ROUTE}/v2`);
    expect(await routeOf(filter, { headers: { "x-user": [STABLE_KEY, STABLE_KEY], cookie } })).toBe(`${ROUTE}/v2`);
    expect(unkeyed(filter)).toBe(0);
  });

  it("leaves a request without any key on the stable arm, and counts it", async () => {
    const filter = await load(rollout(0, 1, sticky({ header: "x-user" })));
    expect(await routeOf(filter)).toBe(ROUTE);
    expect(unkeyed(filter)).toBe(1);
    expect(counted(filter, "v1")).toBe(1);
  });

  it("salts with the rollout's id, else its route, unless told", async () => {
    const arms = async (more: Rollout): Promise<string> => {
      const filter = await load(rollout(50, 50, more));
      let text = "";
      for (let i = 0; i < 24; i++) text += (await routeOf(filter, { headers: { "x-user": `u${i}` } })) === ROUTE ? "1" : "2";
      return text;
    };
    const keys = [{ header: "x-user" }];
    const byRoute = await arms({ stickiness: { keys } });
    expect(await arms({ stickiness: { salt: ROUTE, keys } })).toBe(byRoute);
    const byId = await arms({ id: "other", stickiness: { keys } });
    expect(await arms({ stickiness: { salt: "other", keys } })).toBe(byId);
    expect(byId).not.toBe(byRoute);
  });
});

describe("a proxy that refuses", () => {
  it.each(["proxy_set_property", "proxy_call_foreign_function", "proxy_get_property", "proxy_get_header_map_pairs"])("%s leaves requests on the stable arm", async (hostCall) => {
    const filter = await load(rollout(0, 1, sticky({ header: "x-user" })));
    filter.inject({ kind: "status", hostCall, status: "InternalFailure" });
    for (let i = 0; i < 3; i++) expect(await routeOf(filter, { headers: { "x-user": "a" } })).toBe(ROUTE);
    expect(filter.status.state).toBe("running");
    expect(counted(filter, "v2")).toBe(0);
    filter.clearFaults();
    expect(await routeOf(filter, { headers: { "x-user": "a" } })).toBe(`${ROUTE}/v2`);
  });

  it("says so once, not with each request", async () => {
    const filter = await load(rollout(0, 1));
    filter.inject({ kind: "status", hostCall: "proxy_call_foreign_function", status: "NotFound" });
    for (let i = 0; i < 5; i++) await send(filter);
    expect(filter.logs.filter(({ message }) => message.includes("stay on the stable arm"))).toHaveLength(1);
  });

  it("to clear the route cache leaves no arm behind that a later filter could bring into force", async () => {
    const filter = await load(rollout(0, 1));
    filter.inject({ kind: "status", hostCall: "proxy_call_foreign_function", status: "NotFound" });
    expect((await send(filter)).filterState).toEqual({ "wasm.selvedge_arm": "v1" });
  });

  it.each(["proxy_define_metric", "proxy_increment_metric"])("%s still gets its requests routed", async (hostCall) => {
    const filter = await load(rollout(0, 1));
    filter.inject({ kind: "status", hostCall, status: "InternalFailure" });
    expect(await routeOf(filter)).toBe(`${ROUTE}/v2`);
  });
});

describe("hostile requests", () => {
  it.each([
    ["200 headers", { headers: Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-${i}`, "v".repeat(i)])) }],
    ["a header of 60 KB", { headers: { "x-user": "u".repeat(60 * 1024) } }],
    ["cookies of 60 KB", { headers: { cookie: "a=b;".repeat(15 * 1024) } }],
    ["only separators for cookies", { headers: { cookie: "=;".repeat(1000) } }],
    ["no :authority", { authority: "" }],
    ["bytes that aren't UTF-8", { path: "/\xff\xfe", headers: { "x-user": "\xff\xc0" } }],
  ])("%s don't trap", async (_, request) => {
    const filter = await load(rollout(50, 50, sticky({ cookie: "session" }, { header: "x-user" }, { sourceIP: true })));
    expect([ROUTE, `${ROUTE}/v2`]).toContain(await routeOf(filter, request));
    expect(filter.status.state).toBe("running");
  });

  it("leave memory where it was", async () => {
    const filter = await load(rollout(50, 50, sticky({ header: "x-user" })));
    const headers = { "x-user": "u".repeat(20_000), "x-other": "o".repeat(50_000) };
    for (let i = 0; i < 20; i++) await send(filter, { headers });
    const before = filter.memoryBytes();
    for (let i = 0; i < 500; i++) await send(filter, { headers });
    expect(filter.memoryBytes()).toBe(before);
  });
});

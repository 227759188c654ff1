import wabt from "wabt";
import { existsSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../../harness/errors.ts";
import { loadFilter, type Filter, type RouteFunction, type StreamOptions } from "../../harness/host/index.ts";
import { CANARY, IDENTITY_KEY, RULE } from "./envoy-config.ts";
import { edgeConfig } from "./plugins.ts";
import { CALLER_ID, PATH, requestHeaders } from "./requests.ts";
import { summarize, type Summary } from "./statistics.ts";

/** How often the Node host does something, in times per second of CPU. */
export interface HostRate {
  id: string;
  what: string;
  perSecond: Summary;
  /** What the project set itself as a limit. */
  atLeast?: number;
  verdict?: "pass" | "falls short";
}

/** What one round does so often. */
interface Subject extends Pick<HostRate, "id" | "what" | "atLeast"> {
  times: number;
  round: () => void | Promise<void>;
}

const ONE_HEADER = `(module
  (import "env" "proxy_get_header_map_value" (func $get (param i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) ":path")
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 65536))
  (func (export "nothing"))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4))) (i32.const 0))
  (func (export "proxy_on_response_headers") (param i32 i32 i32) (result i32) (i32.const 0))
  (func (export "proxy_on_log") (param i32))
  (func (export "proxy_on_done") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_delete") (param i32)))`;

const RESPONSE: [string, string][] = [
  [":status", "200"], ["content-type", "application/json"], ["server", "reviews"], ["date", "Sat, 21 Nov 2026 08:00:00 GMT"], ["x-envoy-upstream-service-time", "3"],
];

async function oneHeaderModule(): Promise<Uint8Array> {
  const { parseWat } = await wabt();
  const module = parseWat("one-header.wat", ONE_HEADER);
  try {
    return module.toBinary({}).buffer;
  } finally {
    module.destroy();
  }
}

/** A stream's whole life: created, request, response (13 and 5 headers), logged, done, deleted. */
function lifecycles(filter: Filter, count: number, options: StreamOptions): void {
  const users = 16;
  const requests = Array.from({ length: users }, (_, user) => requestHeaders(`user-${user}`));
  for (let i = 0; i < count; i++) {
    const stream = filter.stream(options);
    const { action } = stream.requestSync({ headers: requests[i % users]! });
    if (action !== "continue") fail("bench-host", `the filter answered a request of the bench itself: ${action}`);
    stream.responseSync({ headers: RESPONSE });
  }
}

/** What the machine itself can do: the same in every version of the host. */
function emptyCalls(code: Uint8Array, count: number): void {
  const { nothing } = new WebAssembly.Instance(new WebAssembly.Module(code), { env: { proxy_get_header_map_value: () => 0 } }).exports as { nothing: () => void };
  for (let i = 0; i < count; i++) nothing();
}

async function subjects(dist: string): Promise<Subject[]> {
  const code = await oneHeaderModule();
  const filter = (await loadFilter(code, { name: "one-header" })).requireRunning();
  const list: Subject[] = [
    { id: "host/call", what: "calls of an empty exported function (the machine's measure)", times: 2_000_000, round: () => emptyCalls(code, 2_000_000) },
    { id: "host/header", what: "lifecycles of a filter that reads one header", atLeast: 100_000, times: 20_000, round: () => lifecycles(filter, 20_000, {}) },
    { id: "host/http", what: "the same as whole exchanges, filter.http()", times: 4_000, round: () => exchanges(filter, 4_000) },
  ];
  const path = join(dist, "edge.wasm");
  if (!existsSync(path)) return list;
  const edge = (await loadFilter(path, { rootId: "edge", config: edgeConfig(10) as never })).requireRunning();
  const routes: RouteFunction = (_, state) => (state["wasm.selvedge_arm"] === CANARY ? `${RULE}/${CANARY}` : RULE);
  const options: StreamOptions = { routes, filterState: { [IDENTITY_KEY]: CALLER_ID } };
  return [...list, { id: "host/edge", what: "lifecycles of edge.wasm with 10 policies", atLeast: 30_000, times: 10_000, round: () => lifecycles(edge, 10_000, options) }];
}

async function exchanges(filter: Filter, count: number): Promise<void> {
  const headers = requestHeaders("user-1").slice(4);
  for (let i = 0; i < count; i++) {
    const { status } = await filter.http({ path: PATH, headers }, { upstream: { status: 200, headers: RESPONSE } });
    if (status !== 200) fail("bench-host", `an exchange of the bench itself was answered with ${status}`);
  }
}

/** Seconds of CPU, this process's. */
function cpuSeconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1e6;
}

/** Measures the host, subjects in turn in every round, the first round (the engine's warming up) left out. */
export async function measureHost(dist: string, rounds: number): Promise<HostRate[]> {
  const all = await subjects(dist);
  const rates = new Map<string, number[]>(all.map(({ id }) => [id, []]));
  for (let round = 0; round <= rounds; round++) {
    for (const { id, times, round: run } of all) {
      const start = cpuSeconds();
      await run();
      if (round > 0) rates.get(id)!.push(times / (cpuSeconds() - start));
    }
  }
  return all.map(({ id, what, atLeast }) => {
    const perSecond = summarize(rates.get(id)!);
    return { id, what, perSecond, ...(atLeast !== undefined && { atLeast, verdict: perSecond.median >= atLeast ? ("pass" as const) : ("falls short" as const) }) };
  });
}

import { Connection, FakeClock, Host, loadFilter, type Filter, type UpstreamInit } from "../../harness/host/index.ts";
import { comparableHeaders, NO_ANSWER, observe, parseLine, type Observations, type Scenario, type ScenarioRequest } from "./scenario.ts";

/** What the clusters of the Envoy configuration answer, for callouts on the host. */
const clusters: Record<string, UpstreamInit> = {
  callee: {
    http: (call) => {
      const path = call.headers.find(([name]) => name === ":path")?.[1] ?? "";
      if (path === "/slow") return "timeout";
      if (path === "/reset") return { fail: "reset" };
      const length = call.headers.find(([name]) => name === "content-length")?.[1] ?? "none";
      return { status: 200, headers: [["x-callee", "yes"], ["x-length", length]], body: `answer to ${path}: ${Buffer.from(call.body).toString()}`, delayMs: 5 };
    },
  },
  nobody: { http: "connectionFailure", grpc: "connectionFailure" },
  grpc: {
    grpc: (call) => (call.method === "Slow" ? "timeout" : call.method === "Fail" ? { status: 5, statusMessage: "not here" } : { message: Buffer.from(`pong ${Buffer.from(call.message!).toString()}`), delayMs: 5 }),
    grpcStream: (_call, peer) => {
      peer.sendInitialMetadata({ "x-init": "1" });
      return {
        onMessage: (message, end) => {
          peer.send(message);
          if (end) {
            peer.sendTrailingMetadata({ "x-trail": "2", "grpc-status": "0" });
            peer.close(0);
          }
        },
      };
    },
  },
};

const routeA = { name: "route-a", cluster: "upstream", virtualHost: "host-a", metadata: { "test.route": { owner: "probe", weight: 2, deep: { list: [1, "two", true] } } } };
const routeB = { name: "route-b", cluster: "upstream", virtualHost: "host-a" };

/** Both ends of every connection. */
const ends = { source: { address: "127.0.0.1", port: 40000 }, destination: { address: "127.0.0.1", port: 10000 } };

/** Runs scenarios on the host, with Envoy's topology: base, canary, main thread and workers. */
export async function runOnHost(scenarios: readonly Scenario[], modules: ReadonlyMap<string, Uint8Array>, workers = 1): Promise<Map<string, Observations>> {
  const results = new Map<string, Observations>();
  const host = new Host({ topology: "envoy", workers, clusters, clock: new FakeClock(), node: { id: "node-1", cluster: "cluster-1", metadata: { key: "value", n: 3 }, locality: { region: "r1", zone: "z1" } } });
  const filters = new Map<string, Filter>();
  for (const scenario of scenarios) {
    results.set(scenario.id, new Map());
    filters.set(scenario.id, await load(scenario, modules, host));
  }
  for (const scenario of scenarios) {
    const observations = results.get(scenario.id)!;
    const filter = filters.get(scenario.id)!;
    const connection = scenario.oneConnection ? new Connection(ends) : undefined;
    for (const [index, request] of (scenario.requests ?? []).entries()) {
      filter.tick(request.waitMs ?? 0);
      await exchange(filter, scenario, request, index, observations, connection);
    }
    filter.tick(scenario.afterMs ?? 0);
  }
  for (const filter of filters.values()) filter.close();
  for (const entry of host.logs) {
    const line = parseLine(entry.message);
    if (line !== undefined) observe(results.get(entry.plugin) ?? results.get(line.name.split(".")[0]!)!, line.name, line.value);
  }
  return results;
}

function load(scenario: Scenario, modules: ReadonlyMap<string, Uint8Array>, host: Host<FakeClock>): Promise<Filter> {
  return loadFilter(modules.get(scenario.probe ?? scenario.id)!, {
    host,
    name: scenario.id,
    rootId: scenario.id,
    vmId: scenario.sharesVmWith ?? scenario.id,
    config: scenario.config,
    vmConfig: scenario.vmConfig,
    environment: scenario.environment,
    capabilities: scenario.capabilities,
    failurePolicy: scenario.failurePolicy,
    failOpen: scenario.failOpen,
    allowHeadersStopIteration: scenario.allowHeadersStopIteration,
    reloadBackoffMs: 100,
    listener: { direction: 1, metadata: { "test.listener": { side: "edge" } } },
  });
}

async function exchange(filter: Filter, scenario: Scenario, request: ScenarioRequest, index: number, observations: Observations, connection?: Connection): Promise<void> {
  const response = request.response ?? {};
  const outcome = await filter.http(
    {
      method: request.method ?? "GET",
      path: request.path,
      authority: "probe.test",
      headers: [...(request.headers ?? []), ["x-case", `${scenario.id}/${index}`]],
      body: request.body,
      trailers: request.trailers,
    },
    {
      upstream: response.reset ? "reset" : { ...response, status: response.status ?? 200 },
      giveUpMs: request.giveUpMs ?? 5000,
      stream: {
        proxyHeaders: true,
        bufferLimit: scenario.bufferLimit,
        ...ends,
        connection,
        routes: (headers) => (!headers[":path"]?.startsWith("/") ? undefined : headers["x-route"] === "b" ? routeB : routeA),
        upstream: { address: "127.0.0.1", port: 20000 },
      },
    },
  );
  if (outcome.upstream?.complete) observe(observations, `upstream.${index}`, `${comparableHeaders(outcome.upstream.headers)} | ${outcome.upstream.body} | ${comparableHeaders(outcome.upstream.trailers ?? [])}`);
  if (outcome.action === "paused" || outcome.action === "reset") observe(observations, `client.${index}`, NO_ANSWER);
  else observe(observations, `client.${index}`, `${outcome.status} | ${comparableHeaders(outcome.headers)} | ${outcome.body} | ${comparableHeaders(outcome.trailers ?? [])}`);
}

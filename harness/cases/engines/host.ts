/** Runs cases on the Proxy-Wasm host: no proxy, no network, time that only moves when it is told to. */
import { readFile } from "node:fs/promises";
import { Symbolizer } from "../../build/symbolize.ts";
import type { Counted, Coverage } from "../../coverage/index.ts";
import { DEFAULT_EPOCH_MS, FakeClock, loadFilter, type ExchangeOutcome, type Filter, type FilterOptions, type PropertyInit, type StreamOptions } from "../../host/index.ts";
import { PEER_KEY } from "../../compose/emit/listener.ts";
import type { Engine } from "../engine.ts";
import { planRequest, type CaseObservation, type CasePlan, type Exchange, type HeaderPairs, type MetricChange, type RequestPlan, type StepObservation, type StepPlan, type UpstreamPlan } from "../plan.ts";

/** Filter state with the address of the physical peer. */
export const DIRECT_KEY = "selvedge.direct_address";
/** Where requests that no route of a case's own names go. */
export const CLUSTER = "upstream";
const ARM_STATE = "wasm.selvedge_arm";

export interface HostEngineOptions {
  /** Counts which lines of the modules' sources are run. */
  coverage?: Coverage;
}

export function hostEngine({ coverage }: HostEngineOptions = {}): Engine {
  const modules = new Map<string, Promise<Uint8Array>>();
  return {
    name: "host",
    prepare: () => Promise.resolve(),
    run: async (plan) => {
      if (coverage !== undefined) return runCounted(plan, coverage.count(plan.module));
      if (!modules.has(plan.module)) modules.set(plan.module, readFile(plan.module));
      const code = await modules.get(plan.module)!;
      return runCase(plan, code, { symbols: new Symbolizer(code, plan.module) });
    },
    close: () => Promise.resolve(),
  };
}

/** A case that fails counts too: what has run has run. */
async function runCounted(plan: CasePlan, { code, finish, ...options }: Counted): Promise<CaseObservation> {
  try {
    return await runCase(plan, code, options);
  } finally {
    finish();
  }
}

async function runCase(plan: CasePlan, code: Uint8Array, options: Pick<FilterOptions, "symbols" | "onInstance">): Promise<CaseObservation> {
  // Filters that draw lots seed them with the clock: the same in every run.
  const clock = new FakeClock(DEFAULT_EPOCH_MS);
  const filter = await loadFilter(code, { ...options, name: plan.filter, rootId: plan.rootId, config: plan.config, clock });
  if (filter.status.state === "rejected") return { configurationError: filter.status.reason ?? "no reason given", ...trapOf(filter), steps: [] };
  const steps: StepObservation[] = [];
  for (const step of plan.steps) steps.push(await runStep(plan, step, filter));
  const trap = trapOf(filter);
  filter.close();
  return { ...trap, steps };
}

function trapOf(filter: Filter): Pick<CaseObservation, "trap"> {
  const { trap } = filter.status;
  return trap === undefined ? {} : { trap: trap.message };
}

async function runStep(plan: CasePlan, step: StepPlan, filter: Filter): Promise<StepObservation> {
  const before = snapshot(filter);
  const logged = filter.logs.length;
  if (step.waitMs > 0) filter.tick(step.waitMs);
  const exchanges: Exchange[] = [];
  let timeMs = 0;
  for (let n = 0; step.request !== undefined && n < step.repeat; n++) {
    const request = planRequest(step.request, n);
    const outcome = await send(plan, request, step.upstream, filter);
    timeMs += outcome.elapsedMs;
    exchanges.push(exchangeOf(request, outcome));
  }
  const logs = filter.logs.slice(logged).filter(({ from }) => from === "wasm").map(({ message }) => message);
  return { exchanges, metrics: changes(before, snapshot(filter)), logs, timeMs };
}

function send(plan: CasePlan, request: RequestPlan, upstream: UpstreamPlan, filter: Filter): Promise<ExchangeOutcome> {
  const { method, path, host, body, trailers, peer, source, tls } = request;
  const subject = peer && { subject: SUBJECT };
  return filter.http(
    {
      method,
      path,
      authority: host,
      scheme: tls ? "https" : "http",
      headers: throughProxy(request),
      ...(body.length > 0 && { body }),
      ...(trailers.length > 0 && { trailers }),
      peer: { address: source, port: 40_000, uriSans: peer?.uriSans ?? [], ...subject },
    },
    {
      upstream: upstream.reset
        ? "reset"
        : { status: upstream.status, headers: upstream.headers, delayMs: upstream.delayMs, ...(upstream.body.length > 0 && method !== "HEAD" && { body: upstream.body }) },
      stream: streamOptions(plan, request),
    },
  );
}

/** Subject of every client certificate. */
export const SUBJECT = "CN=client";

function streamOptions(plan: CasePlan, { tls, sni, peer, direct, destination, route, metadata, properties }: RequestPlan): StreamOptions {
  const arms = (route !== null && plan.routes[route]?.arms) || [];
  return {
    routes: (_, state) => {
      if (route === null) return undefined;
      const arm = state[ARM_STATE];
      return { name: arm !== undefined && arms.includes(arm) ? `${route}/${arm}` : route, cluster: CLUSTER };
    },
    tls: tls ? { serverName: sni ?? "" } : false,
    ...(destination && { destination }),
    ...(metadata && { metadata: metadata as NonNullable<StreamOptions["metadata"]> }),
    filterState: { [DIRECT_KEY]: direct, ...(tls && { [PEER_KEY]: peer?.uriSans.join(",") || "-" }) },
    properties: properties as Record<string, PropertyInit>,
  };
}

/** What Envoy's connection manager makes of a client's headers, set up as compose does it: it says itself where a request comes from. */
function throughProxy({ headers, source, tls }: RequestPlan): HeaderPairs {
  const forwarded = [...headers.filter(([name]) => name === "x-forwarded-for").map(([, value]) => value), source.toLowerCase()];
  return [
    ...headers.filter(([name]) => name !== "x-forwarded-for" && name !== "x-forwarded-proto" && name !== "x-envoy-external-address"),
    ["x-forwarded-for", forwarded.join(",")],
    ["x-forwarded-proto", tls ? "https" : "http"],
    ["x-envoy-external-address", source.toLowerCase()],
  ];
}

function exchangeOf(request: RequestPlan, outcome: ExchangeOutcome): Exchange {
  const { upstream } = outcome;
  const regular = (pairs: readonly [string, string][]): HeaderPairs => pairs.filter(([name]) => !name.startsWith(":")).map(([name, value]) => [name, value]);
  return {
    status: outcome.status,
    headers: regular(outcome.headers),
    body: outcome.body,
    details: outcome.localReply?.details,
    route: request.route === null ? undefined : outcome.route,
    upstream: upstream && { method: upstream.header(":method") ?? "", path: upstream.header(":path") ?? "", headers: regular(upstream.headers), body: upstream.body },
  };
}

type Snapshot = Map<string, { kind: MetricChange["kind"]; name: string; value: number; count: number; samples: readonly number[] }>;

function snapshot(filter: Filter): Snapshot {
  const all: Snapshot = new Map();
  for (const { name, metric } of filter.host.stats.all()) {
    if (metric.kind === "histogram") all.set(name, { kind: metric.kind, name, value: metric.count, count: metric.count, samples: [...metric.samples] });
    else all.set(name, { kind: metric.kind, name, value: Number(metric.cell[0]), count: Number(metric.cell[0]), samples: [] });
  }
  return all;
}

function changes(before: Snapshot, after: Snapshot): MetricChange[] {
  return [...after.values()].flatMap(({ kind, name, value, samples }) => {
    const old = before.get(name);
    const delta = value - (old?.value ?? 0);
    if (delta === 0) return [];
    return [{ kind, name, delta, value, values: samples.slice(old?.samples.length ?? 0).map((sample): [number, number] => [sample, sample]) }];
  });
}

/** Runs cases on the Proxy-Wasm host: no proxy, no network, time that only moves when it is told to. */
import { readFileSync } from "node:fs";
import { Symbolizer, type Symbols } from "../../build/symbolize.ts";
import type { Counted, Coverage } from "../../coverage/index.ts";
import { DEFAULT_EPOCH_MS, FakeClock, loadFilter, type Filter, type FilterOptions, type LogEntry } from "../../host/index.ts";
import { WasmModule } from "../../host/module.ts";
import type { Engine } from "../engine.ts";
import { planConnection, planRequest, type CaseObservation, type CasePlan, type ConnectionSeen, type Exchange, type MetricChange, type StepObservation, type StepPlan } from "../plan.ts";
import type { CallAnswerSpec } from "../schema-calls.ts";
import { Stubs } from "../stubs.ts";
import { HostCallouts } from "./host/callouts.ts";
import { connect } from "./host/connection.ts";
import { exchange } from "./host/exchange.ts";

export interface HostEngineOptions {
  /** Counts which lines of the modules' sources are run. */
  coverage?: Coverage;
}

export function hostEngine({ coverage }: HostEngineOptions = {}): Engine {
  // Compiled once; each case has VMs of its own.
  const modules = new Map<string, WasmModule>();
  const moduleOf = ({ module: file, filter }: CasePlan, load: () => { code: Uint8Array; symbols: Symbols }): WasmModule => {
    const key = JSON.stringify([file, filter]);
    let module = modules.get(key);
    if (module === undefined) {
      const { code, symbols } = load();
      modules.set(key, (module = WasmModule.load(code, { name: filter, symbols })));
    }
    return module;
  };
  return {
    name: "host",
    prepare: () => Promise.resolve(),
    run: async (plan) => {
      if (coverage === undefined) return runCase(plan, moduleOf(plan, () => readModule(plan.module)));
      const counted = coverage.count(plan.module);
      return runCounted(plan, moduleOf(plan, () => counted), counted);
    },
    close: () => Promise.resolve(),
  };
}

function readModule(file: string): { code: Uint8Array; symbols: Symbols } {
  const code = readFileSync(file);
  return { code, symbols: new Symbolizer(code, file) };
}

/** A case that fails counts too: what has run has run. */
async function runCounted(plan: CasePlan, module: WasmModule, { finish, onInstance }: Counted): Promise<CaseObservation> {
  try {
    return await runCase(plan, module, onInstance);
  } finally {
    finish();
  }
}

async function runCase(plan: CasePlan, module: WasmModule, onInstance?: FilterOptions["onInstance"]): Promise<CaseObservation> {
  // Filters that draw lots seed them with the clock: the same in every run.
  const clock = new FakeClock(DEFAULT_EPOCH_MS);
  const callouts = new HostCallouts();
  const given = new Set<CallAnswerSpec>();
  callouts.stubs = new Stubs(plan.steps[0]?.clusters ?? {}, given);
  const filter = await loadFilter(module.code, { compiled: module, ...(onInstance && { onInstance }), name: plan.filter, rootId: plan.rootId, config: plan.config, clock, clusters: callouts.clusters(plan) });
  if (filter.status.state === "rejected") return { configurationError: filter.status.reason ?? "no reason given", ...trapOf(filter), steps: [] };
  const steps: StepObservation[] = [];
  for (const step of plan.steps) {
    callouts.stubs = new Stubs(step.clusters, given);
    steps.push(await runStep(plan, step, filter, clock, callouts));
  }
  const trap = trapOf(filter);
  filter.close();
  return { ...trap, ...remarksOf(filter), steps };
}

function remarksOf(filter: Filter): Pick<CaseObservation, "remarks" | "crash"> {
  const own = (level: LogEntry["level"]): string[] => filter.logs.filter((entry) => entry.from === "host" && entry.level === level).map(({ message }) => message);
  const crash = own("critical")[0];
  return { remarks: [...new Set(own("warn"))], ...(crash !== undefined && { crash }) };
}

function trapOf(filter: Filter): Pick<CaseObservation, "trap"> {
  const { trap } = filter.status;
  return trap === undefined ? {} : { trap: trap.message };
}

async function runStep(plan: CasePlan, step: StepPlan, filter: Filter, clock: FakeClock, callouts: HostCallouts): Promise<StepObservation> {
  const before = snapshot(filter);
  const logged = filter.logs.length;
  if (step.waitMs > 0) filter.tick(step.waitMs);
  const exchanges: Exchange[] = [];
  let timeMs = 0;
  for (let n = 0; step.request !== undefined && n < step.repeat; n++) {
    const outcome = await exchange(plan, planRequest(step.request, n), step.upstream, filter, clock);
    timeMs += outcome.elapsedMs;
    exchanges.push(outcome.exchange);
  }
  const connections: ConnectionSeen[] = [];
  for (let n = 0; step.connection !== undefined && n < step.repeat; n++) {
    const outcome = await connect(planConnection(step.connection, n), step.script, filter, clock);
    timeMs += outcome.elapsedMs;
    connections.push(outcome.connection);
  }
  const logs = filter.logs.slice(logged).filter(({ from }) => from === "wasm").map(({ message }) => message);
  return { exchanges, connections, calls: callouts.take(), metrics: changes(before, snapshot(filter)), logs, timeMs };
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

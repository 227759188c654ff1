/** The scenario on a running node: send the traffic, read back what Envoy says of it, hold it against what is expected. */
import { statSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import type { RunningEnvoy } from "../envoy/index.ts";
import { DECISION_STATS, decisionsBetween, type Decision } from "./decisions.ts";
import { Driver, type EntryResult } from "./driver.ts";
import { processUsage } from "./footprint.ts";
import type { CanaryTraffic, Scenario, TrafficModel } from "./model.ts";
import { observedEdges, totals } from "./observe.ts";
import type { Prepared } from "./prepare.ts";
import type { Progress } from "./progress.ts";
import { canaryRow, runResult, telemetryResult, trafficRow, type RunResult, type TelemetryResult } from "./result.ts";

/** Envoy merges its histograms every 5 s. */
const METRICS_TIMEOUT_MS = 15_000;
const POLL_MS = 200;

export interface Play {
  dir: string;
  prepared: Prepared & { scenario: Scenario; authority: string };
  running: RunningEnvoy;
  progress: Progress;
  signal: AbortSignal;
}

interface Entry {
  traffic: TrafficModel;
  result: EntryResult;
  decisions: Decision[];
}

export async function play({ dir, prepared, running, progress, signal }: Play): Promise<RunResult> {
  const { scenario, composition, envoy } = prepared;
  // In the host engine's process runs everything else of this too: what it costs says nothing.
  const usage = (): ReturnType<typeof processUsage> => (envoy ? processUsage(running.pid) : undefined);
  const before = usage();
  const entries = await sendAll({ dir, prepared, running, progress, signal });
  const after = usage();
  const answered = entries.reduce((total, { result }) => total + answers(result), 0);

  progress.step(`Reading the metrics back from ${envoy ? "Envoy" : "the host engine"}`);
  const telemetry = countsRequests(prepared) ? await readTelemetry(running, answered, signal) : undefined;
  const refused = entries.reduce((total, { result }) => total + result.outcomes.refuse, 0);
  const modules = new Map(composition.plugins.map(({ kind, module }) => [`${kind}.wasm`, module]));
  return runResult({
    folder: dir,
    scenario: scenario.name,
    engine: envoy ? "envoy" : "host",
    ...(envoy && { envoy: { version: envoy.version } }),
    traffic: entries.map(({ traffic, result, decisions }) => trafficRow(traffic, result, decisions)),
    canaries: entries.flatMap(({ traffic, result }) => (isCanary(traffic) ? [canaryRow(traffic, result)] : [])),
    ...(telemetry && { telemetry }),
    ...(refused > 0 && { refusals: { seen: refused, counted: await countRefusals(running) } }),
    footprint: {
      modules: [...modules].map(([name, file]) => ({ name, bytes: statSync(file).size })),
      ...(after && { residentBytes: after.residentBytes }),
      ...(before && after && answered > 0 && { cpuPerRequest: ((after.cpuSeconds - before.cpuSeconds) * 1e6) / answered }),
    },
  });
}

/** One entry after the other: what the counters of decisions gain meanwhile is that entry's. */
async function sendAll({ prepared: { scenario, authority }, running, progress, signal }: Play): Promise<Entry[]> {
  const all = scenario.traffic.reduce((total, { count }) => total + count, 0);
  const readDecisions = (): Promise<Map<string, number>> => running.admin.stats(DECISION_STATS);
  progress.step(`Sending ${all} requests as ${scenario.workloads.length} workloads`);
  const driver = new Driver(scenario, authority);
  const entries: Entry[] = [];
  let sent = 0;
  try {
    let before = await readDecisions();
    for (const traffic of scenario.traffic) {
      const result = await driver.send(traffic, signal, () => progress.update(`Sending requests: ${++sent} of ${all}`));
      signal.throwIfAborted();
      const after = await readDecisions();
      entries.push({ traffic, result, decisions: decisionsBetween(before, after) });
      before = after;
    }
  } finally {
    driver.close();
  }
  return entries;
}

/** Requests that Envoy answered, whatever the answer; the others never were requests to it. */
function answers({ outcomes, failures }: EntryResult): number {
  const failed = [...failures].reduce((total, [name, count]) => total + (name.startsWith("status ") ? count : 0), 0);
  return outcomes.allow + outcomes.deny + failed;
}

async function readTelemetry(running: RunningEnvoy, answered: number, signal: AbortSignal): Promise<TelemetryResult> {
  const deadline = Date.now() + METRICS_TIMEOUT_MS;
  for (;;) {
    const samples = await running.admin.prometheus("^wasmcustom\\.selvedge_");
    const { requests, durations } = totals(samples);
    if ((requests >= answered && durations >= answered) || Date.now() > deadline || signal.aborted) {
      return telemetryResult(answered, requests, observedEdges(samples));
    }
    await sleep(POLL_MS);
  }
}

/** Connections that Envoy refused because the client showed no certificate. */
async function countRefusals(running: RunningEnvoy): Promise<number> {
  const stats = await running.admin.stats("^listener\\..*ssl\\.fail_verify_no_cert$");
  return [...stats.values()].reduce((total, value) => total + value, 0);
}

function countsRequests({ composition }: Prepared): boolean {
  return composition.plugins.some(({ kind, json }) => kind === "telemetry" || (kind === "edge" && "telemetry" in (JSON.parse(json) as object)));
}

function isCanary(traffic: TrafficModel): traffic is TrafficModel & { canary: CanaryTraffic } {
  return traffic.canary !== undefined;
}

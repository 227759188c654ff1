/** What a run showed, held against what its Scenario expects. Pure: the summary and `--json` print this. */
import { decisionName, type Decision } from "./decisions.ts";
import type { EntryResult } from "./driver.ts";
import type { CanaryTraffic, Outcome, TrafficModel } from "./model.ts";
import type { ObservedEdge } from "./observe.ts";
import { wilson, type Interval } from "./statistics.ts";

export interface TrafficRow {
  /** `namespace/name`; absent where no certificate was shown. */
  from?: string;
  method: string;
  host: string;
  path: string;
  headers: Record<string, string>;
  sent: number;
  outcomes: EntryResult["outcomes"];
  /** Answers that are neither: `status 503`, `ECONNREFUSED`. */
  failures: Record<string, number>;
  /** Who decided, as the authorization filter counted it, the most frequent first. */
  decidedBy: Decision[];
  expect?: Outcome;
  by?: string;
  /** Absent where nothing is expected. */
  problem?: string;
}

export interface ArmRow {
  name: string;
  /** Configured share, 0 to 1. */
  expected: number;
  count: number;
  share: number;
  /** 95 %. */
  interval: Interval;
}

export interface CanaryRow {
  route: string;
  from?: string;
  requests: number;
  /** What is split: users where they stay on an arm, else requests. */
  unit: "users" | "requests";
  units: number;
  /** Users whom more than one arm answered; must be 0 where users stay. */
  moved: number;
  sticky: boolean;
  arms: ArmRow[];
  problem?: string;
}

export interface TelemetryResult {
  /** Requests that Envoy answered, as the driver saw it, and as the telemetry filter counted them. */
  answered: number;
  counted: number;
  edges: ObservedEdge[];
  problem?: string;
}

export interface Footprint {
  modules: { name: string; bytes: number }[];
  residentBytes?: number;
  /** CPU of the Envoy process over the requests, TLS included; microseconds. */
  cpuPerRequest?: number;
}

export interface RunResult {
  folder: string;
  scenario: string;
  engine: "envoy" | "host";
  /** Absent where the host engine served. */
  envoy?: { version: string };
  traffic: TrafficRow[];
  canaries: CanaryRow[];
  telemetry?: TelemetryResult;
  /** Connections without a certificate that were refused: as the driver saw it, and as Envoy counted them. */
  refusals?: { seen: number; counted: number };
  footprint: Footprint;
  /** Every expectation that failed, in a sentence. */
  problems: string[];
  ok: boolean;
}

export function trafficRow(traffic: TrafficModel, result: EntryResult, decisions: readonly Decision[]): TrafficRow {
  const row: TrafficRow = {
    ...(traffic.from && { from: traffic.from.id }),
    method: traffic.method,
    host: traffic.host,
    path: traffic.path,
    headers: traffic.headers,
    sent: result.sent,
    outcomes: { ...result.outcomes },
    failures: Object.fromEntries(result.failures),
    decidedBy: [...decisions],
    ...(traffic.expect && { expect: traffic.expect }),
    ...(traffic.by !== undefined && { by: traffic.by }),
  };
  const problem = problemOf(row);
  return problem === undefined ? row : { ...row, problem };
}

const OUTCOMES: Record<Outcome | "fail", string> = { allow: "allowed", deny: "denied", refuse: "refused", fail: "failed" };

function problemOf({ expect, by, sent, outcomes, failures, decidedBy }: TrafficRow): string | undefined {
  if (expect !== undefined && outcomes[expect] !== sent) {
    const others = (Object.keys(OUTCOMES) as (Outcome | "fail")[]).filter((each) => each !== expect && outcomes[each] > 0);
    const seen = others.map((each) => `${outcomes[each]} ${OUTCOMES[each]}${each === "fail" ? ` (${Object.keys(failures).join(", ")})` : ""}`);
    return `expected all ${sent} ${OUTCOMES[expect]}, got ${seen.join(", ") || "nothing"}`;
  }
  if (by === undefined) return undefined;
  const wrong = decidedBy.filter((decision) => decision.policy !== by && decisionName(decision) !== by);
  if (wrong.length > 0) return `expected ${by} to decide, got ${wrong.map(decisionName).join(", ")}`;
  const decided = decidedBy.reduce((total, { count }) => total + count, 0);
  return decided === sent ? undefined : `expected ${by} to decide on all ${sent}, but the filter counted ${decided}`;
}

export function canaryRow(traffic: TrafficModel & { canary: CanaryTraffic }, result: EntryResult): CanaryRow {
  const { arms, sticky, route } = traffic.canary;
  const stayed = [...result.users.values()].filter((backends) => backends.size === 1);
  const moved = result.users.size - stayed.length;
  const count = (backend: string): number => (sticky ? stayed.filter((backends) => backends.has(backend)).length : (result.servedBy.get(backend) ?? 0));
  const units = arms.reduce((total, { backend }) => total + count(backend), 0);
  const weights = arms.reduce((total, { weight }) => total + weight, 0);
  const rows = arms.map(({ name, backend, weight }, index): ArmRow & { fits: boolean } => {
    // Without any weight everything stays on the first arm, the stable one.
    const expected = weights > 0 ? weight / weights : index === 0 ? 1 : 0;
    const inside = wilson(count(backend), units, "0.999");
    return {
      name,
      expected,
      count: count(backend),
      share: units === 0 ? 0 : count(backend) / units,
      interval: wilson(count(backend), units),
      fits: inside.low <= expected && expected <= inside.high,
    };
  });
  const row: CanaryRow = {
    route,
    ...(traffic.from && { from: traffic.from.id }),
    requests: result.sent,
    unit: sticky ? "users" : "requests",
    units,
    moved: sticky ? moved : 0,
    sticky,
    arms: rows.map(({ fits: _, ...arm }) => arm),
  };
  const off = rows.find(({ fits }) => !fits);
  if (units === 0) return { ...row, problem: "no request reached an arm" };
  if (sticky && moved > 0) return { ...row, problem: `${moved} of ${result.users.size} users were moved between arms` };
  if (off) return { ...row, problem: `${off.name} got ${percent(off.share)} where ${percent(off.expected)} is configured, outside the 99.9 % interval` };
  return row;
}

/** How many decisions a canary's traffic makes: one for each user who stays, else one for each request. */
export function canaryUnits({ sticky, users, requestsPerUser }: Pick<CanaryTraffic, "sticky" | "users" | "requestsPerUser">): number {
  return sticky ? users : users * requestsPerUser;
}

/** The fewest decisions from which an arm that gets none of them is off its share beyond chance (99.9 %). */
export function fewestUnits(weights: readonly number[]): number {
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const shares = weights.filter((weight) => weight > 0 && weight < total).map((weight) => weight / total);
  if (shares.length === 0) return 1;
  const smallest = Math.min(...shares);
  let units = 1;
  while (wilson(0, units, "0.999").high >= smallest) units++;
  return units;
}

export function telemetryResult(answered: number, counted: number, edges: ObservedEdge[]): TelemetryResult {
  return { answered, counted, edges, ...(answered !== counted && { problem: `Envoy answered ${answered} requests, its telemetry counted ${counted}` }) };
}

/** With its failed expectations collected. */
export function runResult(parts: Omit<RunResult, "problems" | "ok">): RunResult {
  const problems = [
    ...parts.traffic.flatMap((row) => (row.problem === undefined ? [] : [`${row.from ?? "no certificate"} → ${row.method} ${row.host}${row.path}: ${row.problem}`])),
    ...parts.canaries.flatMap((row) => (row.problem === undefined ? [] : [`canary ${row.route}: ${row.problem}`])),
    ...(parts.telemetry?.problem === undefined ? [] : [parts.telemetry.problem]),
    // A reset connection looks the same whatever the cause; Envoy knows it.
    ...(parts.refusals && parts.refusals.counted < parts.refusals.seen ? [`${parts.refusals.seen} connections were refused, only ${parts.refusals.counted} of them for want of a certificate`] : []),
  ];
  return { ...parts, problems, ok: problems.length === 0 };
}

export function percent(share: number): string {
  return `${(share * 100).toFixed(2)} %`;
}

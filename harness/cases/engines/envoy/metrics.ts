/** A module's metrics as Envoy's admin interface tells them, and what changed between two looks. */
import { fail } from "../../../errors.ts";
import type { AdminClient } from "../../../envoy/index.ts";
import type { MetricChange } from "../../plan.ts";
import { TCP_CLUSTER } from "../common.ts";
import { MARK, STAT_PREFIX, TCP_LISTENERS } from "./config.ts";

/** Histograms show with a delay, and all together: when the marks' has a value, so have the modules' theirs from before. */
const TIMES = `http.${MARK}.downstream_rq_time`;
const ACTIVE = `http.${STAT_PREFIX}.downstream_rq_active`;
/** Connections that came, and that are over. */
const OPENED = `listener.${TCP_LISTENERS}.downstream_cx_total`;
const CLOSED = `listener.${TCP_LISTENERS}.downstream_cx_destroy`;
/** Those that Envoy made to their upstream. */
const CONNECTED = `cluster.${TCP_CLUSTER}.upstream_cx_total`;
/** Listeners that were taken away, and whose plugins may still tick. */
const DRAINING = "listener_manager.total_listeners_draining";
const PREFIX = "wasmcustom.";

interface Bucket {
  lower_bound: number;
  width: number;
  count: number;
}

export interface Snapshot {
  /** How many marks have been counted since Envoy started. */
  marks: number;
  /** Requests under way. */
  active: number;
  /** Connections under way. */
  open: number;
  /** How many connections Envoy made to their upstream since it started. */
  connected: number;
  /** Listeners on their way out. */
  draining: number;
  scalars: Map<string, number>;
  histograms: Map<string, Bucket[]>;
}

export async function snapshot(admin: AdminClient): Promise<Snapshot> {
  const { status, body } = await admin.get(`/stats?format=json&histogram_buckets=detailed&filter=${encodeURIComponent(`^(${PREFIX.replace(".", "\\.")}|(${[TIMES, ACTIVE, OPENED, CLOSED, CONNECTED, DRAINING].join("|").replaceAll(".", "\\.")})$)`)}`);
  if (status !== 200) fail("envoy-admin", `Envoy's admin interface answered ${status} when asked for metrics`, { found: body.slice(0, 200) });
  type Entry = { name?: string; value?: number; histograms?: { details?: { name: string; totals?: Bucket[] }[] } };
  const seen: Snapshot = { marks: 0, active: 0, open: 0, connected: 0, draining: 0, scalars: new Map(), histograms: new Map() };
  for (const { name, value, histograms } of (JSON.parse(body) as { stats: Entry[] }).stats) {
    if (name === ACTIVE) seen.active = value ?? 0;
    else if (name === OPENED) seen.open += value ?? 0;
    else if (name === CLOSED) seen.open -= value ?? 0;
    else if (name === CONNECTED) seen.connected = value ?? 0;
    else if (name === DRAINING) seen.draining = value ?? 0;
    else if (name !== undefined && value !== undefined) seen.scalars.set(name.slice(PREFIX.length), value);
    for (const { name: full, totals = [] } of histograms?.details ?? []) {
      if (full === TIMES) seen.marks = totals.reduce((sum, { count }) => sum + count, 0);
      else seen.histograms.set(full.slice(PREFIX.length), totals);
    }
  }
  return seen;
}

/** Envoy doesn't tell counters from gauges here; only growth is ever asked of both. */
export function changes(before: Snapshot, after: Snapshot): MetricChange[] {
  const scalars = [...after.scalars].flatMap(([name, value]): MetricChange[] => {
    const delta = value - (before.scalars.get(name) ?? 0);
    return delta === 0 ? [] : [{ kind: "counter", name, delta, value, values: [] }];
  });
  const histograms = [...after.histograms].flatMap(([name, buckets]): MetricChange[] => {
    const old = new Map((before.histograms.get(name) ?? []).map(({ lower_bound, count }) => [lower_bound, count]));
    const values = buckets.flatMap(({ lower_bound, width, count }) => Array.from({ length: count - (old.get(lower_bound) ?? 0) }, (): [number, number] => [lower_bound, lower_bound + width]));
    return values.length === 0 ? [] : [{ kind: "histogram", name, delta: values.length, value: values.length, values }];
  });
  return [...scalars, ...histograms];
}

/** Not of another case's plugin, which may tick meanwhile: of this one, or of one that doesn't name itself. */
export const isOf = ({ name }: MetricChange, plugin: string): boolean => (name.match(/\bcase-\d+\b/g) ?? []).every((each) => each === plugin);

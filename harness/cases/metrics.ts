/** Metrics as modules name them: labels as `.label=.value;` behind the name. Pure. */
import type { MetricChange } from "./plan.ts";
import type { MetricSpec } from "./schema.ts";

export interface MetricName {
  name: string;
  labels: Record<string, string>;
}

const LABEL = /\.([A-Za-z_][A-Za-z0-9_]*)=\.(.*?);/gs;

/** `requests.route=.a;.arm=.v2;` → requests, {route: a, arm: v2}. */
export function parseMetricName(full: string): MetricName {
  const labels = Object.fromEntries([...full.matchAll(LABEL)].map(([, name, value]) => [name!, value!]));
  const first = full.search(LABEL);
  return { name: first < 0 ? full : full.slice(0, first), labels };
}

/** Changes of every series that has this name and these labels. */
export function select(changes: readonly MetricChange[], { name, labels = {} }: Pick<MetricSpec, "name" | "labels">): MetricChange[] {
  return changes.filter((change) => {
    const parsed = parseMetricName(change.name);
    return parsed.name === name && Object.entries(labels).every(([label, value]) => parsed.labels[label] === String(value));
  });
}

/** As Prometheus shows it. */
export function showMetric(full: string): string {
  const { name, labels } = parseMetricName(full);
  const inner = Object.entries(labels).map(([label, value]) => `${label}="${value}"`).join(",");
  return inner === "" ? name : `${name}{${inner}}`;
}

/** Does each expected value fall into a range of its own? */
export function valuesMatch(expected: readonly number[], ranges: readonly [number, number][]): boolean {
  if (expected.length !== ranges.length) return false;
  const sorted = [...expected].sort((a, b) => a - b);
  const bounds = [...ranges].sort(([a], [b]) => a - b);
  return sorted.every((value, index) => bounds[index]![0] <= value && value <= bounds[index]![1]);
}

/** Statistics as text: Envoy's names in, what its `/stats` and `/stats/prometheus` print out. Pure but for the store. */
import type { Histogram, StatsStore } from "../../host/stats.ts";
import { compileRegex } from "../router/regex.ts";
import type { NodeConfig } from "../schema/node.ts";
import type { Counters } from "./counters.ts";

type StatsConfig = NodeConfig["stats_config"];

export interface Scalar {
  name: string;
  kind: "counter" | "gauge";
  value: number;
}

export interface Buckets {
  name: string;
  kind: "histogram";
  /** Upper bounds and cumulative counts. */
  buckets: [number, number][];
  count: number;
  sum: number;
}

const WASM = "wasmcustom.";
/** Envoy's default buckets, for histograms that no setting names. */
const DEFAULT_BUCKETS = [0.5, 1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10_000, 30_000, 60_000, 300_000, 600_000, 1_800_000, 3_600_000];
/** Envoy's own tags, as far as the names here have any: what is cut out, and the label that it becomes. */
const OWN_TAGS: [RegExp, string][] = [
  [/^cluster\.((?:[^.]+))\./, "envoy_cluster_name"],
  [/^http\.((?:[^.]+))\./, "envoy_http_conn_manager_prefix"],
  [/^listener\.((?:[0-9]+\.){3}[0-9]+_[0-9]+|[0-9a-f_]+)\./, "envoy_listener_address"],
  [/_rq_(\dxx)$/, "envoy_response_code_class"],
  [/_rq_(\d{3})$/, "envoy_response_code"],
];

export class Statistics {
  readonly #counters: Counters;
  readonly #wasm: StatsStore;
  readonly #tags: { label: string; regex: RegExp }[];
  readonly #excluded: RegExp[];
  readonly #settings: StatsConfig["histogram_bucket_settings"];
  /** Counted by bucket, so that samples needn't be kept. */
  readonly #histograms = new Map<string, { bounds: readonly number[]; counts: number[]; source: Histogram }>();
  readonly #timer: NodeJS.Timeout;

  constructor(config: StatsConfig, counters: Counters, wasm: StatsStore) {
    this.#counters = counters;
    this.#wasm = wasm;
    this.#tags = config.stats_tags.map(({ tag_name, regex }) => ({ label: tag_name, regex: compileRegex(regex).regex! }));
    this.#excluded = config.stats_matcher.exclusion_list.patterns.map(({ safe_regex }) => compileRegex(safe_regex.regex).regex!);
    this.#settings = config.histogram_bucket_settings;
    this.#timer = setInterval(() => this.#merge(), 1000);
    this.#timer.unref();
  }

  close(): void {
    clearInterval(this.#timer);
  }

  /** Everything whose name matches. */
  read(filter?: RegExp): (Scalar | Buckets)[] {
    this.#merge();
    const own = [...this.#counters.entries()].map(([name, value]): Scalar => ({ name, kind: name.endsWith("_active") ? "gauge" : "counter", value }));
    const custom = [...this.#wasm.all()].map(({ name, metric }): Scalar | Buckets => {
      const full = WASM + name;
      if (metric.kind !== "histogram") return { name: full, kind: metric.kind, value: Number(metric.cell[0]) };
      const { bounds, counts } = this.#histograms.get(full)!;
      let total = 0;
      return { name: full, kind: "histogram", buckets: bounds.map((bound, i) => [bound, (total += counts[i]!)]), count: metric.count, sum: metric.sum };
    });
    return [...own, ...custom]
      .filter(({ name }) => !this.#excluded.some((regex) => regex.test(name)) && (filter === undefined || filter.test(name)))
      .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
  }

  /** The Prometheus text format: one TYPE line for each metric, its series together. */
  prometheus(filter?: RegExp): string {
    const families = new Map<string, { kind: string; lines: string[] }>();
    for (const stat of this.read(filter)) {
      const { metric, labels } = this.#tagged(stat.name);
      const family = families.get(metric) ?? { kind: stat.kind, lines: [] };
      families.set(metric, family);
      if (stat.kind !== "histogram") family.lines.push(`${metric}{${labels}} ${stat.value}`);
      else {
        const with_le = (le: string): string => `${labels}${labels === "" ? "" : ","}le="${le}"`;
        family.lines.push(...stat.buckets.map(([bound, count]) => `${metric}_bucket{${with_le(String(bound))}} ${count}`));
        family.lines.push(`${metric}_bucket{${with_le("+Inf")}} ${stat.count}`, `${metric}_sum{${labels}} ${stat.sum}`, `${metric}_count{${labels}} ${stat.count}`);
      }
    }
    return [...families].map(([metric, { kind, lines }]) => `# TYPE ${metric} ${kind}\n${lines.join("\n")}\n`).join("\n");
  }

  #tagged(name: string): { metric: string; labels: string } {
    const labels: [string, string][] = [];
    let rest = name;
    for (const { label, regex } of this.#tags) {
      const [, cut, value] = regex.exec(name) ?? [];
      if (cut === undefined || value === undefined) continue;
      labels.push([label, value]);
      rest = rest.replace(cut, () => "");
    }
    for (const [regex, label] of OWN_TAGS) {
      const found = regex.exec(rest);
      if (!found || rest.startsWith(WASM)) continue;
      labels.push([label, found[1]!]);
      rest = rest.slice(0, found.index) + found[0].replace(label.startsWith("envoy_response") ? `_${found[1]!}` : `.${found[1]!}`, () => "") + rest.slice(found.index + found[0].length);
    }
    const custom = rest.startsWith(WASM);
    const metric = (custom ? rest.slice(WASM.length) : `envoy_${rest}`).replace(/[^a-zA-Z0-9_]/g, "_");
    return { metric, labels: labels.map(([label, value]) => `${label}="${value.replace(/[\\"\n]/g, (char) => (char === "\n" ? "\\n" : `\\${char}`))}"`).join(",") };
  }

  /** Samples become counts, so that they take no memory. */
  #merge(): void {
    for (const { name, metric } of this.#wasm.all()) {
      if (metric.kind !== "histogram") continue;
      const full = WASM + name;
      let merged = this.#histograms.get(full);
      if (!merged) {
        const bounds = this.#settings.find(({ match }) => full.startsWith(match.prefix))?.buckets ?? DEFAULT_BUCKETS;
        this.#histograms.set(full, (merged = { bounds, counts: bounds.map(() => 0), source: metric }));
      }
      for (const sample of metric.samples) {
        const at = merged.bounds.findIndex((bound) => sample <= bound);
        if (at >= 0) merged.counts[at]!++;
      }
      metric.samples.length = 0;
    }
  }
}


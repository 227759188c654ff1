/**
 * The metrics of one host. Like Envoy's stats store it is keyed by name and kind, so that several VMs that define
 * the same metric share it.
 */

/** Samples kept per histogram; count and sum go on beyond it. */
const MAX_SAMPLES = 100_000;

/** A counter or gauge. A one-element typed array: adding to it needs no BigInt allocation. */
export interface Scalar {
  readonly kind: "counter" | "gauge";
  readonly cell: BigUint64Array;
}

export interface Histogram {
  readonly kind: "histogram";
  readonly samples: number[];
  count: number;
  sum: number;
}

export type Metric = Scalar | Histogram;
export type MetricKind = Metric["kind"];

/** What a test sees of a histogram. */
export interface HistogramView {
  count: number;
  sum: number;
  samples: readonly number[];
}

export class StatsStore {
  private readonly metrics = new Map<string, Metric>();

  /** Finds or makes the metric of that kind and name. */
  define(kind: MetricKind, name: string): Metric {
    const key = `${kind}:${name}`;
    let metric = this.metrics.get(key);
    if (metric === undefined) {
      metric = kind === "histogram" ? { kind, samples: [], count: 0, sum: 0 } : { kind, cell: new BigUint64Array(1) };
      this.metrics.set(key, metric);
    }
    return metric;
  }

  find(kind: MetricKind, name: string): Metric | undefined {
    return this.metrics.get(`${kind}:${name}`);
  }

  *all(): Generator<{ name: string; metric: Metric }> {
    for (const [key, metric] of this.metrics) yield { name: key.slice(key.indexOf(":") + 1), metric };
  }
}

export function recordSample(histogram: Histogram, value: number): void {
  histogram.count++;
  histogram.sum += value;
  if (histogram.samples.length < MAX_SAMPLES) histogram.samples.push(value);
}

/**
 * Metrics as a test reads them, by the name that the module gave (Envoy adds `wasmcustom.` in its own stats).
 * @example
 * filter.metrics.counter("requests_total"); // 3
 * filter.metrics.names();
 */
export class MetricsView {
  private readonly store: StatsStore;

  constructor(store: StatsStore) {
    this.store = store;
  }

  /** Value of a counter; 0 when it was never defined. */
  counter(name: string): number {
    return this.scalar("counter", name);
  }

  /** Value of a gauge; 0 when it was never defined. */
  gauge(name: string): number {
    return this.scalar("gauge", name);
  }

  histogram(name: string): HistogramView {
    const metric = this.store.find("histogram", name) as Histogram | undefined;
    return metric === undefined ? { count: 0, sum: 0, samples: [] } : { count: metric.count, sum: metric.sum, samples: metric.samples };
  }

  /** The counter or gauge value, or the histogram's samples; undefined when no such metric was defined. */
  get(name: string): number | readonly number[] | undefined {
    for (const kind of ["counter", "gauge"] as const) {
      const metric = this.store.find(kind, name) as Scalar | undefined;
      if (metric !== undefined) return Number(metric.cell[0]);
    }
    return (this.store.find("histogram", name) as Histogram | undefined)?.samples;
  }

  /** Names of every defined metric, sorted. */
  names(): string[] {
    return [...new Set([...this.store.all()].map((entry) => entry.name))].sort();
  }

  /** Everything by name: what `expect(filter.metrics.toObject()).toEqual({…})` needs. */
  toObject(): Record<string, number | HistogramView> {
    const object: Record<string, number | HistogramView> = {};
    for (const { name, metric } of this.store.all()) object[name] = metric.kind === "histogram" ? this.histogram(name) : Number(metric.cell[0]);
    return object;
  }

  private scalar(kind: "counter" | "gauge", name: string): number {
    const metric = this.store.find(kind, name) as Scalar | undefined;
    return metric === undefined ? 0 : Number(metric.cell[0]);
  }
}

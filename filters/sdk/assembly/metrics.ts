/**
 * Envoy stats, named `wasmcustom.<name>`, process-wide. Defining the same metric again costs 1–2 µs and leaks an id each
 * time, so keep the object, or the id, for as long as the module runs. Labels are part of the name; `stats_tags` take them out.
 */
import { proxy_define_metric, proxy_get_metric, proxy_increment_metric, proxy_record_metric } from "./abi/imports";
import { MetricTypeValues, WasmResultValues } from "./abi/enums";
import { View, address, size, utf8 } from "./bytes";

const out = memory.data(8, 8);

/** What {@link defineMetric} gives where the host refuses; recording on it does nothing. */
export const NO_METRIC: u32 = u32.MAX_VALUE;

export function defineMetric(type: MetricTypeValues, name: View): u32 {
  const result = proxy_define_metric(type, address(name), size(name), out);
  return result == WasmResultValues.Ok ? load<u32>(out) : NO_METRIC;
}

// @ts-ignore: decorator
@inline
export function incrementMetric(id: u32, delta: i64): WasmResultValues {
  return proxy_increment_metric(id, delta);
}

// @ts-ignore: decorator
@inline
export function recordMetric(id: u32, value: u64): WasmResultValues {
  return proxy_record_metric(id, value);
}

/** The value of a counter or gauge, 0 where it has none; a histogram can't be read back. */
export function metricValue(id: u32): u64 {
  return proxy_get_metric(id, out) == WasmResultValues.Ok ? load<u64>(out) : 0;
}

export abstract class Metric {
  readonly id: u32;

  constructor(type: MetricTypeValues, name: string) {
    const bytes = utf8(name);
    this.id = defineMetric(type, bytes);
    heap.free(address(bytes));
  }
}

/** Only goes up; Envoy refuses a delta of 0 or less. */
export class Counter extends Metric {
  constructor(name: string) {
    super(MetricTypeValues.Counter, name);
  }
  increment(delta: u32 = 1): WasmResultValues {
    return incrementMetric(this.id, delta);
  }
  get value(): u64 {
    return metricValue(this.id);
  }
}

/** Below 0 it wraps to a huge number: count down only what was counted up. */
export class Gauge extends Metric {
  constructor(name: string) {
    super(MetricTypeValues.Gauge, name);
  }
  add(delta: i64): WasmResultValues {
    return incrementMetric(this.id, delta);
  }
  set(value: u64): WasmResultValues {
    return recordMetric(this.id, value);
  }
  get value(): u64 {
    return metricValue(this.id);
  }
}

/** Integers only; choose the unit accordingly and say it in the name. */
export class Histogram extends Metric {
  constructor(name: string) {
    super(MetricTypeValues.Histogram, name);
  }
  record(value: u64): WasmResultValues {
    return recordMetric(this.id, value);
  }
}

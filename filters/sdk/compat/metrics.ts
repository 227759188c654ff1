/** Metrics, with the odd `record(metric_id, value)` of the original: pass the metric's own `metric_id`. */
import { MetricTypeValues, WasmResultValues } from "../assembly/abi/enums";
import { proxy_define_metric, proxy_get_metric, proxy_increment_metric, proxy_record_metric } from "../assembly/abi/imports";
import { currentCallback } from "../assembly/memory";
import { NO_METRIC } from "../assembly/metrics";

const out = memory.data(8, 8);

class MetricResult {
  result: WasmResultValues = WasmResultValues.Ok;
  metric_id: u32 = NO_METRIC;
}

export function define_metric(typ: MetricTypeValues, name: string): MetricResult {
  const bytes = String.UTF8.encode(name);
  const answer = new MetricResult();
  answer.result = proxy_define_metric(typ, changetype<usize>(bytes), bytes.byteLength, out);
  if (answer.result == WasmResultValues.Ok) answer.metric_id = load<u32>(out);
  return answer;
}

export function increment_metric(metric_id: u32, offset: i64): WasmResultValues {
  return proxy_increment_metric(metric_id, offset);
}

export function record_metric(metric_id: u32, value: u64): WasmResultValues {
  return proxy_record_metric(metric_id, value);
}

class MetricData {
  result: WasmResultValues = WasmResultValues.Ok;
  data: u64 = 0;
}

/** A histogram has no value to read: `BadArgument`. */
export function get_metric(metric_id: u32): MetricData {
  const answer = new MetricData();
  answer.result = proxy_get_metric(metric_id, out);
  if (answer.result == WasmResultValues.Ok) answer.data = load<u64>(out);
  return answer;
}

class Metric {
  private id: u32 = NO_METRIC;
  private defined: bool = false;

  constructor(private readonly typ: MetricTypeValues, private readonly name: string) {
    // At the top level of a module the host refuses the call, and stops the VM for it: there, wait for the first use.
    if (currentCallback() != 0) this.define();
  }

  /** An id that the host doesn't know where it refused the metric; calls with it are `BadArgument`. */
  get metric_id(): u32 {
    if (!this.defined) this.define();
    return this.id;
  }

  private define(): void {
    this.defined = true;
    this.id = define_metric(this.typ, this.name).metric_id;
  }
}

export class Counter extends Metric {
  constructor(name: string) {
    super(MetricTypeValues.Counter, name);
  }
  increment(offset: u32): WasmResultValues {
    return increment_metric(this.metric_id, offset);
  }
}

export class Gauge extends Metric {
  constructor(name: string) {
    super(MetricTypeValues.Gauge, name);
  }
  increment(offset: i64): WasmResultValues {
    return increment_metric(this.metric_id, offset);
  }
  record(metric_id: u32, value: u64): WasmResultValues {
    return record_metric(metric_id, value);
  }
}

export class Histogram extends Metric {
  constructor(name: string) {
    super(MetricTypeValues.Histogram, name);
  }
  /** Envoy has no such operation on a histogram: `BadArgument`. */
  increment(offset: i64): WasmResultValues {
    return increment_metric(this.metric_id, offset);
  }
  record(metric_id: u32, value: u64): WasmResultValues {
    return record_metric(metric_id, value);
  }
}

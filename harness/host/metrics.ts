import type { HostCalls } from "./imports.ts";
import { recordSample, type Metric, type MetricKind } from "./stats.ts";
import { MetricType, Status } from "./types.ts";
import type { Vm } from "./vm.ts";

const KINDS: readonly MetricKind[] = ["counter", "gauge", "histogram"];
const TYPE_MASK = 3;
const ID_STEP = 4;

/**
 * Metrics. The low two bits of an id are the kind; defining a name again gives a new id for the same metric, as in
 * Envoy (which leaks the ids, too).
 */
export function metricCalls(vm: Vm): HostCalls {
  const find = (id: number): Metric | undefined => vm.metrics.get(id >>> 0);

  return {
    proxy_define_metric(type: number, nameAt: number, nameSize: number, idOut: number) {
      const name = vm.memory.slice(nameAt, nameSize);
      if (name === undefined) return Status.InvalidMemoryAccess;
      type >>>= 0;
      if (type > MetricType.Histogram) return Status.BadArgument;
      const id = (vm.nextMetricId[type]! += ID_STEP);
      vm.metrics.set(id, vm.host.stats.define(KINDS[type]!, name.toString("utf8")));
      return vm.memory.setU32(idOut, id) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_increment_metric(id: number, delta: bigint) {
      const type = id & TYPE_MASK;
      if (type !== MetricType.Counter && type !== MetricType.Gauge) return Status.BadArgument;
      const metric = find(id);
      if (metric === undefined || metric.kind === "histogram") return Status.NotFound;
      if (type === MetricType.Counter && delta <= 0n) return Status.BadArgument;
      metric.cell[0] = metric.cell[0]! + BigInt.asUintN(64, delta);
      return Status.Ok;
    },

    // On a counter this adds.
    proxy_record_metric(id: number, value: bigint) {
      const metric = find(id);
      if (metric === undefined) return Status.NotFound;
      if (metric.kind === "histogram") recordSample(metric, Number(BigInt.asUintN(64, value)));
      else if (metric.kind === "counter") metric.cell[0] = metric.cell[0]! + BigInt.asUintN(64, value);
      else metric.cell[0] = BigInt.asUintN(64, value);
      return Status.Ok;
    },

    proxy_get_metric(id: number, valueOut: number) {
      const type = id & TYPE_MASK;
      if (type !== MetricType.Counter && type !== MetricType.Gauge) return Status.BadArgument;
      const metric = find(id);
      if (metric === undefined || metric.kind === "histogram") return Status.NotFound;
      return vm.memory.setU64(valueOut, metric.cell[0]!) ? Status.Ok : Status.InvalidMemoryAccess;
    },
  };
}

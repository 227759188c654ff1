/** Gauges and counters about configurations and bundles, labelled by plugin: one Envoy may run several. */
import { MetricTypeValues } from "../../../sdk/assembly/abi/enums";
import { ABSENT, View, utf8 } from "../../../sdk/assembly/bytes";
import { endLine, put, putForeign, startLine } from "../../../sdk/assembly/line";
import { defineMetric, recordMetric } from "../../../sdk/assembly/metrics";
import { getProperty } from "../../../sdk/assembly/properties";

/** @param reason or {@link ABSENT} for a metric without */
export function define(type: MetricTypeValues, name: View, reason: View): u32 {
  startLine();
  put(utf8("selvedge_authz_"));
  put(name);
  if (reason != ABSENT) {
    put(utf8(".reason=."));
    put(reason);
    put(utf8(";"));
  }
  put(utf8(".plugin=."));
  const plugin = getProperty(utf8("plugin_name"));
  if (plugin != ABSENT) putForeign(plugin, 256);
  put(utf8(";"));
  return defineMetric(type, endLine());
}

/** Sets a gauge that changes so rarely that its id isn't worth keeping. */
export function show(name: View, value: u64): void {
  recordMetric(define(MetricTypeValues.Gauge, name, ABSENT), value);
}

/** 1 where the configuration that Envoy offered last was refused, so that an older one runs. */
export function showConfiguration(rejected: bool): void {
  show(utf8("configuration_rejected"), u64(rejected));
}

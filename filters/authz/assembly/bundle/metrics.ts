/** Gauges and counters about configurations and bundles, labelled by plugin: one Envoy may run several. */
import { MetricTypeValues } from "../../../sdk/assembly/abi/enums";
import { ABSENT, View, utf8 } from "../../../sdk/assembly/bytes";
import { defineMetric, recordMetric } from "../../../sdk/assembly/metrics";
import { getProperty } from "../../../sdk/assembly/properties";
import { endLine, put, putForeign, startLine } from "../line";

const PLUGIN_NAME = utf8("plugin_name");

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
  const plugin = getProperty(PLUGIN_NAME);
  if (plugin != ABSENT) putForeign(plugin, 256);
  put(utf8(";"));
  return defineMetric(type, endLine());
}

/** Once per configuration: 1 where the one that Envoy offered last was refused, so that an older one runs. */
export function showConfiguration(rejected: bool): void {
  recordMetric(define(MetricTypeValues.Gauge, utf8("configuration_rejected"), ABSENT), u64(rejected));
}

/** The Wasm filters in the chain. */
import { typed, type Config } from "./config.ts";
import type { Plugin } from "./plugins.ts";
import { usedCapabilities } from "./signing.ts";
import { atLeast, type EnvoyVersion } from "./version.ts";

/** envoy.extensions.filters.http.wasm.v3.Wasm, or the network filter of the same shape, with everything that decides about safety written out. */
export function wasmFilter(plugin: Plugin, capabilities: string[], file: string, version: EnvoyVersion): Config {
  const used = usedCapabilities(plugin.kind, capabilities, plugin);
  const closed = plugin.kind !== "telemetry";
  const restriction: Config | undefined =
    // An empty list would mean no restriction at all, so that it is never written.
    used.length > 0 ? { allowed_capabilities: Object.fromEntries(used.map((name) => [name, {}])) } : undefined;
  const perVm = atLeast(version, 1, 40);
  return {
    name: plugin.name,
    typed_config: typed(`envoy.extensions.filters.${plugin.tcp ? "network" : "http"}.wasm.v3.Wasm`, {
      config: {
        name: plugin.name,
        root_id: plugin.kind,
        // Without a decision there is no request; without a metric there is.
        failure_policy: closed ? "FAIL_RELOAD" : "FAIL_OPEN",
        reload_config: closed ? { backoff: { base_interval: "1s" } } : undefined,
        vm_config: {
          vm_id: plugin.vm ?? plugin.name,
          runtime: "envoy.wasm.runtime.v8",
          code: { local: { filename: file } },
          capability_restriction_config: perVm ? restriction : undefined,
        },
        capability_restriction_config: perVm ? undefined : restriction,
        // A Struct would sort keys and turn whole numbers into doubles.
        configuration: typed("google.protobuf.StringValue", { value: plugin.json }),
      },
    }),
  };
}

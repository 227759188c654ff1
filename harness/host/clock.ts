import type { HostCalls } from "./imports.ts";
import type { RootContext } from "./root-context.ts";
import { Status } from "./types.ts";
import type { Vm } from "./vm.ts";

/** Time and ticks. */
export function clockCalls(vm: Vm): HostCalls {
  return {
    proxy_get_current_time_nanoseconds(timeOut: number) {
      return vm.memory.setU64(timeOut, vm.host.clock.wallNs()) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    // From a stream context it is the root context's timer that is set.
    proxy_set_tick_period_milliseconds(periodMs: number) {
      const root = vm.context.root;
      if (root.id !== 0) (root as RootContext).setTickPeriod(periodMs >>> 0);
      return Status.Ok;
    },
  };
}

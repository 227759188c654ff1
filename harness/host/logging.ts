import type { HostCalls } from "./imports.ts";
import { LOG_LEVELS, Status } from "./types.ts";
import type { Vm } from "./vm.ts";

/** Logging. Messages below the host's level are dropped; the module is told Ok all the same. */
export function loggingCalls(vm: Vm): HostCalls {
  return {
    proxy_log(level: number, at: number, size: number) {
      const name = LOG_LEVELS[level >>> 0];
      if (name === undefined) return Status.BadArgument;
      const message = vm.memory.slice(at, size);
      if (message === undefined) return Status.InvalidMemoryAccess;
      if ((level >>> 0) >= vm.host.logLevelNumber) vm.host.log(name, message.toString("utf8"), vm.context.plugin, vm.thread.name, "wasm");
      return Status.Ok;
    },

    proxy_get_log_level(levelOut: number) {
      return vm.memory.setU32(levelOut, vm.host.logLevelNumber) ? Status.Ok : Status.InvalidMemoryAccess;
    },
  };
}

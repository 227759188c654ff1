import type { PluginHandle } from "./plugin-config.ts";
import type { Vm } from "./vm.ts";

/** A thread of the proxy: the main thread or a worker. VMs and root contexts are per thread. */
export class Thread {
  readonly name: string;
  /** By VM key. @internal */
  readonly vms = new Map<string, Vm>();
  /** By VM key and plugin key. @internal */
  readonly plugins = new Map<string, PluginHandle>();

  constructor(name: string) {
    this.name = name;
  }
}

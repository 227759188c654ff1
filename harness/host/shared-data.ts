import type { HostCalls } from "./imports.ts";
import { Status, type StatusCode } from "./types.ts";
import type { Vm } from "./vm.ts";

interface Entry {
  value: Uint8Array;
  cas: number;
}

/** Shared data of one host: by vm_id, seen by every thread, gone with the last VM of that vm_id. */
export class SharedData {
  private readonly byVmId = new Map<string, Map<string, Entry>>();
  private nextCas = 1;

  get(vmId: string, key: string): Entry | undefined {
    return this.byVmId.get(vmId)?.get(key);
  }

  /** Compare-and-swap when `cas` is not 0 and the key exists; a missing key takes any `cas`. */
  set(vmId: string, key: string, value: Uint8Array, cas: number): StatusCode {
    let map = this.byVmId.get(vmId);
    if (map === undefined) this.byVmId.set(vmId, (map = new Map()));
    const known = map.get(key);
    if (known !== undefined && cas !== 0 && cas !== known.cas) return Status.CasMismatch;
    map.set(key, { value, cas: this.nextCas++ });
    if (this.nextCas > 0xffffffff) this.nextCas = 1;
    return Status.Ok;
  }

  keys(vmId: string): string[] {
    return [...(this.byVmId.get(vmId)?.keys() ?? [])];
  }

  /** Forgets a vm_id's data: its last VM is gone, or a test loses it on purpose. */
  delete(vmId: string): void {
    this.byVmId.delete(vmId);
  }
}

/** The host calls of shared data. Keys are byte strings. */
export function sharedDataCalls(vm: Vm): HostCalls {
  return {
    proxy_get_shared_data(keyAt: number, keySize: number, valueOut: number, sizeOut: number, casOut: number) {
      const key = vm.memory.text(keyAt, keySize);
      if (key === undefined) return Status.InvalidMemoryAccess;
      const entry = vm.host.sharedData.get(vm.settings.vmId, key);
      if (entry === undefined) return Status.NotFound;
      if (!vm.giveBytes(entry.value, valueOut, sizeOut)) return Status.InvalidMemoryAccess;
      return vm.memory.setU32(casOut, entry.cas) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_set_shared_data(keyAt: number, keySize: number, valueAt: number, valueSize: number, cas: number) {
      const key = vm.memory.text(keyAt, keySize);
      const value = vm.memory.copy(valueAt, valueSize);
      if (key === undefined || value === undefined) return Status.InvalidMemoryAccess;
      return vm.host.sharedData.set(vm.settings.vmId, key, value, cas >>> 0);
    },
  };
}

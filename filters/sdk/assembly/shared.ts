/**
 * State between the VMs of one `vm_id`, on every worker thread of the process: key-value data with compare-and-swap, and
 * queues. Lost when the process ends; neither has a size limit or a lifetime, so bound what you put in.
 */
import {
  proxy_dequeue_shared_queue, proxy_enqueue_shared_queue, proxy_get_shared_data, proxy_register_shared_queue,
  proxy_resolve_shared_queue, proxy_set_shared_data,
} from "./abi/imports";
import { WasmResultValues } from "./abi/enums";
import { ABSENT, View, address, size, view } from "./bytes";

const out = memory.data(12, 4);

/** The version of what {@link getSharedData} last read, to pass to {@link setSharedData}. */
export let lastCas: u32 = 0;

export function getSharedData(key: View): View {
  lastCas = 0;
  if (proxy_get_shared_data(address(key), size(key), out, out + 4, out + 8) != WasmResultValues.Ok) return ABSENT;
  lastCas = load<u32>(out + 8);
  return view(load<usize>(out), load<u32>(out + 4));
}

/** `cas` 0 writes whatever was there; otherwise `CasMismatch` where somebody wrote in between. */
export function setSharedData(key: View, value: View, cas: u32 = 0): WasmResultValues {
  return proxy_set_shared_data(address(key), size(key), address(value), size(value), cas);
}

/** The token of a queue that this VM reads, made where it doesn't exist; 0 on failure. `onQueueReady` says when to read. */
export function registerSharedQueue(name: View): u32 {
  return proxy_register_shared_queue(address(name), size(name), out) == WasmResultValues.Ok ? load<u32>(out) : 0;
}

/** The token of a queue that another VM registered; 0 where there is none. */
export function resolveSharedQueue(vmId: View, name: View): u32 {
  const result = proxy_resolve_shared_queue(address(vmId), size(vmId), address(name), size(name), out);
  return result == WasmResultValues.Ok ? load<u32>(out) : 0;
}

export function enqueue(token: u32, value: View): WasmResultValues {
  return proxy_enqueue_shared_queue(token, address(value), size(value));
}

/** The next value, or {@link ABSENT} where the queue is empty or unknown. */
export function dequeue(token: u32): View {
  if (proxy_dequeue_shared_queue(token, out, out + 4) != WasmResultValues.Ok) return ABSENT;
  return view(load<usize>(out), load<u32>(out + 4));
}

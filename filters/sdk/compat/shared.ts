/** Shared data and shared queues, with the signatures of 0.1.15: those of 0.1.8 mixed up reading and writing. */
import {
  proxy_dequeue_shared_queue, proxy_get_shared_data, proxy_register_shared_queue, proxy_resolve_shared_queue,
} from "../assembly/abi/imports";
import { WasmResultValues } from "../assembly/abi/enums";
import { view } from "../assembly/bytes";
import { enqueue, setSharedData } from "../assembly/shared";
import { copyToBuffer, viewOf } from "./bytes";

const out = memory.data(12, 4);

class GetSharedData {
  value: ArrayBuffer | null = null;
  result: WasmResultValues = WasmResultValues.Ok;
  cas: usize = 0;
}

export function get_shared_data(key: string): GetSharedData {
  const name = String.UTF8.encode(key);
  const answer = new GetSharedData();
  answer.result = proxy_get_shared_data(changetype<usize>(name), name.byteLength, out, out + 4, out + 8);
  if (answer.result != WasmResultValues.Ok) return answer;
  answer.value = copyToBuffer(view(load<usize>(out), load<u32>(out + 4)));
  answer.cas = load<u32>(out + 8);
  return answer;
}

/** `cas` as read before, or 0 to write whatever was there. */
export function set_shared_data(key: string, value: ArrayBuffer, cas: u32 = 0): WasmResultValues {
  const name = String.UTF8.encode(key);
  return setSharedData(viewOf(name), viewOf(value), cas);
}

class TokenSharedQueueResult {
  result: WasmResultValues = WasmResultValues.Ok;
  token: u32 = 0;
}

export function register_shared_queue(queue_name: string): TokenSharedQueueResult {
  const name = String.UTF8.encode(queue_name);
  const answer = new TokenSharedQueueResult();
  answer.result = proxy_register_shared_queue(changetype<usize>(name), name.byteLength, out);
  if (answer.result == WasmResultValues.Ok) answer.token = load<u32>(out);
  return answer;
}

export function resolve_shared_queue(vm_id: string, queue_name: string): TokenSharedQueueResult {
  const vm = String.UTF8.encode(vm_id);
  const name = String.UTF8.encode(queue_name);
  const answer = new TokenSharedQueueResult();
  answer.result = proxy_resolve_shared_queue(changetype<usize>(vm), vm.byteLength, changetype<usize>(name), name.byteLength, out);
  if (answer.result == WasmResultValues.Ok) answer.token = load<u32>(out);
  return answer;
}

export function enqueue_shared_queue(token: u32, data: ArrayBuffer): WasmResultValues {
  return enqueue(token, viewOf(data));
}

class DequeueSharedQueueResult {
  result: WasmResultValues = WasmResultValues.Ok;
  data: ArrayBuffer | null = null;
}

export function dequeue_shared_queue(token: u32): DequeueSharedQueueResult {
  const answer = new DequeueSharedQueueResult();
  answer.result = proxy_dequeue_shared_queue(token, out, out + 4);
  if (answer.result == WasmResultValues.Ok) answer.data = copyToBuffer(view(load<usize>(out), load<u32>(out + 4)));
  return answer;
}

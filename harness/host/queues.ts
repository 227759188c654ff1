import type { HostCalls } from "./imports.ts";
import type { RootContext } from "./root-context.ts";
import { Status } from "./types.ts";
import type { Vm } from "./vm.ts";

interface Queue {
  items: Uint8Array[];
  /** Who hears of new items: the VM and root context that registered last. */
  vm: Vm;
  contextId: number;
}

/** Shared queues of one host, by vm_id and name. A token is never 0. */
export class SharedQueues {
  private readonly tokens = new Map<string, number>();
  private readonly queues = new Map<number, Queue>();
  private nextToken = 1;

  register(vm: Vm, name: string, contextId: number): number {
    const key = queueKey(vm.settings.vmId, name);
    let token = this.tokens.get(key);
    if (token === undefined) this.tokens.set(key, (token = this.nextToken++));
    const items = this.queues.get(token)?.items ?? [];
    this.queues.set(token, { items, vm, contextId });
    return token;
  }

  resolve(vmId: string, name: string): number | undefined {
    return this.tokens.get(queueKey(vmId, name));
  }

  get(token: number): Queue | undefined {
    return this.queues.get(token);
  }

  deleteByVmId(vmId: string): void {
    for (const [key, token] of this.tokens) {
      if (!key.startsWith(`${vmId}\0`)) continue;
      this.tokens.delete(key);
      this.queues.delete(token);
    }
  }
}

const queueKey = (vmId: string, name: string): string => `${vmId}\0${name}`;

/** The host calls of shared queues. on_queue_ready runs later, on the thread that registered the queue. */
export function queueCalls(vm: Vm): HostCalls {
  return {
    proxy_register_shared_queue(nameAt: number, nameSize: number, tokenOut: number) {
      const name = vm.memory.text(nameAt, nameSize);
      if (name === undefined) return Status.InvalidMemoryAccess;
      const context = vm.context;
      const token = vm.host.queues.register(vm, name, context.isRoot ? context.id : context.parentId);
      return vm.memory.setU32(tokenOut, token) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_resolve_shared_queue(vmIdAt: number, vmIdSize: number, nameAt: number, nameSize: number, tokenOut: number) {
      const vmId = vm.memory.text(vmIdAt, vmIdSize);
      const name = vm.memory.text(nameAt, nameSize);
      if (vmId === undefined || name === undefined) return Status.InvalidMemoryAccess;
      const token = vm.host.queues.resolve(vmId === "" ? vm.settings.vmId : vmId, name);
      if (token === undefined || vm.failed) return Status.NotFound;
      return vm.memory.setU32(tokenOut, token) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_enqueue_shared_queue(token: number, at: number, size: number) {
      const data = vm.memory.copy(at, size);
      if (data === undefined) return Status.InvalidMemoryAccess;
      const queue = vm.host.queues.get(token >>> 0);
      if (queue === undefined) return Status.NotFound;
      queue.items.push(data);
      vm.host.post(() => {
        // The VM that lives on that thread now (it may have been reloaded); the canary's is the main one.
        const { threads } = vm.host;
        const target = (threads.includes(queue.vm.thread) ? queue.vm.thread : threads[0])?.vms.get(queue.vm.key);
        const context = target?.contexts.get(queue.contextId);
        if (context !== undefined && context.isRoot && context.id !== 0) (context as RootContext).onQueueReady(token >>> 0);
      });
      return Status.Ok;
    },

    proxy_dequeue_shared_queue(token: number, dataOut: number, sizeOut: number) {
      const queue = vm.host.queues.get(token >>> 0);
      if (queue === undefined) return Status.NotFound;
      const data = queue.items.shift();
      if (data === undefined) return Status.Empty;
      return vm.giveBytes(data, dataOut, sizeOut) ? Status.Ok : Status.InvalidMemoryAccess;
    },
  };
}

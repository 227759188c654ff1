import { bufferCalls } from "./buffers.ts";
import { calloutCalls } from "./callouts.ts";
import { clockCalls } from "./clock.ts";
import { controlCalls } from "./control.ts";
import { foreignCalls } from "./foreign.ts";
import { grpcCalls } from "./grpc.ts";
import { headerCalls } from "./headers.ts";
import { loggingCalls } from "./logging.ts";
import { metricCalls } from "./metrics.ts";
import { propertyCalls } from "./properties.ts";
import { queueCalls } from "./queues.ts";
import { sharedDataCalls } from "./shared-data.ts";
import { Status } from "./types.ts";
import type { Vm } from "./vm.ts";
import { wasiCalls } from "./wasi.ts";

/** A host function; i32 parameters arrive as signed numbers, i64 ones as bigint. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type HostCall = (...args: any[]) => number | void;
export type HostCalls = Record<string, HostCall>;

/** WASI's ENOTCAPABLE, the answer of a restricted WASI function. */
const WASI_NOTCAPABLE = 76;
/** WASI's EFAULT. */
const WASI_FAULT = 21;

/** Not capabilities: always there. */
const ALWAYS: ReadonlySet<string> = new Set(["emscripten_notify_memory_growth", "pthread_equal", "envoy_resolve_dns"]);

/** Everything that the module imports, guarded; and the memory, when the module wants it from the host. */
export function buildImports(vm: Vm): { imports: WebAssembly.Imports; memory: WebAssembly.Memory | undefined } {
  const env: HostCalls = {
    ...loggingCalls(vm), ...clockCalls(vm), ...headerCalls(vm), ...bufferCalls(vm), ...propertyCalls(vm), ...metricCalls(vm),
    ...sharedDataCalls(vm), ...queueCalls(vm), ...calloutCalls(vm), ...grpcCalls(vm), ...controlCalls(vm), ...foreignCalls(vm),
    emscripten_notify_memory_growth: () => {},
    pthread_equal: (left: number, right: number) => (left === right ? 1 : 0),
  };
  const wasi = wasiCalls(vm);
  const imports: WebAssembly.Imports = {};
  let memory: WebAssembly.Memory | undefined;
  for (const entry of vm.module.imports) {
    const target = (imports[entry.module] ??= {});
    if (entry.kind === "memory") {
      memory = new WebAssembly.Memory({ initial: vm.module.importedMemory!.min, maximum: vm.module.importedMemory!.max });
      target[entry.name] = memory;
    } else if (entry.kind === "table") {
      target[entry.name] = new WebAssembly.Table({ initial: 0, element: "anyfunc" });
    } else {
      const isWasi = entry.module !== "env";
      const call = isWasi ? wasi[entry.name] : env[entry.name];
      target[entry.name] = allowed(vm, entry.name) ? guard(vm, entry.name, call!, isWasi ? WASI_FAULT : Status.InvalidMemoryAccess) : refusal(vm, entry.name, isWasi);
    }
  }
  return { imports, memory };
}

function allowed(vm: Vm, name: string): boolean {
  return vm.settings.capabilities === undefined || ALWAYS.has(name) || vm.settings.capabilities.has(name);
}

/** A capability that the configuration does not grant: an error in the log, and a failure for the module. */
function refusal(vm: Vm, name: string, isWasi: boolean): HostCall {
  return () => {
    if (vm.checked) vm.beforeHostCall(name);
    vm.host.log("error", `Attempted call to restricted ${isWasi ? "WASI" : "proxy-wasm"} capability: ${name}`, vm.current?.plugin, vm.thread.name, "host");
    return isWasi ? WASI_NOTCAPABLE : Status.InternalFailure;
  };
}

/**
 * Looks at each call while that is needed (start phase, faults), and says once when a call could not reach what its
 * pointers name; costs two branches otherwise. Arity is kept for speed.
 */
function guard(vm: Vm, name: string, call: HostCall, fault: number): HostCall {
  const before = () => vm.beforeHostCall(name);
  const after = (result: number | void) => (result === fault ? vm.complain(name, "was given memory outside of the module, or the module's allocator gave none", result) : result);
  let forced = -1;
  switch (call.length) {
    case 0:
      return () => (vm.checked && (forced = before()) >= 0 ? forced : after(call()));
    case 1:
      return (a) => (vm.checked && (forced = before()) >= 0 ? forced : after(call(a)));
    case 2:
      return (a, b) => (vm.checked && (forced = before()) >= 0 ? forced : after(call(a, b)));
    case 3:
      return (a, b, c) => (vm.checked && (forced = before()) >= 0 ? forced : after(call(a, b, c)));
    case 4:
      return (a, b, c, d) => (vm.checked && (forced = before()) >= 0 ? forced : after(call(a, b, c, d)));
    case 5:
      return (a, b, c, d, e) => (vm.checked && (forced = before()) >= 0 ? forced : after(call(a, b, c, d, e)));
    default:
      return (...args) => (vm.checked && (forced = before()) >= 0 ? forced : after(call(...args)));
  }
}

import { EMPTY_BUFFER, FixedBuffer, type GuestBuffer } from "./byte-buffer.ts";
import type { CalloutView, Context } from "./context.ts";
import type { HostCalls } from "./imports.ts";
import { BufferType, Status } from "./types.ts";
import type { Vm } from "./vm.ts";

const MAX_BUFFER = BufferType.CallData;

/** The buffer that a type names in this context; undefined reads as "not found". */
function bufferOf(vm: Vm, context: Context, type: number): GuestBuffer | undefined {
  let buffer: GuestBuffer | undefined;
  const root = context.root as Partial<CalloutView>;
  switch (type) {
    case BufferType.VmConfiguration:
      buffer = new FixedBuffer(vm.settings.vmConfig);
      break;
    case BufferType.PluginConfiguration:
      // Only inside of on_configure (and the first on_context_create).
      buffer = context.configuring && new FixedBuffer(context.configuring.config);
      break;
    case BufferType.HttpCallResponseBody:
      buffer = root.httpCallResponse?.body;
      break;
    case BufferType.GrpcReceiveBuffer:
      buffer = root.grpcMessage ?? EMPTY_BUFFER;
      break;
    case BufferType.CallData:
      return context.lastBuffer ?? EMPTY_BUFFER;
    default:
      buffer = context.bodyBuffer(type) ?? EMPTY_BUFFER;
  }
  if (buffer !== undefined) context.lastBuffer = buffer;
  return buffer;
}

/** Bodies, configurations and call data. Source: proxy-wasm spec v0.2.1 "Buffers"; semantics as in Envoy. */
export function bufferCalls(vm: Vm): HostCalls {
  return {
    proxy_get_buffer_bytes(type: number, start: number, length: number, pointerOut: number, sizeOut: number) {
      if (type >>> 0 > MAX_BUFFER) return Status.BadArgument;
      const buffer = bufferOf(vm, vm.context, type);
      if (buffer === undefined) return Status.NotFound;
      start >>>= 0;
      length >>>= 0;
      const size = buffer.length;
      if (start > size) length = 0;
      else if (start + length > size) length = size - start;
      if (length === 0) return vm.memory.setU32(pointerOut, 0) && vm.memory.setU32(sizeOut, 0) ? Status.Ok : Status.InvalidMemoryAccess;
      return vm.giveBytes(buffer.read(start, length), pointerOut, sizeOut) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    proxy_set_buffer_bytes(type: number, start: number, length: number, dataAt: number, dataSize: number) {
      if (type >>> 0 > MAX_BUFFER) return Status.BadArgument;
      const buffer = bufferOf(vm, vm.context, type);
      if (buffer === undefined) return Status.NotFound;
      const data = vm.memory.copy(dataAt, dataSize);
      if (data === undefined) return Status.InvalidMemoryAccess;
      return buffer.write(start >>> 0, length >>> 0, data);
    },

    proxy_get_buffer_status(type: number, lengthOut: number, flagsOut: number) {
      if (type >>> 0 > MAX_BUFFER) return Status.BadArgument;
      const buffer = bufferOf(vm, vm.context, type);
      if (buffer === undefined) return Status.NotFound;
      return vm.memory.setU32(lengthOut, buffer.length) && vm.memory.setU32(flagsOut, 0) ? Status.Ok : Status.InvalidMemoryAccess;
    },

    // ABI 0.1.0: the plugin configuration inside of on_configure, the VM configuration elsewhere.
    proxy_get_configuration(pointerOut: number, sizeOut: number) {
      const data = vm.context.configuring?.config ?? vm.settings.vmConfig;
      return vm.giveBytes(data, pointerOut, sizeOut) ? Status.Ok : Status.InvalidMemoryAccess;
    },
  };
}

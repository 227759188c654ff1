/** Bodies, plugin and VM configuration, callout responses. */
import { proxy_get_buffer_bytes, proxy_get_buffer_status, proxy_set_buffer_bytes } from "./abi/imports";
import { BufferTypeValues, WasmResultValues } from "./abi/enums";
import { ABSENT, View, address, size, view } from "./bytes";

const out = memory.data(8, 4);

/** Up to `max` bytes from `start`, or {@link ABSENT} where there is no such buffer now. The host clamps both. */
export function getBuffer(type: BufferTypeValues, start: u32 = 0, max: u32 = i32.MAX_VALUE): View {
  if (proxy_get_buffer_bytes(type, start, max, out, out + 4) != WasmResultValues.Ok) return ABSENT;
  return view(load<usize>(out), load<u32>(out + 4));
}

/** How many bytes are buffered, or -1 where there is no such buffer now. */
export function bufferSize(type: BufferTypeValues): i32 {
  return proxy_get_buffer_status(type, out, out + 4) == WasmResultValues.Ok ? load<i32>(out) : -1;
}

// Envoy knows these three edits and no other: a partial replacement is BadArgument.

export function replaceBuffer(type: BufferTypeValues, data: View): WasmResultValues {
  return proxy_set_buffer_bytes(type, 0, i32.MAX_VALUE, address(data), size(data));
}

export function prependBuffer(type: BufferTypeValues, data: View): WasmResultValues {
  return proxy_set_buffer_bytes(type, 0, 0, address(data), size(data));
}

export function appendBuffer(type: BufferTypeValues, data: View): WasmResultValues {
  return proxy_set_buffer_bytes(type, i32.MAX_VALUE, 0, address(data), size(data));
}

/**
 * Attributes of the request, the connection and the proxy, by path. Path segments are joined by NUL: build them once with
 * `utf8("connection\0mtls")`. Values are raw: integers, durations and timestamps (ns) 8 bytes little endian, booleans one byte.
 *
 * Each read costs about 0.7 µs in Envoy: read only what decides something.
 */
import { proxy_get_property, proxy_set_property } from "./abi/imports";
import { WasmResultValues } from "./abi/enums";
import { ABSENT, View, address, size, view } from "./bytes";

const out = memory.data(8, 4);

/** The raw value, or {@link ABSENT} where the attribute doesn't exist (yet). */
export function getProperty(path: View): View {
  if (proxy_get_property(address(path), size(path), out, out + 4) != WasmResultValues.Ok) return ABSENT;
  return view(load<usize>(out), load<u32>(out + 4));
}

/** An integer, duration or timestamp attribute; `otherwise` where it is absent or of another size. */
export function getIntegerProperty(path: View, otherwise: i64): i64 {
  const value = getProperty(path);
  return value != ABSENT && size(value) == 8 ? load<i64>(address(value)) : otherwise;
}

export function getBooleanProperty(path: View, otherwise: bool): bool {
  const value = getProperty(path);
  return value != ABSENT && size(value) == 1 ? load<u8>(address(value)) != 0 : otherwise;
}

/** Writes filter state `wasm.<path>` of this stream: routes match on it and access logs print it. Clients can't forge it. */
export function setProperty(path: View, value: View): WasmResultValues {
  return proxy_set_property(address(path), size(path), address(value), size(value));
}

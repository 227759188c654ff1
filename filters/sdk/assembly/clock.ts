import { proxy_get_current_time_nanoseconds, proxy_set_tick_period_milliseconds } from "./abi/imports";
import { WasmResultValues } from "./abi/enums";

const out = memory.data(8, 8);

/** Wall clock in nanoseconds since 1970. It can step back (NTP): clamp differences. */
export function now(): u64 {
  proxy_get_current_time_nanoseconds(out);
  return load<u64>(out);
}

/** Calls `onTick` of this root context every so many milliseconds; 0 stops it. Only from a root context. */
export function setTickPeriod(milliseconds: u32): WasmResultValues {
  return proxy_set_tick_period_milliseconds(milliseconds);
}

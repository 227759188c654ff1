import { proxy_get_log_level, proxy_log } from "./abi/imports";
import { LogLevelValues, WasmResultValues } from "./abi/enums";
import { View, address, size } from "./bytes";
import { currentCallback } from "./memory";

/** The level can be changed while Envoy runs (`/logging?wasm=debug`): look again after this many callbacks. */
const LEVEL_IS_FRESH_FOR: u32 = 256;

const levelOut = memory.data(4, 4);
let level: u32 = LogLevelValues.trace;
let readAt: u32 = 0;
let known = false;

/** Would a line of this level be printed? Ask before building an expensive message. */
export function logEnabled(wanted: LogLevelValues): bool {
  const now = currentCallback();
  if (now == 0) return true; // the module is being loaded: a log line is the only host call allowed, and asking would trap
  if (!known || now - readAt > LEVEL_IS_FRESH_FOR) {
    known = true;
    readAt = now;
    if (proxy_get_log_level(levelOut) == WasmResultValues.Ok) level = load<u32>(levelOut);
  }
  return <u32>wanted >= level;
}

/** One line in the proxy's log. */
export function log(wanted: LogLevelValues, message: string): void {
  if (!logEnabled(wanted)) return;
  const buffer = String.UTF8.encode(message);
  proxy_log(wanted, changetype<usize>(buffer), buffer.byteLength);
}

/** As {@link log}, for a message that is UTF-8 already. */
export function logBytes(wanted: LogLevelValues, message: View): void {
  if (logEnabled(wanted)) proxy_log(wanted, address(message), size(message));
}

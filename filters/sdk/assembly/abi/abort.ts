import { LogLevelValues } from "./enums";
import { proxy_log } from "./imports";
import { asciiFromUtf16 } from "../bytes";

/**
 * What a failed assertion, a null dereference or running out of memory ends in: one critical log line, then a trap.
 * Envoy marks the VM failed, and the plugin's failure policy decides what becomes of requests.
 *
 * The build passes it to asc as `--use abort=…/selvedgeAbort`, because the default `env.abort` is an import no proxy has.
 */
export function selvedgeAbort(message: string | null, file: string | null, line: u32, column: u32): void {
  // A static buffer: out of memory is one of the reasons to be here.
  const buffer = memory.data(256);
  let size = asciiFromUtf16("selvedge: abort: ", buffer, 256);
  if (message !== null) size += asciiFromUtf16(message, buffer + size, 256 - size);
  if (file !== null) {
    size += asciiFromUtf16(" at ", buffer + size, 256 - size);
    size += asciiFromUtf16(file, buffer + size, 256 - size);
    size += asciiFromUtf16(":", buffer + size, 256 - size);
    size += decimal(line, buffer + size, 256 - size);
  }
  proxy_log(LogLevelValues.critical, buffer, size);
  unreachable();
}

function decimal(value: u32, to: usize, room: u32): u32 {
  let digits: u32 = 1;
  for (let rest = value / 10; rest != 0; rest /= 10) digits++;
  if (digits > room) return 0;
  let at = to + digits;
  do {
    store<u8>(--at, <u8>(48 + value % 10));
    value /= 10;
  } while (value != 0);
  return digits;
}

import { LogLevelValues } from "./abi/enums";
import { JsonReader } from "./json/reader";
import { log } from "./log";

/** Says in one critical line why a filter refuses its configuration. Returns false: what `onConfigure` then answers. */
export function refuse(filter: string, reader: JsonReader): bool {
  log(LogLevelValues.critical, "selvedge: " + filter + ": invalid configuration: " + reader.error);
  return false;
}

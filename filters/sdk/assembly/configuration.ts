import { LogLevelValues } from "./abi/enums";
import { View, utf8 } from "./bytes";
import { JsonReader } from "./json/reader";
import { endLine, put, startLine } from "./line";
import { logBytes } from "./log";

/** Says in one critical line why a filter refuses its configuration. Returns false: what `onConfigure` then answers. */
export function refuse(filter: View, reader: JsonReader): bool {
  startLine();
  put(utf8("selvedge: "));
  put(filter);
  put(utf8(": invalid configuration: "));
  put(reader.error);
  logBytes(LogLevelValues.critical, endLine());
  return false;
}

import { toString } from "../../../../filters/sdk/assembly/bytes";
import { jsonOf } from "../../../../filters/sdk/assembly/json/from-struct";
import { enter, leave } from "../../../../filters/sdk/assembly/memory";
import { atTheEnd } from "./support";

/** What the filter reads of this configuration. */
export function json(configuration: ArrayBuffer): string {
  enter();
  const text = toString(jsonOf(atTheEnd(configuration)));
  leave();
  return text;
}

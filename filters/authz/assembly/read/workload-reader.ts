/** Which workloads are behind the node, and which routes lead to them. */
import { ABSENT, utf8 } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { List, append } from "../memory/list";
import { Workload, makeWorkload } from "../model";
import { readLabels, readResourceName, readStrings, readTargets } from "./lists";
import { memberOf, readName, refuse } from "./members";

export function readWorkloads(reader: JsonReader, to: List): void {
  if (!reader.beginArray()) return;
  while (reader.nextElement()) append(to, changetype<usize>(readWorkload(reader, reader.index, true)));
}

/** @param routed a destination, reached by routes and listeners; else the gateway, which every request passes */
export function readWorkload(reader: JsonReader, position: i32, routed: bool): Workload {
  const workload = makeWorkload(position);
  if (!reader.beginObject()) return workload;
  while (reader.nextKey()) {
    switch (memberOf(reader, routed ? utf8("namespace, labels, targets, routes, name, listeners") : utf8("namespace, labels, targets"))) {
      case 0: workload.namespace = readResourceName(reader); break;
      case 1: readLabels(reader, workload.labels, false); break;
      case 2: readTargets(reader, workload.targets); break;
      case 3: readStrings(reader, workload.routes); break;
      case 4: readName(reader); break;
      case 5: readStrings(reader, workload.listeners);
    }
  }
  if (workload.namespace == ABSENT) refuse(reader, utf8("no namespace"), utf8("a namespace: policies attach by it"));
  return workload;
}

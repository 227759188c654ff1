/** From what was observed to label values, and from there to metric names. Pure. */
import { ABSENT, View, address, indexOf, size, slice, utf8, view } from "../../sdk/assembly/bytes";
import { Peer } from "../../sdk/assembly/http/peer";
import { LabelledName } from "../../sdk/assembly/labels";
import { Names, Texts } from "../../sdk/assembly/names";
import { Destination, UNKNOWN } from "./config";
import { OVERFLOW } from "./record";

const SOURCE_WORKLOAD = utf8("source_workload");
const SOURCE_NAMESPACE = utf8("source_workload_namespace");
const DESTINATION_WORKLOAD = utf8("destination_workload");
const DESTINATION_NAMESPACE = utf8("destination_workload_namespace");
const METHOD = utf8("request_method");
const STATUS = utf8("response_code");
const ROUTE = utf8("route");
const ARM = utf8("arm");
export const OVERFLOW_LABEL = utf8("overflow");

/** Label values of one series. */
export class SeriesLabels {
  sourceWorkload: View = OVERFLOW_LABEL;
  sourceNamespace: View = OVERFLOW_LABEL;
  destinationWorkload: View = OVERFLOW_LABEL;
  destinationNamespace: View = OVERFLOW_LABEL;
  method: View = OVERFLOW_LABEL;
  status: View = OVERFLOW_LABEL;
  route: View = OVERFLOW_LABEL;
  arm: View = OVERFLOW_LABEL;

  /** `metric.source_workload=.…;…`: the labels in the order in which they are documented. */
  name(metric: View, builder: LabelledName): View {
    return builder
      .begin(metric)
      .label(SOURCE_WORKLOAD, this.sourceWorkload)
      .label(SOURCE_NAMESPACE, this.sourceNamespace)
      .label(DESTINATION_WORKLOAD, this.destinationWorkload)
      .label(DESTINATION_NAMESPACE, this.destinationNamespace)
      .label(METHOD, this.method)
      .label(STATUS, this.status)
      .label(ROUTE, this.route)
      .label(ARM, this.arm).text;
  }
}

/** Callers seen so far, by `<namespace>/sa/<service account>` as their SPIFFE ID has it. Number 0 is the unknown caller. */
export class Sources {
  private readonly names: Names = new Names();

  /** @param limit how many callers are told apart */
  constructor(private readonly limit: u32) {}

  /** The caller's number, or `OVERFLOW`. */
  numberOf(peer: Peer): i32 {
    if (peer.serviceAccount == ABSENT) return 0;
    // Both are slices of one URI, and so is what lies between them.
    const start = address(peer.namespace);
    const key = view(start, <u32>(address(peer.serviceAccount) + size(peer.serviceAccount) - start));
    const known = this.names.find(key);
    if (known >= 0) return known + 1;
    return <u32>this.names.count < this.limit ? this.names.add(key) + 1 : OVERFLOW;
  }

  describe(source: i32, labels: SeriesLabels): void {
    labels.sourceNamespace = UNKNOWN;
    labels.sourceWorkload = UNKNOWN;
    if (source <= 0) return;
    const key = this.names.at(source - 1);
    const slash = <u32>indexOf(key, 47);
    labels.sourceNamespace = slice(key, 0, slash);
    labels.sourceWorkload = slice(key, slash + 4, size(key)); // behind "/sa/"
  }
}

/** Destinations of routes that the configuration doesn't list: what Envoy calls the route and the cluster. */
export class OtherDestinations {
  private readonly names: Names = new Names();
  private readonly destinations: Destination[] = [];
  private readonly texts: Texts = new Texts();

  /** @param limit how many are told apart */
  constructor(private readonly limit: u32) {}

  /** The number of this pair, or `OVERFLOW`. Both may be empty: unknown. */
  find(route: View, cluster: View, buffer: usize): i32 {
    memory.copy(buffer, address(route), size(route));
    store<u8>(buffer + size(route), 0);
    memory.copy(buffer + size(route) + 1, address(cluster), size(cluster));
    const key = view(buffer, size(route) + 1 + size(cluster));
    const known = this.names.find(key);
    if (known >= 0) return known;
    if (<u32>this.names.count >= this.limit) return OVERFLOW;
    const destination = new Destination();
    if (size(route) > 0) destination.route = this.texts.keep(route);
    if (size(cluster) > 0) destination.workload = this.texts.keep(cluster);
    this.destinations.push(destination);
    return this.names.add(key);
  }

  at(number: i32): Destination {
    return this.destinations[number];
  }
}

/** The policies' part of the configuration, as read: in scratch memory. */
import { ABSENT, View, utf8 } from "../../sdk/assembly/bytes";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { HeaderSlots } from "./match/header-slots";
import { List, append, holdsText, make, next } from "./memory/list";
import { Workload, makePolicy, makeWorkload } from "./model";
import { readLabels, readResourceName, readStrings, readTargets } from "./read/lists";
import { readName, refuse } from "./read/members";
import { readPolicy } from "./read/policy-reader";
import { readWorkload, readWorkloads } from "./read/workload-reader";

const DEFAULT_NAMESPACE = utf8("default");
const DEFAULT_ROOT = utf8("istio-system");
const DEFAULT_TRUST_DOMAIN = utf8("cluster.local");

/** What the configuration may have: first what {@link Settings.read} reads, in the order of its cases, then the filter's own. */
export const SETTINGS = utf8("namespace, labels, targets, rootNamespace, trustDomain, trustDomainAliases, workloads, gateway, policies, identity, directAddress, denial, logDenials, strictPaths, signing, bundle, source, custom, protocol, listener");
/** Index of the first that is the filter's own; what comes before may as well come in a signed bundle. */
export const NODE_SETTINGS = 9;

export class Settings {
  rootNamespace: View = DEFAULT_ROOT;
  trustDomain: View = DEFAULT_TRUST_DOMAIN;
  readonly aliases: List = make<List>();
  /** What the node is for a request that no other workload's route leads to. */
  node: Workload = makeWorkload(-1);
  workloads: List = make<List>();
  /** Where a policy is that doesn't say it. */
  namespace: View = DEFAULT_NAMESPACE;
  /** Are they signed? Then no route that they don't name is let through: it would be decided on by fewer policies than were meant. */
  signed: bool = false;
  /** Are some of the policies for what isn't decided on here? */
  narrowed: bool = false;
  /** A {@link Workload}'s address, or 0. */
  gateway: usize = 0;
  readonly policies: List = make<List>();
  /** Do they decide on connections, not on requests? */
  tcp: bool = false;
  /** Does every reading of a path count? */
  strictPaths: bool = false;
  private hasPolicies: bool = false;

  /** Reads one member, by its index in {@link SETTINGS}. */
  read(reader: JsonReader, index: i32, headers: HeaderSlots): void {
    switch (index) {
      case 0: this.node.namespace = readResourceName(reader); break;
      case 1: readLabels(reader, this.node.labels, false); break;
      case 2: readTargets(reader, this.node.targets); break;
      case 3: this.rootNamespace = readResourceName(reader); break;
      case 4: this.trustDomain = readName(reader); break;
      case 5: readStrings(reader, this.aliases); break;
      case 6: readWorkloads(reader, this.workloads); break;
      case 7: this.gateway = changetype<usize>(readWorkload(reader, -1, false)); break;
      case 8: this.readPolicies(reader, headers);
    }
  }

  private readPolicies(reader: JsonReader, headers: HeaderSlots): void {
    this.hasPolicies = true;
    if (!reader.beginArray()) return;
    while (reader.nextElement()) {
      const policy = makePolicy(reader.index);
      readPolicy(reader, policy, headers);
      append(this.policies, changetype<usize>(policy));
    }
  }

  /** After the object: defaults, and what must be there. */
  finish(reader: JsonReader): bool {
    if (!this.hasPolicies) refuse(reader, utf8("no policies"), utf8("'policies': a list of AuthorizationPolicies, [] for none"));
    if (this.node.namespace == ABSENT) this.node.namespace = DEFAULT_NAMESPACE;
    this.namespace = this.node.namespace;
    return reader.ok;
  }

  /**
   * Leaves those of the workloads that requests lead to; or, given a listener, the one that its connections lead to, as the node.
   * So one configuration does for all filters of an Envoy. False: there is none, or another; the reader says why.
   */
  narrow(reader: JsonReader, listener: View): bool {
    const workloads = this.workloads;
    const routed = make<List>();
    let position = -1;
    for (let node = workloads.first, after: usize = 0; node != 0; node = after) {
      after = next(node);
      const workload = changetype<Workload>(node);
      if (listener == ABSENT && (workload.routes.count > 0 || workload.listeners.count == 0)) append(routed, node);
      else this.narrowed = true;
      if (listener == ABSENT || !holdsText(workload.listeners, listener)) continue;
      if (position >= 0) return reader.failAt(utf8("workloads"), workload.position, utf8("a listener of another workload"), utf8("each listener in one workload"));
      position = workload.position;
      this.node = workload;
    }
    this.workloads = routed;
    return listener == ABSENT || position >= 0 || reader.failWith(utf8("no workload of this listener"), utf8("one of 'workloads' that has it in 'listeners'"));
  }
}

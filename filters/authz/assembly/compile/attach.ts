/**
 * Which policies apply to which workload, as in Istio: those of the workload's namespace and of the root namespace, unless a
 * selector or targets name other workloads. Policies that attach alike share a layer, and a workload has at most three:
 * what the root namespace says to all, what its namespace says to all, and what is said to it.
 */
import { ABSENT, View, sameBytes } from "../../../sdk/assembly/bytes";
import { Layer, PARTS, Part, Scope } from "../match/records";
import { Arena } from "../memory/arena";
import { List, append, holdsText, make, next, textOf } from "../memory/list";
import { LayerRef, Policy, Target, Workload, makeWorkload } from "../model";

export class Attachment {
  /** The root namespace, and each namespace of a workload: as workloads that everything in them shares. */
  private readonly namespaces: List = make<List>();
  /** Position of a CUSTOM policy that names another provider than one for the same workload does, or -1. */
  clash: i32 = -1;

  /**
   * @param workloads the first is the node itself
   * @param gateway first stage; only policies that name it attach to it
   */
  constructor(
    private readonly arena: Arena, private readonly rootNamespace: View, private readonly workloads: List, private readonly gateway: usize,
  ) {
    this.addNamespace(rootNamespace);
    for (let node = workloads.first; node != 0; node = next(node)) this.addNamespace(changetype<Workload>(node).namespace);
  }

  /** Fills the policy's layers; none: it applies to nothing here. */
  attach(policy: Policy): void {
    const everywhere = policy.labels.count + policy.targets.count == 0;
    if (everywhere && this.workloads.count > 1) {
      const all = this.namespace(policy.namespace);
      if (all != 0) this.join(policy, all);
    } else {
      for (let node = this.workloads.first; node != 0; node = next(node)) this.joinIf(policy, node);
    }
    if (this.gateway != 0 && !everywhere) this.joinIf(policy, this.gateway);
  }

  /** What applies to a workload, after all policies are attached: the address of a scope for each part, one after the other. */
  scopes(workload: Workload): usize {
    const scopes = this.arena.alloc(<usize>PARTS * offsetof<Scope>());
    const first = changetype<usize>(workload) == this.gateway;
    const root = this.namespace(this.rootNamespace);
    const own = this.namespace(workload.namespace);
    for (let part = 0; part < <i32>PARTS; part++) {
      const scope = changetype<Scope>(scopes + <usize>part * offsetof<Scope>());
      scope.third = this.count(scope, changetype<usize>(workload), part);
      if (first) continue;
      scope.first = this.count(scope, root, part);
      if (own != root) scope.second = this.count(scope, own, part);
    }
    // A request is handed over once.
    let custom: usize = this.gateway == 0 ? 0 : changetype<Workload>(this.gateway).custom;
    custom = this.agreed(custom, workload.custom);
    if (!first) this.agreed(this.agreed(custom, changetype<Workload>(root).custom), changetype<Workload>(own).custom);
    return scopes;
  }

  /** Of two CUSTOM policies for one workload, or 0 each: one. */
  private agreed(a: usize, b: usize): usize {
    if (a == 0 || b == 0) return a | b;
    if (!sameBytes(changetype<Policy>(a).provider, changetype<Policy>(b).provider)) this.clash = changetype<Policy>(b).position;
    return b;
  }

  private count(scope: Scope, workload: usize, part: Part): usize {
    const layer = load<usize>(layerOf(workload, part));
    if (layer == 0) return 0;
    scope.allowPolicies += changetype<Layer>(layer).allowPolicies;
    scope.denyPolicies += changetype<Layer>(layer).denyPolicies;
    return layer;
  }

  private joinIf(policy: Policy, node: usize): void {
    const workload = changetype<Workload>(node);
    if (policy.targets.count > 0) {
      if (!isTarget(policy, workload)) return;
    } else {
      const near = sameBytes(policy.namespace, workload.namespace) || sameBytes(policy.namespace, this.rootNamespace);
      if (!near || !hasLabels(workload.labels, policy.labels)) return;
    }
    this.join(policy, node);
  }

  private join(policy: Policy, node: usize): void {
    if (policy.part == Part.Custom) {
      changetype<Workload>(node).custom = this.agreed(changetype<Workload>(node).custom, changetype<usize>(policy));
    }
    let layer = load<usize>(layerOf(node, policy.part));
    if (layer == 0) {
      layer = this.arena.alloc(offsetof<Layer>());
      store<usize>(layerOf(node, policy.part), layer);
    }
    if (policy.deny) changetype<Layer>(layer).denyPolicies++;
    else changetype<Layer>(layer).allowPolicies++;
    const joined = make<LayerRef>();
    joined.layer = layer;
    append(policy.layers, changetype<usize>(joined));
  }

  private addNamespace(namespace: View): void {
    if (this.namespace(namespace) != 0) return;
    const made = makeWorkload(-1);
    made.namespace = namespace;
    append(this.namespaces, changetype<usize>(made));
  }

  private namespace(namespace: View): usize {
    for (let node = this.namespaces.first; node != 0; node = next(node)) {
      if (sameBytes(changetype<Workload>(node).namespace, namespace)) return node;
    }
    return 0;
  }
}

/** Where the address of a workload's layer stands. */
function layerOf(workload: usize, part: Part): usize {
  return workload + offsetof<Workload>("enforced") + <usize>part * sizeof<usize>();
}

/** A reference names something of the policy's own namespace. */
function isTarget(policy: Policy, workload: Workload): bool {
  for (let node = workload.targets.first; node != 0; node = next(node)) {
    const target = changetype<Target>(node);
    if (!sameBytes(policy.namespace, target.namespace == ABSENT ? workload.namespace : target.namespace)) continue;
    for (let wanted = policy.targets.first; wanted != 0; wanted = next(wanted)) {
      if (sameBytes(changetype<Target>(wanted).name, target.name)) return true;
    }
  }
  return false;
}

function hasLabels(labels: List, wanted: List): bool {
  for (let node = wanted.first; node != 0; node = next(node)) {
    if (!holdsText(labels, textOf(node))) return false;
  }
  return true;
}

/**
 * AuthorizationPolicies as read, before they are compiled: records in scratch memory, whose texts point into the
 * configuration. All of this is gone when `configure` returns.
 */
import { ABSENT, View } from "../../sdk/assembly/bytes";
import { Field } from "./fields";
import { Part } from "./match/records";
import { List, Node, append, make, next } from "./memory/list";

/** `field` is one of `values` (or there are none) and is none of `notValues`. */
// @ts-ignore: decorator
@unmanaged
export class Condition extends Node {
  field: Field;
  /** It is about other filters' metadata, which a connection has as well as a request. */
  metadata: bool;
  /** Which header, for {@link Field.Header}. */
  slot: u32;
  values: List;
  notValues: List;
  /** The index looked its values up already, on the way to where the rule is being put. */
  used: bool;
}

/** A list of {@link Condition}s: all must hold. */
// @ts-ignore: decorator
@unmanaged
export class Clause extends Node {
  conditions: List;
}

/** Any of the sources, and any of the operations, and `when`. An empty list restricts nothing. */
// @ts-ignore: decorator
@unmanaged
export class Rule extends Node {
  index: u32;
  sources: List;
  operations: List;
  when: Clause;
}

/** What a policy attaches to, and what a workload answers to. */
// @ts-ignore: decorator
@unmanaged
export class Target extends Node {
  /** {@link ABSENT}: that of the workload. */
  namespace: View;
  /** `<kind>/<name>`. */
  name: View;
}

// @ts-ignore: decorator
@unmanaged
export class Policy extends Node {
  /** In the configuration's list. */
  position: i32;
  namespace: View;
  name: View;
  /** See {@link ./compile/order}. */
  order: View;
  /** DENY, or another action whose rules are looked up as a DENY's. */
  deny: bool;
  part: Part;
  /** Of CUSTOM, else {@link ABSENT}. */
  provider: View;
  /** `<key>=<value>` texts; a selector has none where it selects everything. */
  labels: List;
  targets: List;
  rules: List;
  /** Once attached: {@link LayerRef}s. */
  layers: List;
}

/** A layer that a policy belongs to. */
// @ts-ignore: decorator
@unmanaged
export class LayerRef extends Node {
  layer: usize;
}

/** A destination: the node itself, a workload behind it, or the gateway in front. */
// @ts-ignore: decorator
@unmanaged
export class Workload extends Node {
  position: i32;
  namespace: View;
  labels: List;
  targets: List;
  routes: List;
  /** Names of those whose connections lead to it. */
  listeners: List;
  /** Address of some CUSTOM {@link Policy} that names it, or 0. */
  custom: usize;
  /** Addresses of the layers of policies that name it, by {@link Part}. */
  enforced: usize;
  onTrial: usize;
  audit: usize;
  handOver: usize;
}

export function makeCondition(field: Field, slot: u32): Condition {
  const condition = make<Condition>();
  condition.field = field;
  condition.slot = slot;
  condition.values = make<List>();
  condition.notValues = make<List>();
  return condition;
}

export function makeClause(): Clause {
  const clause = make<Clause>();
  clause.conditions = make<List>();
  return clause;
}

/** The condition on a field; made if there is none. */
export function conditionOn(clause: Clause, field: Field): Condition {
  const known = findCondition(clause, field);
  if (known !== null) return known;
  const condition = makeCondition(field, 0);
  append(clause.conditions, changetype<usize>(condition));
  return condition;
}

export function findCondition(clause: Clause, field: Field): Condition | null {
  for (let node = clause.conditions.first; node != 0; node = next(node)) {
    if (changetype<Condition>(node).field == field) return changetype<Condition>(node);
  }
  return null;
}

export function makePolicy(position: i32): Policy {
  const policy = make<Policy>();
  policy.position = position;
  policy.namespace = ABSENT;
  policy.name = ABSENT;
  policy.provider = ABSENT;
  policy.labels = make<List>();
  policy.targets = make<List>();
  policy.rules = make<List>();
  policy.layers = make<List>();
  return policy;
}

export function makeWorkload(position: i32): Workload {
  const workload = make<Workload>();
  workload.position = position;
  workload.namespace = ABSENT;
  workload.labels = make<List>();
  workload.targets = make<List>();
  workload.routes = make<List>();
  workload.listeners = make<List>();
  return workload;
}

/**
 * Decides how each rule is found. A rule can only match if, of some list of clauses that must hold, one holds; so it is
 * enough to look it up under the values of one condition in each of those clauses. Chosen are the conditions whose values
 * are shared by the fewest rules: what is looked up then is about as many rules as match, however many there are.
 */
import { View, slice } from "../../../sdk/assembly/bytes";
import { Field, Operation, isIp } from "../fields";
import { parsedIp } from "../match/ip";
import { Kind, Layer, RuleNode, Space } from "../match/records";
import { literalPrefix } from "../match/template";
import { Clause, Condition, LayerRef, Policy, Rule } from "../model";
import { scratch } from "../memory/arena";
import { List, next, textOf } from "../memory/list";
import { Slot, Table } from "../memory/table";
import { any, operation, parse, text } from "./patterns";
import { Spaces } from "./spaces";

/** The cost of what can't be looked up. */
const NEVER: u32 = u32.MAX_VALUE;

export class IndexBuilder {
  // How many rules have each value: counted apart, and dropped when the index is built.
  private readonly counts: Spaces = new Spaces(scratch, new Table());
  /** Addresses of the {@link Space}s counted in, linked. */
  private counted: usize = 0;
  /** Namespace of the policy at hand. */
  private namespace: View = 0;

  constructor(private readonly spaces: Spaces) {}

  /** First pass, over all rules. */
  count(rule: Rule, namespace: View): void {
    this.namespace = namespace;
    for (let node = rule.sources.first; node != 0; node = next(node)) this.countClause(node);
    for (let node = rule.operations.first; node != 0; node = next(node)) this.countClause(node);
    this.countClause(changetype<usize>(rule.when));
  }

  private countClause(clause: usize): void {
    for (let node = changetype<Clause>(clause).conditions.first; node != 0; node = next(node)) {
      const condition = changetype<Condition>(node);
      for (let value = condition.values.first; value != 0; value = next(value)) {
        const slot = this.counter(condition, textOf(value));
        if (slot !== null) slot.allow++;
      }
    }
  }

  /** Second pass: in descending rank, so that pushing each to the front leaves every list ascending. */
  add(policy: Policy, rule: Rule, record: usize): void {
    this.namespace = policy.namespace;
    const sources = this.cheapest(rule.sources);
    const operations = this.cheapest(rule.operations);
    const when = this.clauseCost(changetype<usize>(rule.when));
    const least = min(min(sources, operations), when);
    for (let node = policy.layers.first; node != 0; node = next(node)) {
      const layer = changetype<Layer>(changetype<LayerRef>(node).layer);
      if (least == NEVER) {
        if (policy.deny) layer.deny = this.push(layer.deny, record);
        else layer.allow = this.push(layer.allow, record);
      } else if (least == when) this.enter(layer, policy.deny, changetype<usize>(rule.when), record);
      else {
        const clauses = least == sources ? rule.sources : rule.operations;
        for (let clause = clauses.first; clause != 0; clause = next(clause)) this.enter(layer, policy.deny, clause, record);
      }
    }
  }

  /** The most rules that share a value, if the cheapest condition of each clause is taken; no clause restricts nothing. */
  private cheapest(clauses: List): u32 {
    let most: u32 = clauses.count == 0 ? NEVER : 0;
    for (let node = clauses.first; node != 0; node = next(node)) most = max(most, this.clauseCost(node));
    return most;
  }

  private clauseCost(clause: usize): u32 {
    let least = NEVER;
    for (let node = changetype<Clause>(clause).conditions.first; node != 0; node = next(node)) least = min(least, this.cost(node));
    return least;
  }

  private cost(node: usize): u32 {
    const condition = changetype<Condition>(node);
    let most: u32 = condition.values.count == 0 ? NEVER : 0;
    for (let value = condition.values.first; value != 0 && most != NEVER; value = next(value)) {
      const slot = this.counter(condition, textOf(value));
      most = slot === null ? NEVER : max(most, <u32>slot.allow);
    }
    return most;
  }

  private enter(layer: Layer, deny: bool, clause: usize, record: usize): void {
    let best: usize = 0;
    let least = NEVER;
    for (let node = changetype<Clause>(clause).conditions.first; node != 0; node = next(node)) {
      const cost = this.cost(node);
      if (cost < least) {
        least = cost;
        best = node;
      }
    }
    const condition = changetype<Condition>(best);
    const space = changetype<Space>(this.spaceOf(layer, condition));
    for (let value = condition.values.first; value != 0; value = next(value)) {
      const slot = this.find(space, this.spaces, condition.field, textOf(value))!;
      if (deny) slot.deny = this.push(slot.deny, record);
      else slot.allow = this.push(slot.allow, record);
    }
  }

  private push(head: usize, record: usize): usize {
    if (head != 0 && changetype<RuleNode>(head).rule == record) return head; // the same value twice in one rule
    const node = changetype<RuleNode>(this.spaces.arena.alloc(offsetof<RuleNode>()));
    node.rule = record;
    node.next = head;
    return changetype<usize>(node);
  }

  /** The slot under which a value is found, made if need be; null where the value is no key: presence, wildcards inside, ports. */
  private find(space: Space, spaces: Spaces, field: Field, value: View): Slot | null {
    if (isIp(field)) {
      parsedIp.parse(value, true);
      return spaces.putNetwork(space, parsedIp);
    }
    if (field == Field.Port) return null;
    parse(field, value, this.namespace);
    if (any || operation == Operation.Glob) return null;
    if (operation != Operation.Template) return spaces.put(space, <Kind>operation, text);
    return spaces.put(space, Kind.Prefix, slice(text, 0, literalPrefix(text)));
  }

  private counter(condition: Condition, value: View): Slot | null {
    let at = this.counted;
    while (at != 0 && !isFor(at, condition)) at = changetype<Space>(at).next;
    if (at == 0) {
      at = changetype<usize>(this.counts.create(condition.field, condition.slot));
      changetype<Space>(at).next = this.counted;
      this.counted = at;
    }
    return this.find(changetype<Space>(at), this.counts, condition.field, value);
  }

  private spaceOf(layer: Layer, condition: Condition): usize {
    let at = layer.spaces;
    while (at != 0 && !isFor(at, condition)) at = changetype<Space>(at).next;
    if (at == 0) {
      at = changetype<usize>(this.spaces.create(condition.field, condition.slot));
      changetype<Space>(at).next = layer.spaces;
      layer.spaces = at;
    }
    return at;
  }

  free(): void {
    this.counts.table.clear();
  }
}

function isFor(space: usize, condition: Condition): bool {
  return changetype<Space>(space).field == condition.field && changetype<Space>(space).slot == condition.slot;
}

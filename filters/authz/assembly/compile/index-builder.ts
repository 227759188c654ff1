/**
 * Decides how each rule is found. A rule can only match if, of some list of clauses that must hold, one holds; so it is
 * enough to look it up under the values of one condition in each of those clauses. Chosen are the conditions whose values
 * are shared by the fewest rules. Where they are still many (each of 70 principals may each of 70 paths), those that share a
 * value are divided again, by a condition of another list, or a further one of the same clause. What is looked up is then
 * about as many rules as match, however many there are.
 */
import { View, slice } from "../../../sdk/assembly/bytes";
import { Field, Operation, isIp } from "../fields";
import { ClaimRecord } from "../match/claim-slots";
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
/** More rules than this under one value are divided by the values of a further condition. */
const LONG: u32 = 4;
const DEEPEST: u32 = 3;
/** In so many places a rule may be put by dividing, so that a rule with many values of several fields doesn't fill the memory. */
const MOST_ENTRIES: u32 = 64;

export class IndexBuilder {
  // How many rules have each value: counted apart, and dropped when the index is built.
  private readonly counts: Spaces = new Spaces(scratch, new Table());
  /** Addresses of the {@link Space}s counted in, linked. */
  private counted: usize = 0;
  /** Namespace of the policy at hand. */
  private namespace: View = 0;
  // The rule at hand, and on the way to its place: how many conditions were looked up, and the clauses they are of.
  private rule: Rule = changetype<Rule>(0);
  private record: usize = 0;
  private deny: bool = false;
  private depth: u32 = 0;
  private source: usize = 0;
  private operation: usize = 0;

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
    this.deny = policy.deny;
    this.rule = rule;
    this.record = record;
    for (let node = policy.layers.first; node != 0; node = next(node)) {
      this.source = 0;
      this.operation = 0;
      this.place(changetype<Layer>(changetype<LayerRef>(node).layer), 1);
    }
  }

  /** Puts the rule into a layer, under the values of conditions that aren't used yet; `entries`: in how many places already. */
  private place(layer: Layer, entries: u32): void {
    const rule = this.rule;
    const source = this.source;
    const operation = this.operation;
    const sources = source == 0 ? this.cheapest(rule.sources, entries) : this.clauseCost(source, entries);
    const operations = operation == 0 ? this.cheapest(rule.operations, entries) : this.clauseCost(operation, entries);
    const when = this.clauseCost(changetype<usize>(rule.when), entries);
    const least = min(min(sources, operations), when);
    if (least == NEVER) {
      if (this.deny) layer.deny = this.push(layer.deny);
      else layer.allow = this.push(layer.allow);
    } else if (least == when) this.enter(layer, changetype<usize>(rule.when), entries);
    else if (least == sources) {
      if (source != 0) this.enter(layer, source, entries);
      else {
        for (this.source = rule.sources.first; this.source != 0; this.source = next(this.source)) {
          this.enter(layer, this.source, entries * rule.sources.count);
        }
      }
    } else if (operation != 0) this.enter(layer, operation, entries);
    else {
      for (this.operation = rule.operations.first; this.operation != 0; this.operation = next(this.operation)) {
        this.enter(layer, this.operation, entries * rule.operations.count);
      }
    }
  }

  /** The most rules that share a value, if the cheapest condition of each clause is taken; no clause restricts nothing. */
  private cheapest(clauses: List, entries: u32): u32 {
    let most: u32 = clauses.count == 0 ? NEVER : 0;
    for (let node = clauses.first; node != 0; node = next(node)) most = max(most, this.clauseCost(node, entries * clauses.count));
    return most;
  }

  private clauseCost(clause: usize, entries: u32): u32 {
    let least = NEVER;
    for (let node = changetype<Clause>(clause).conditions.first; node != 0; node = next(node)) least = min(least, this.cost(node, entries));
    return least;
  }

  private cost(node: usize, entries: u32): u32 {
    const condition = changetype<Condition>(node);
    if (condition.used || condition.values.count == 0 || (this.depth > 0 && (this.depth == DEEPEST || entries * condition.values.count > MOST_ENTRIES))) return NEVER;
    let most: u32 = 0;
    for (let value = condition.values.first; value != 0 && most != NEVER; value = next(value)) {
      const slot = this.counter(condition, textOf(value));
      // Of two that divide as well, not the claim: reading it is a call to the host.
      most = slot === null ? NEVER : max(most, (<u32>slot.allow << 1) + u32(condition.field >= Field.Claim));
    }
    return most;
  }

  private enter(layer: Layer, clause: usize, entries: u32): void {
    let best: usize = 0;
    let least = NEVER;
    for (let node = changetype<Clause>(clause).conditions.first; node != 0; node = next(node)) {
      const cost = this.cost(node, entries);
      if (cost < least) {
        least = cost;
        best = node;
      }
    }
    const condition = changetype<Condition>(best);
    const space = changetype<Space>(this.spaceOf(layer, condition));
    condition.used = true;
    this.depth++;
    for (let value = condition.values.first; value != 0; value = next(value)) {
      const shared = changetype<Slot>(this.counter(condition, textOf(value))).allow;
      const slot = this.find(space, this.spaces, condition.field, textOf(value));
      if (slot === null) continue; // not so: its cost would be NEVER
      if (shared > LONG) {
        if (slot.layer == 0) slot.layer = this.spaces.arena.alloc(offsetof<Layer>());
        this.place(changetype<Layer>(slot.layer), entries * condition.values.count);
      } else if (this.deny) slot.deny = this.push(slot.deny);
      else slot.allow = this.push(slot.allow);
    }
    this.depth--;
    condition.used = false;
  }

  private push(head: usize): usize {
    const record = this.record;
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
      at = changetype<usize>(this.counts.create(fieldOf(condition), slotOf(condition)));
      changetype<Space>(at).next = this.counted;
      this.counted = at;
    }
    return this.find(changetype<Space>(at), this.counts, condition.field, value);
  }

  private spaceOf(layer: Layer, condition: Condition): usize {
    let at = layer.spaces;
    while (at != 0 && !isFor(at, condition)) at = changetype<Space>(at).next;
    if (at == 0) {
      at = changetype<usize>(this.spaces.create(fieldOf(condition), slotOf(condition)));
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
  return changetype<Space>(space).field == fieldOf(condition) && changetype<Space>(space).slot == slotOf(condition);
}

// A request principal is looked up by its subject: there are few issuers.

function fieldOf(condition: Condition): Field {
  return condition.field == Field.RequestPrincipal ? Field.Claim : condition.field;
}

function slotOf(condition: Condition): u32 {
  return condition.field == Field.RequestPrincipal ? <u32>changetype<ClaimRecord>(condition.slot).subject : condition.slot;
}

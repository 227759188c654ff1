/** Turns the policies that were read into records and the index over them. */
import { ABSENT, View, address, size } from "../../../sdk/assembly/bytes";
import { Field, Needs } from "../fields";
import { ClauseRecord, ConditionRecord, PolicyRecord, RuleRecord } from "../match/records";
import { Clause, Condition, Policy, Rule, findCondition } from "../model";
import { scratch } from "../memory/arena";
import { List, next, textOf } from "../memory/list";
import { sortList } from "../memory/sort";
import { IndexBuilder } from "./index-builder";
import { byIndex, byName } from "./order";
import { compileSet } from "./sets";
import { Settings } from "../settings";
import { Spaces } from "./spaces";
import { withDecoded } from "./spellings";
import { dropHttp } from "./tcp";
import { expandAliases } from "./trust-domains";

/** A rule on its way, so that all can be gone through from the last to the first. */
// @ts-ignore: decorator
@unmanaged
class Ranked {
  before: usize;
  policy: Policy;
  rule: Rule;
  record: usize;
}

/**
 * Compiles the policies that are attached to something; sorts the list.
 *
 * @param trustDomains the mesh's own first, then its aliases
 * @returns which attributes the rules look at, {@link Needs}
 */
export function compile(settings: Settings, trustDomains: List, spaces: Spaces): u32 {
  const policies = settings.policies;
  const tcp = settings.tcp;
  sortList(policies, byName);
  const index = new IndexBuilder(spaces);
  let last: usize = 0;
  let rank: u32 = 0;
  let needs: u32 = 0;
  for (let node = policies.first; node != 0; node = next(node)) {
    const policy = changetype<Policy>(node);
    if (policy.layers.count == 0) continue;
    const record = changetype<PolicyRecord>(spaces.arena.alloc(offsetof<PolicyRecord>()));
    record.namespace = spaces.arena.copy(policy.namespace);
    record.name = spaces.arena.copy(policy.name);
    if (policy.provider != ABSENT) record.provider = spaces.arena.copy(policy.provider);
    sortList(policy.rules, byIndex);
    for (let inner = policy.rules.first; inner != 0; inner = next(inner)) {
      const rule = changetype<Rule>(inner);
      if (tcp && !dropHttp(rule, policy.deny)) continue;
      for (let source = rule.sources.first; source != 0; source = next(source)) needs |= prepare(source, trustDomains);
      for (let to = rule.operations.first; to != 0; to = next(to)) {
        if (settings.strictPaths) spellOut(to, policy.deny);
        needs |= prepare(to, trustDomains);
      }
      needs |= prepare(changetype<usize>(rule.when), trustDomains);
      index.count(rule, policy.namespace);
      const ranked = changetype<Ranked>(scratch.alloc(offsetof<Ranked>()));
      ranked.before = last;
      ranked.policy = policy;
      ranked.rule = rule;
      ranked.record = changetype<usize>(record);
      last = changetype<usize>(ranked);
      rank++;
    }
  }
  while (last != 0) {
    const ranked = changetype<Ranked>(last);
    const rule = compileRule(ranked.rule, ranked.policy.namespace, spaces);
    rule.rank = --rank;
    rule.policy = ranked.record;
    index.add(ranked.policy, ranked.rule, changetype<usize>(rule));
    last = ranked.before;
  }
  index.free();
  return needs;
}

/** Writes aliases out; what the clause needs. */
function prepare(clause: usize, trustDomains: List): u32 {
  let needs: u32 = 0;
  for (let node = changetype<Clause>(clause).conditions.first; node != 0; node = next(node)) {
    const condition = changetype<Condition>(node);
    condition.values = expandAliases(condition.field, condition.values, trustDomains);
    condition.notValues = expandAliases(condition.field, condition.notValues, trustDomains);
    needs |= 1 << condition.field;
    if (condition.field == Field.Principal && (asksPresence(condition.values) || asksPresence(condition.notValues))) {
      needs |= Needs.AnyCertificate;
    }
  }
  return needs;
}

/** Paths that a request had better not be on. */
function spellOut(operation: usize, deny: bool): void {
  const condition = findCondition(changetype<Clause>(operation), Field.Path);
  if (condition === null) return;
  if (deny) condition.values = withDecoded(condition.values);
  else condition.notValues = withDecoded(condition.notValues);
}

function compileRule(rule: Rule, namespace: View, spaces: Spaces): RuleRecord {
  const record = changetype<RuleRecord>(spaces.arena.alloc(offsetof<RuleRecord>()));
  record.index = rule.index;
  record.from = compileClauses(rule.sources, namespace, spaces);
  record.fromCount = rule.sources.count;
  record.to = compileClauses(rule.operations, namespace, spaces);
  record.toCount = rule.operations.count;
  if (rule.when.conditions.count > 0) record.when = compileClause(rule.when, namespace, spaces);
  return record;
}

function compileClauses(clauses: List, namespace: View, spaces: Spaces): usize {
  const array = spaces.arena.alloc(<usize>clauses.count * sizeof<usize>());
  let at = array;
  for (let node = clauses.first; node != 0; node = next(node), at += sizeof<usize>()) {
    store<usize>(at, compileClause(changetype<Clause>(node), namespace, spaces));
  }
  return array;
}

function compileClause(clause: Clause, namespace: View, spaces: Spaces): usize {
  const bytes = offsetof<ClauseRecord>() + <usize>clause.conditions.count * offsetof<ConditionRecord>();
  const record = spaces.arena.alloc(bytes);
  changetype<ClauseRecord>(record).count = clause.conditions.count;
  let at = record + offsetof<ClauseRecord>();
  let last = record + bytes;
  for (let node = clause.conditions.first; node != 0; node = next(node)) {
    const condition = changetype<Condition>(node);
    // Claims are asked last: each is a call to the host.
    const to = condition.field >= Field.Claim ? (last -= offsetof<ConditionRecord>()) : at;
    if (to == at) at += offsetof<ConditionRecord>();
    const compiled = changetype<ConditionRecord>(to);
    compiled.field = condition.field;
    compiled.slot = condition.slot;
    compiled.values = compileSet(condition.field, condition.values, namespace, spaces);
    compiled.notValues = compileSet(condition.field, condition.notValues, namespace, spaces);
  }
  return record;
}

function asksPresence(values: List): bool {
  for (let node = values.first; node != 0; node = next(node)) {
    if (size(textOf(node)) == 1 && load<u8>(address(textOf(node))) == 42) return true;
  }
  return false;
}

/**
 * What is left of a rule where there is no request, only a connection, as istiod translates it: an ALLOW rule that asks for
 * something of HTTP is dropped, since it could allow too much; of a rule of another action that field alone is, so that it
 * matches more. An ALLOW policy whose every rule was dropped allows nothing.
 */
import { Field } from "../fields";
import { Clause, Condition, Rule } from "../model";
import { List, next } from "../memory/list";

/** False: the rule is dropped. */
export function dropHttp(rule: Rule, widen: bool): bool {
  return dropFrom(rule.sources, widen) && dropFrom(rule.operations, widen) && dropOf(rule.when, widen);
}

function dropFrom(clauses: List, widen: bool): bool {
  for (let node = clauses.first; node != 0; node = next(node)) {
    const clause = changetype<Clause>(node);
    if (!dropOf(clause, widen)) return false;
    if (clause.conditions.count > 0) continue;
    // Nothing is left of one of them, and any of them would do.
    clauses.first = 0;
    clauses.last = 0;
    clauses.count = 0;
    return true;
  }
  return true;
}

function dropOf(clause: Clause, widen: bool): bool {
  const conditions = clause.conditions;
  let before: usize = 0;
  for (let node = conditions.first; node != 0; node = next(node)) {
    if (!isHttp(changetype<Condition>(node))) {
      before = node;
      continue;
    }
    if (!widen) return false;
    if (before == 0) conditions.first = next(node);
    else changetype<Condition>(before).next = next(node);
    if (next(node) == 0) conditions.last = before;
    conditions.count--;
  }
  return true;
}

function isHttp(condition: Condition): bool {
  switch (condition.field) {
    case Field.Host: case Field.Method: case Field.Path: case Field.Header: case Field.RequestPrincipal: return true;
    default: return condition.field == Field.Claim && !condition.metadata;
  }
}

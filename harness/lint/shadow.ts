/** Rules that decide nothing: contradictory ones, and those whose requests another rule decides in any case. */
import { DRY_RUN } from "../compose/check/authorization.ts";
import type { Report } from "../compose/report.ts";
import { formatPosition } from "../errors.ts";
import { denies, placeOf, type Clause, type Rule } from "./clauses.ts";
import { clauseCovers, isContradiction, isExact } from "./cover.ts";
import type { Attached } from "./attached.ts";

export function lintShadowed(rules: Rule[], attached: Attached, report: Report): void {
  const index = new ClauseIndex();
  for (const rule of rules) for (const clause of rule.clauses) index.add({ rule, clause });
  rules.forEach((rule, position) => {
    const never = rule.clauses.map(isContradiction);
    if (never.every((constraint) => constraint !== undefined)) {
      report[denies(rule.policy) ? "error" : "warn"]("rule-never-matches", rule.policy, placeOf(never[0]!), `no request can match this rule: what it asks of ${never[0]!.attribute} contradicts itself`, {
        fix: denies(rule.policy) ? "as it stands it denies nothing: remove one side" : "remove one side, or the rule",
      });
      return;
    }
    const other = index.covering(rule, (candidate) => decidesFirst(candidate, rule, rules.indexOf(candidate) - position, attached));
    if (other) reportShadowed(rule, other, report);
  });
}

function reportShadowed(rule: Rule, other: Rule, report: Report): void {
  const name = `rule ${other.index} of ${other.policy.id} (${formatPosition(other.policy.at(other.path))})`;
  if (denies(other.policy) && !denies(rule.policy)) {
    report.warn("rule-unreachable", rule.policy, rule.path, `this rule allows nothing: ${name} denies every request that it matches`, { fix: "narrow the DENY, or remove this rule" });
  } else {
    report.warn("rule-shadowed", rule.policy, rule.path, `this rule decides nothing: ${name} matches every request that it matches`, { fix: "remove it, or check what it was meant to add" });
  }
}

/** Of two rules that cover each other the later one is superfluous. */
function decidesFirst(candidate: Rule, rule: Rule, distance: number, attached: Attached): boolean {
  if (candidate === rule || onTrial(candidate) !== onTrial(rule)) return false;
  const action = (each: Rule): string => each.policy.spec.action ?? "ALLOW";
  if (action(candidate) !== action(rule)) {
    return denies(candidate.policy) && action(rule) === "ALLOW" && attached.wherever(rule.policy, candidate.policy);
  }
  if (!attached.wherever(rule.policy, candidate.policy)) return false;
  const mutual = rule.clauses.length > 0 && candidate.clauses.every((clause) => rule.clauses.some((each) => clauseCovers(each, clause))) && attached.wherever(candidate.policy, rule.policy);
  return !mutual || distance < 0;
}

const onTrial = (rule: Rule): boolean => rule.policy.annotations[DRY_RUN] === "true";

interface Entry {
  rule: Rule;
  clause: Clause;
}

/** Finds clauses that may cover another without comparing all with all: by one exact value that both must have. */
class ClauseIndex {
  readonly #byValue = new Map<string, Entry[]>();
  readonly #general: Entry[] = [];

  add(entry: Entry): void {
    const selective = entry.clause.constraints.find(({ attribute, values }) => values.length > 0 && values.every((value) => isExact(attribute, value)));
    if (!selective) {
      this.#general.push(entry);
      return;
    }
    for (const value of selective.values) {
      const key = keyOf(selective.attribute, value);
      const list = this.#byValue.get(key);
      if (list) list.push(entry);
      else this.#byValue.set(key, [entry]);
    }
  }

  /** The first rule of which some clause covers each clause of this one. */
  covering(rule: Rule, eligible: (candidate: Rule) => boolean): Rule | undefined {
    let first: Rule | undefined;
    for (const clause of rule.clauses) {
      if (isContradiction(clause)) continue;
      const found = this.#candidates(clause).find((entry) => clauseCovers(entry.clause, clause) && eligible(entry.rule));
      if (!found) return undefined;
      first ??= found.rule;
    }
    return first;
  }

  #candidates(clause: Clause): Entry[] {
    const keyed = clause.constraints.flatMap(({ attribute, values }) => values.flatMap((value) => this.#byValue.get(keyOf(attribute, value)) ?? []));
    return [...this.#general, ...keyed];
  }
}

const keyOf = (attribute: string, value: string): string => `${attribute} ${attribute === "host" ? value.toLowerCase() : value}`;

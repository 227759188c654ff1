/** Rules that decide nothing: contradictory ones, and those whose requests another rule decides in any case. */
import { DRY_RUN } from "../compose/check/authorization.ts";
import type { Report } from "../compose/report.ts";
import { formatPosition } from "../errors.ts";
import { denies, placeOf, type Clause, type Constraint, type Rule } from "./clauses.ts";
import { ADDRESSES, clauseCovers, isContradiction, isExact, isTemplate } from "./cover.ts";
import { networkKey, networkKeys } from "../compose/check/network.ts";
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

/** Finds clauses that may cover another without comparing all with all: by the values of one attribute that both must have. */
class ClauseIndex {
  readonly #byValue = new Map<string, Entry[]>();
  /** By attribute, how long the patterns and networks are that something was added under. */
  readonly #lengths = new Map<string, Set<number>>();
  readonly #general: Entry[] = [];

  add(entry: Entry): void {
    const { constraints } = entry.clause;
    const having = (is: (attribute: string, value: string) => boolean): Constraint | undefined => constraints.find(({ attribute, values }) => values.length > 0 && values.every((value) => is(attribute, value)));
    const selective = having(isExact) ?? having((attribute, value) => isExact(attribute, value) || patternKey(attribute, value) !== undefined);
    if (!selective) {
      this.#general.push(entry);
      return;
    }
    for (const value of selective.values) {
      const { key, length } = patternKey(selective.attribute, value) ?? { key: keyOf(selective.attribute, value), length: undefined };
      const list = this.#byValue.get(key);
      if (list) list.push(entry);
      else this.#byValue.set(key, [entry]);
      if (length === undefined) continue;
      const lengths = this.#lengths.get(selective.attribute);
      if (lengths) lengths.add(length);
      else this.#lengths.set(selective.attribute, new Set([length]));
    }
  }

  /** The first rule of which some clause covers each clause of this one. */
  covering(rule: Rule, eligible: (candidate: Rule) => boolean): Rule | undefined {
    let first: Rule | undefined;
    for (const clause of rule.clauses) {
      if (isContradiction(clause)) continue;
      const found = this.#candidates(rule, clause).find((entry) => clauseCovers(entry.clause, clause) && eligible(entry.rule));
      if (!found) return undefined;
      first ??= found.rule;
    }
    return first;
  }

  /** Each once, and none of the rule's own. */
  #candidates(rule: Rule, clause: Clause): Entry[] {
    const found = new Set(this.#general);
    for (const { attribute, values } of clause.constraints) {
      const lengths = this.#lengths.get(attribute) ?? [];
      for (const value of values) for (const key of keysOf(attribute, value, lengths)) for (const entry of this.#byValue.get(key) ?? []) found.add(entry);
    }
    return [...found].filter((entry) => entry.rule !== rule);
  }
}

const plain = (attribute: string, value: string): string => (attribute === "host" ? value.toLowerCase() : value);
const keyOf = (attribute: string, value: string): string => `${attribute} ${plain(attribute, value)}`;
const prefixKey = (attribute: string, value: string, length: number): string => `${attribute}* ${plain(attribute, value).slice(0, length)}`;

/** Of a network, or of a pattern that is a prefix: the key that {@link keysOf} gives for whatever it covers. */
function patternKey(attribute: string, value: string): { key: string; length: number } | undefined {
  if (ADDRESSES.includes(attribute)) {
    const network = networkKey(value);
    return network && { key: `${attribute} ${network.key}`, length: network.length };
  }
  if (!value.endsWith("*") || value.startsWith("*") || (attribute === "path" && isTemplate(value))) return undefined;
  return { key: prefixKey(attribute, value, value.length - 1), length: value.length - 1 };
}

/** Under which keys there may be something that covers this value. */
function* keysOf(attribute: string, value: string, lengths: Iterable<number>): Iterable<string> {
  yield keyOf(attribute, value);
  if (ADDRESSES.includes(attribute)) for (const key of networkKeys(value, lengths)) yield `${attribute} ${key}`;
  else for (const length of lengths) if (length <= value.length) yield prefixKey(attribute, value, length);
}

/**
 * Does one value, constraint or clause match whatever another one matches? "No" may also mean "not for certain": what is
 * reported as shadowed must be so. Pure.
 */
import type { Clause, Constraint } from "./clauses.ts";
import { networkCovers } from "../compose/check/network.ts";

export const ADDRESSES = ["source.ip", "remote.ip", "destination.ip"];

export function clauseCovers(general: Clause, special: Clause): boolean {
  return general.constraints.every((constraint) => special.constraints.some((other) => constraintCovers(constraint, other)));
}

function constraintCovers(general: Constraint, special: Constraint): boolean {
  const { attribute } = general;
  if (attribute !== special.attribute) return false;
  const inside = general.values.length === 0 || (special.values.length > 0 && special.values.every((value) => listCovers(attribute, general.values, value)));
  return inside && general.notValues.every((excluded) => excludes(attribute, special, excluded));
}

/** Does nothing that fulfils the constraint match the value? */
function excludes(attribute: string, constraint: Constraint, value: string): boolean {
  if (listCovers(attribute, constraint.notValues, value)) return true;
  return constraint.values.length > 0 && constraint.values.every((each) => isExact(attribute, each) && !valueCovers(attribute, value, each) && isSimple(attribute, value));
}

/** Can no request fulfil the clause? */
export function isContradiction(clause: Clause): Constraint | undefined {
  return clause.constraints.find(
    (constraint) =>
      (constraint.values.length > 0 && constraint.values.every((value) => listCovers(constraint.attribute, constraint.notValues, value))) ||
      clause.constraints.some((other) => other !== constraint && other.attribute === constraint.attribute && disjoint(constraint, other)),
  );
}

/** Two lists of values that one attribute can't be in at the same time. A header may come with several values, so it can. */
function disjoint({ attribute, values }: Constraint, other: Constraint): boolean {
  if (attribute.includes("[") || attribute.startsWith("request.auth.") || values.length === 0 || other.values.length === 0) return false;
  return values.every((a) => isExact(attribute, a) && other.values.every((b) => isSimple(attribute, b) && !valueCovers(attribute, b, a)));
}

/** Stands for one string and nothing else. */
export function isExact(attribute: string, value: string): boolean {
  if (ADDRESSES.includes(attribute)) return !value.includes("/");
  return !value.includes("*") && !(attribute === "path" && isTemplate(value));
}

/** Is "doesn't cover" certain here? It isn't for templates, and for patterns with a star in the middle. */
function isSimple(attribute: string, value: string): boolean {
  return !(attribute === "path" && isTemplate(value)) && !value.slice(1, -1).includes("*");
}

export function isTemplate(path: string): boolean {
  return path.includes("{");
}

/** A list's values by themselves, and those of them that stand for more than one string: lists of thousands are compared with each other. */
const sorted = new WeakMap<readonly string[], { attribute: string; all: Set<string>; general: string[] }>();

/** Does some value of the list match whatever this one does? */
export function listCovers(attribute: string, list: readonly string[], value: string): boolean {
  let known = sorted.get(list);
  // With anchors, one list may stand for two attributes.
  if (known?.attribute !== attribute) {
    const plain = (each: string): string => (attribute === "host" ? each.toLowerCase() : each);
    known = { attribute, all: new Set(list.map(plain)), general: list.filter((each) => !isExact(attribute, each) || ADDRESSES.includes(attribute)) };
    sorted.set(list, known);
  }
  return known.all.has(attribute === "host" ? value.toLowerCase() : value) || known.general.some((each) => valueCovers(attribute, each, value));
}

export function valueCovers(attribute: string, general: string, special: string): boolean {
  if (ADDRESSES.includes(attribute)) return networkCovers(general, special);
  if (attribute === "host") return textCovers(general.toLowerCase(), special.toLowerCase());
  if (attribute === "path" && (isTemplate(general) || isTemplate(special))) {
    return general === special || (!isTemplate(general) && general.endsWith("*") && special.slice(0, special.indexOf("{")).startsWith(general.slice(0, -1)));
  }
  return textCovers(general, special);
}

/** `*` anything, `x*` a prefix, `*x` a suffix, in this order; else the text itself. */
function textCovers(general: string, special: string): boolean {
  if (general === "*" || general === special) return true;
  if (general.startsWith("*")) return !special.endsWith("*") && special.endsWith(general.slice(1));
  if (general.endsWith("*")) return !special.startsWith("*") && special.replace(/\*$/, "").startsWith(general.slice(0, -1));
  return false;
}

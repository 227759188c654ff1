/**
 * Does one value, constraint or clause match whatever another one matches? "No" may also mean "not for certain": what is
 * reported as shadowed must be so. Pure.
 */
import { BlockList, isIPv6 } from "node:net";
import { cidrProblem } from "../compose/check/authorization-values.ts";
import type { Clause, Constraint } from "./clauses.ts";

const ADDRESSES = ["source.ip", "remote.ip", "destination.ip"];

export function clauseCovers(general: Clause, special: Clause): boolean {
  return general.constraints.every((constraint) => special.constraints.some((other) => constraintCovers(constraint, other)));
}

function constraintCovers(general: Constraint, special: Constraint): boolean {
  const { attribute } = general;
  if (attribute !== special.attribute) return false;
  const inside = general.values.length === 0 || (special.values.length > 0 && special.values.every((value) => general.values.some((each) => valueCovers(attribute, each, value))));
  return inside && general.notValues.every((excluded) => excludes(attribute, special, excluded));
}

/** Does nothing that fulfils the constraint match the value? */
function excludes(attribute: string, constraint: Constraint, value: string): boolean {
  if (constraint.notValues.some((each) => valueCovers(attribute, each, value))) return true;
  return constraint.values.length > 0 && constraint.values.every((each) => isExact(attribute, each) && !valueCovers(attribute, value, each) && isSimple(attribute, value));
}

/** Can no request fulfil the clause? */
export function isContradiction(clause: Clause): Constraint | undefined {
  return clause.constraints.find(
    (constraint) =>
      (constraint.values.length > 0 && constraint.values.every((value) => constraint.notValues.some((each) => valueCovers(constraint.attribute, each, value)))) ||
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

function networkCovers(general: string, special: string): boolean {
  // What is no address was refused already.
  if (cidrProblem(general) !== undefined || cidrProblem(special) !== undefined) return general === special;
  const [network = "", bits] = general.split("/");
  const [address = "", most] = special.split("/");
  const family = isIPv6(network) ? "ipv6" : "ipv4";
  if (isIPv6(address) !== isIPv6(network)) return false;
  const width = family === "ipv6" ? 128 : 32;
  if (Number(bits ?? width) > Number(most ?? width)) return false;
  const list = new BlockList();
  list.addSubnet(network, Number(bits ?? width), family);
  return list.check(address, family);
}

/** Changes to a policy, one place at a time: what a slip of the hand, or an attacker's pull request, could make of it. Pure. */
import type { Position } from "../errors.ts";
import type { AuthorizationRule, AuthorizationSpec } from "../compose/schema/authorization.ts";
import type { Path } from "../compose/source.ts";
import { NEVER } from "../decide/conditions.ts";
import type { Policy } from "../decide/node.ts";

export interface Mutant {
  policy: Policy;
  /** What was changed, in words. */
  change: string;
  where: Position;
  /** Undefined: without the policy. */
  spec: AuthorizationSpec | undefined;
  /** The rules that differ; undefined: any. */
  rule: number | undefined;
}

type Fields = Record<string, string[] | undefined>;

const NETWORKS = new Set(["ipBlocks", "remoteIpBlocks", "source.ip", "remote.ip", "destination.ip"]);
const NO_WILDCARD = new Set(["serviceAccounts", "source.serviceAccount", "ports", "destination.port", ...NETWORKS]);

export function mutantsOf(policy: Policy): Mutant[] {
  const { spec } = policy;
  // What decides nothing here, no test could notice.
  if (spec.action === "AUDIT" || spec.action === "CUSTOM") return [];
  const rules = spec.rules ?? [];
  const make = (change: string, path: Path, next: AuthorizationSpec | undefined, rule?: number): Mutant => ({ policy, change, where: policy.at(path, "key"), spec: next, rule });
  const all = [make("without the policy", ["metadata", "name"], undefined)];
  if (rules.length > 0) {
    const deny = spec.action === "DENY";
    all.push(make(deny ? "DENY became ALLOW" : "ALLOW became DENY", ["spec", "action"], { ...spec, action: deny ? "ALLOW" : "DENY" }));
  }
  if (spec.selector?.matchLabels && Object.keys(spec.selector.matchLabels).length > 0) all.push(make("without the selector", ["spec", "selector"], { ...spec, selector: undefined }));
  rules.forEach((rule, index) => {
    const base: Path = ["spec", "rules", index];
    const replaced = (next: AuthorizationRule): AuthorizationSpec => ({ ...spec, rules: rules.map((each, i) => (i === index ? next : each)) });
    all.push(make(`without rule ${index}`, base, replaced(NEVER), index)); // other rules, which tests may name, keep their indexes
    for (const { change, path, next } of ruleMutants(rule)) all.push(make(change, [...base, ...path], replaced(next), index));
  });
  return all;
}

interface RuleMutant {
  change: string;
  path: Path;
  next: AuthorizationRule;
}

function ruleMutants(rule: AuthorizationRule): RuleMutant[] {
  const found: RuleMutant[] = [];
  for (const [list, member] of [["from", "source"], ["to", "operation"]] as const) {
    const entries = (rule[list] ?? []) as Record<string, Fields>[];
    entries.forEach((entry, index) => {
      const path: Path = [list, index, member];
      if (entries.length > 1) found.push({ change: `without this ${member}`, path: [list, index], next: { ...rule, [list]: entries.filter((_, i) => i !== index) } });
      for (const { change, field, fields } of fieldMutants(entry[member]!)) {
        const empty = Object.values(fields).every((values) => !values?.length);
        // Of an alternative that asks nothing, the others are no restriction any more.
        const next = empty ? omit(rule, list) : { ...rule, [list]: entries.map((each, i) => (i === index ? { [member]: fields } : each)) };
        found.push({ change, path: [...path, field], next: next as AuthorizationRule });
      }
    });
  }
  rule.when?.forEach((condition, index) => {
    const others = rule.when!.filter((_, i) => i !== index);
    const without = others.length > 0 ? { ...rule, when: others } : omit(rule, "when");
    found.push({ change: `without the condition on ${condition.key}`, path: ["when", index], next: without });
    for (const list of ["values", "notValues"] as const) {
      const values = condition[list];
      if (!values?.length) continue;
      const replaced = (next: string[]): AuthorizationRule => ({ ...rule, when: rule.when!.map((each, i) => (i === index ? { ...each, [list]: next } : each)) });
      const path: Path = ["when", index, list];
      for (const { change, values: next } of valueMutants(condition.key, values, list === "notValues")) found.push({ change: `${condition.key}: ${change}`, path, next: replaced(next) });
      const other = list === "values" ? "notValues" : "values";
      if (!condition[other]?.length) found.push({ change: `${condition.key}: ${list} became ${other}`, path, next: { ...rule, when: rule.when!.map((each, i) => (i === index ? { key: each.key, [other]: values } : each)) } });
    }
  });
  return found;
}

function fieldMutants(fields: Fields): { change: string; field: string; fields: Fields }[] {
  return Object.entries(fields).flatMap(([field, values]) => {
    if (!values?.length) return [];
    const negated = /^not[A-Z]/.test(field);
    const plain = negated ? field.charAt(3).toLowerCase() + field.slice(4) : field;
    const opposite = negated ? plain : `not${field.charAt(0).toUpperCase()}${field.slice(1)}`;
    const all = [{ change: `without ${field}`, field, fields: omit(fields, field) }];
    if (!fields[opposite]?.length) all.push({ change: `${field} became ${opposite}`, field, fields: { ...omit(fields, field), [opposite]: values } });
    for (const { change, values: next } of valueMutants(plain, values, negated)) all.push({ change: `${field}: ${change}`, field, fields: { ...fields, [field]: next } });
    return all;
  });
}

/** @param attribute name of the field, without its `not`, or key of the condition */
function valueMutants(attribute: string, values: readonly string[], negated: boolean): { change: string; values: string[] }[] {
  const found: { change: string; values: string[] }[] = [];
  const replace = (index: number, value: string): string[] => values.map((each, i) => (i === index ? value : each));
  values.forEach((value, index) => {
    if (values.length > 1) found.push({ change: `without "${value}"`, values: values.filter((_, i) => i !== index) });
    for (const next of variations(attribute, value)) if (!values.includes(next)) found.push({ change: `"${value}" became "${next}"`, values: replace(index, next) });
  });
  const widest = NETWORKS.has(attribute) ? "0.0.0.0/0" : NO_WILDCARD.has(attribute) ? undefined : "*";
  if (widest !== undefined && !negated && !values.includes(widest)) found.push({ change: `any value ("${widest}")`, values: [widest] });
  return found;
}

/** A little wider, a little narrower, another. */
function variations(attribute: string, value: string): string[] {
  if (attribute === "methods") return [value === "GET" ? "POST" : "GET"];
  if (attribute === "ports" || attribute === "destination.port") return [value === "443" ? "80" : "443"];
  if (NETWORKS.has(attribute)) return value.includes("/") ? [value.split("/", 1)[0]!] : [];
  if (NO_WILDCARD.has(attribute)) return [`${value}x`];
  if (value === "*") return [];
  if (value.includes("{**}")) return [value.replaceAll("{**}", "{*}")];
  if (value.includes("{*}")) {
    const last = value.lastIndexOf("{*}");
    return [`${value.slice(0, last)}{**}${value.slice(last + 3)}`];
  }
  if (value.endsWith("*")) return [value.slice(0, -1)].filter((each) => each !== "");
  if (value.startsWith("*")) return [value.slice(1)].filter((each) => each !== "");
  return [`${value}*`];
}

function omit<T extends object>(value: T, key: string): T {
  return Object.fromEntries(Object.entries(value).filter(([name]) => name !== key)) as T;
}

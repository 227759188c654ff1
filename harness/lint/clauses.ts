/** Rules of AuthorizationPolicies as the alternatives that they are: one clause for each pair of source and operation. */
import type { Resource } from "../compose/load.ts";
import type { AuthorizationRule } from "../compose/schema/authorization.ts";
import type { Path } from "../compose/source.ts";

export type Policy = Resource<"AuthorizationPolicy">;

/** A request fulfils it when its attribute is one of `values` (any, where there are none) and none of `notValues`. */
export interface Constraint {
  /** The attribute, by its name in `when`; `host`, `method` and `path` have none there. */
  attribute: string;
  values: string[];
  notValues: string[];
  /** Where the lists stand. */
  at: { values: Path; notValues: Path };
}

/** Where a constraint stands: its first list that says something. */
export function placeOf({ values, at }: Constraint): Path {
  return values.length > 0 ? at.values : at.notValues;
}

export interface Clause {
  constraints: Constraint[];
}

export interface Rule {
  policy: Policy;
  index: number;
  /** Where the rule stands. */
  path: Path;
  /** One of them must hold. */
  clauses: Clause[];
}

/** Fields of `source` and `operation` → the attribute that they look at. */
const ATTRIBUTES: Record<string, string> = {
  principals: "source.principal",
  namespaces: "source.namespace",
  serviceAccounts: "source.serviceAccount",
  trustDomains: "source.trustDomain",
  ipBlocks: "source.ip",
  remoteIpBlocks: "remote.ip",
  requestPrincipals: "request.auth.principal",
  hosts: "host",
  ports: "destination.port",
  methods: "method",
  paths: "path",
};

export function rulesOfPolicy(policy: Policy): Rule[] {
  return (policy.spec.rules ?? []).map((rule, index) => {
    const path: Path = ["spec", "rules", index];
    const sources = alternatives(rule.from?.map(({ source }, i) => constraintsOf(source, [...path, "from", i, "source"])));
    const operations = alternatives(rule.to?.map(({ operation }, i) => constraintsOf(operation, [...path, "to", i, "operation"])));
    const conditions = conditionsOf(rule, path);
    const clauses = sources.flatMap((source) => operations.map((operation) => ({ constraints: [...source, ...operation, ...conditions].map((each) => qualified(each, policy)) })));
    return { policy, index, path, clauses };
  });
}

/** No list at all means any: one alternative without constraints. */
function alternatives(list: Constraint[][] | undefined): Constraint[][] {
  return list && list.length > 0 ? list : [[]];
}

function constraintsOf(fields: Partial<Record<string, string[]>>, path: Path): Constraint[] {
  return Object.entries(ATTRIBUTES).flatMap(([name, attribute]) => {
    const not = `not${name.charAt(0).toUpperCase()}${name.slice(1)}`;
    const constraint = { attribute, values: fields[name] ?? [], notValues: fields[not] ?? [] };
    if (constraint.values.length + constraint.notValues.length === 0) return [];
    return [{ ...constraint, at: { values: [...path, name], notValues: [...path, not] } }];
  });
}

function conditionsOf(rule: AuthorizationRule, path: Path): Constraint[] {
  return (rule.when ?? []).map(({ key, values = [], notValues = [] }, i) => {
    const at: Path = [...path, "when", i];
    return { attribute: attributeOfKey(key), values, notValues, at: { values: [...at, "values"], notValues: [...at, "notValues"] } };
  });
}

/** Header names are the same in any case. */
function attributeOfKey(key: string): string {
  return key.startsWith("request.headers[") ? key.toLowerCase() : key;
}

/** `account` means the one in the policy's namespace. */
function qualified(constraint: Constraint, policy: Policy): Constraint {
  if (constraint.attribute !== "source.serviceAccount") return constraint;
  const full = (value: string): string => (value.includes("/") ? value : `${policy.namespace}/${value}`);
  return { ...constraint, values: constraint.values.map(full), notValues: constraint.notValues.map(full) };
}

/** Does the policy deny what matches? */
export function denies(policy: Policy): boolean {
  return policy.spec.action === "DENY";
}

/** Does a value that fails to match let a request through? Of CUSTOM too: then nobody is asked. */
export function restricts(policy: Policy): boolean {
  return denies(policy) || policy.spec.action === "CUSTOM";
}

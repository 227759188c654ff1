/**
 * AuthorizationPolicy → Envoy RBAC, as istiod does it (istio.io/istio, pilot/pkg/security/authz and …/trustdomain). Only for tests:
 * it counts as an oracle because `upstream.test.ts` holds it to the pairs that Istio publishes. It validates nothing, as istiod
 * doesn't at this point; what Istio refuses on admission isn't its business.
 */
import type { Config } from "../../harness/compose/emit/config.ts";
import { attributes, type Attribute, type Part } from "./istio-attributes.ts";
import { expandTrustDomains, replaceTrustDomains } from "./istio-trust-domains.ts";

export type Fields = Record<string, string[] | undefined>;

/** The parts of the resource that the translation reads. */
export interface IstioPolicy {
  metadata: { name: string; namespace?: string | undefined; annotations?: Record<string, string> | undefined };
  spec: {
    action?: "ALLOW" | "DENY" | "AUDIT" | "CUSTOM" | undefined;
    provider?: { name: string } | undefined;
    rules?: (IstioRule | Record<string, never>)[] | null | undefined;
  };
}

export interface IstioRule {
  from?: { source?: object }[] | undefined;
  to?: { operation?: object }[] | undefined;
  when?: { key: string; values?: string[] | undefined; notValues?: string[] | undefined }[] | undefined;
}

export interface Mesh {
  /** The mesh's own trust domain and its aliases. */
  trustDomains: readonly string[];
  /** Namespace of policies that don't say theirs. */
  namespace?: string;
  tcp?: boolean;
}

/** What one RBAC filter is given; absent: nothing of that kind is attached. */
export interface Rbac {
  rules?: Config;
  shadowRules?: Config;
}

export type Action = "ALLOW" | "DENY" | "LOG";

/** Policies of one action that apply to one workload. */
export function toRbac(policies: readonly IstioPolicy[], action: Action, mesh: Mesh, prefix = ""): Rbac {
  const enforced: Config = {};
  const trial: Config = {};
  let some = { enforced: false, trial: false };
  for (const policy of policies) {
    const dryRun = isDryRun(policy);
    some = { enforced: some.enforced || !dryRun, trial: some.trial || dryRun };
    const into = dryRun ? trial : enforced;
    const namespace = policy.metadata.namespace ?? mesh.namespace ?? "default";
    const name = (index: number): string => `${prefix}ns[${namespace}]-policy[${policy.metadata.name}]-rule[${index}]`;
    const rules = policy.spec.rules ?? [];
    rules.forEach((rule, index) => {
      const translated = translateRule(rule, namespace, action, mesh);
      if (translated) into[name(index)] = translated;
    });
    if (rules.length === 0) into[name(0)] = { permissions: [{ not_rule: { any: true } }], principals: [{ not_id: { any: true } }] };
  }
  const rbac = (policiesOf: Config): Config => ({ ...(action !== "ALLOW" && { action }), ...(Object.keys(policiesOf).length > 0 && { policies: policiesOf }) });
  return { ...(some.enforced && { rules: rbac(enforced) }), ...(some.trial && { shadowRules: rbac(trial) }) };
}

/** Go's strconv.ParseBool; what it doesn't take is false. */
function isDryRun({ metadata }: IstioPolicy): boolean {
  return ["1", "t", "T", "TRUE", "true", "True"].includes(metadata.annotations?.["istio.io/dry-run"] ?? "");
}

/** One attribute's condition, in the place that istiod gives it. */
interface Term {
  attribute: Attribute;
  key: string;
  values: string[];
  notValues: string[];
}

function translateRule(rule: IstioRule, namespace: string, action: Action, mesh: Mesh): Config | undefined {
  const base: Record<Part, Term[]> = { permission: [], principal: [] };
  for (const { key, values = [], notValues = [] } of rule.when ?? []) {
    const attribute = attributes(key);
    if (!attribute) return undefined; // istiod skips the rule, whatever the action
    if (values.length + notValues.length > 0) base[attribute.part].push({ attribute, key, values, notValues });
  }
  // Each field goes before those before it.
  const clauses = (list: (object | undefined)[], fields: [string, string][], rest: Term[]): Term[][] =>
    list.length === 0 ? [rest] : list.map((fieldsOf) => [...terms((fieldsOf ?? {}) as Fields, fields).reverse(), ...rest]);
  const principals = clauses((rule.from ?? []).map(({ source }) => source), SOURCE, base.principal);
  const permissions = clauses((rule.to ?? []).map(({ operation }) => operation), OPERATION, base.permission);
  try {
    const context = { namespace, action, mesh };
    return {
      permissions: permissions.map((list) => conjunction("permission", list, context)),
      principals: principals.map((list) => conjunction("principal", list, context)),
    };
  } catch (error) {
    if (error instanceof HttpOnly) return undefined;
    throw error;
  }
}

/** Field → attribute, in the order in which istiod puts each to the front. */
const SOURCE: [string, string][] = [
  ["ipBlocks", "source.ip"], ["remoteIpBlocks", "remote.ip"], ["namespaces", "source.namespace"], ["trustDomains", "source.trustDomain"],
  ["serviceAccounts", "source.serviceAccount"], ["requestPrincipals", "request.auth.principal"], ["principals", "source.principal"],
];
const OPERATION: [string, string][] = [["ports", "destination.port"], ["paths", "paths"], ["methods", "methods"], ["hosts", "hosts"]];

function terms(fields: Fields, names: [string, string][]): Term[] {
  return names.flatMap(([name, key]) => {
    const values = fields[name] ?? [];
    const notValues = fields[`not${name[0]!.toUpperCase()}${name.slice(1)}`] ?? [];
    return values.length + notValues.length === 0 ? [] : [{ attribute: attributes(key)!, key, values, notValues }];
  });
}

/** An ALLOW rule with an attribute that TCP doesn't have. */
class HttpOnly extends Error {}

interface Context {
  namespace: string;
  action: Action;
  mesh: Mesh;
}

function conjunction(part: Part, list: Term[], context: Context): Config {
  const [and, or, not, members] = part === "permission" ? (["and_rules", "or_rules", "not_rule", "rules"] as const) : (["and_ids", "or_ids", "not_id", "ids"] as const);
  const all = list.flatMap(({ attribute, key, values, notValues }) => {
    if (attribute.httpOnly && context.mesh.tcp) {
      if (context.action === "ALLOW") throw new HttpOnly();
      return []; // a wider DENY
    }
    const any = (texts: string[]): Config[] => {
      const matchers = attribute.matchers(key, migrate(key, texts, context.mesh.trustDomains), context.namespace);
      if (matchers.length === 0) return [];
      return [attribute.together && matchers.length === 1 ? matchers[0]! : { [or]: { [members]: matchers } }];
    };
    return [...any(values), ...any(notValues).map((matcher) => ({ [not]: matcher }))];
  });
  return { [and]: { [members]: all.length === 0 ? [{ any: true }] : all } };
}

function migrate(key: string, values: string[], trustDomains: readonly string[]): string[] {
  if (values.length === 0) return values;
  if (key === "source.principal") return replaceTrustDomains(values, trustDomains);
  return key === "source.trustDomain" ? expandTrustDomains(values, trustDomains) : values;
}

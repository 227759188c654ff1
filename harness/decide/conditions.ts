/** The conditions of a rule, one by one: each field of a source or an operation, and each key of `when`, values and not-values apart. */
import type { AuthorizationRule } from "../compose/schema/authorization.ts";
import type { Path } from "../compose/source.ts";
import type { Policy } from "./node.ts";

/** What a condition looks at. */
export type Attribute =
  | "principal" | "namespace" | "serviceAccount" | "trustDomain" | "source.ip" | "remote.ip" | "host" | "port" | "method" | "path"
  | "destination.ip" | "sni" | `header ${string}` | `jwt ${string}` | `metadata ${string}`;

export interface Condition {
  attribute: Attribute;
  /** As the policy writes it: `notPrincipals`, `request.headers[x-a]`. */
  field: string;
  negated: boolean;
  values: readonly string[];
  /** From the root of the resource. */
  path: Path;
  /** A rule that consists of this condition alone, and means the same in any namespace. */
  alone: AuthorizationRule;
  /** The same for conditions that mean the same. */
  key: string;
}

export interface RuleConditions {
  policy: Policy;
  index: number;
  /** One of these must hold entirely; without any, any source is right. */
  from: Condition[][];
  to: Condition[][];
  when: Condition[];
}

const FIELDS: Record<string, Attribute> = {
  principals: "principal", namespaces: "namespace", serviceAccounts: "serviceAccount", trustDomains: "trustDomain",
  ipBlocks: "source.ip", remoteIpBlocks: "remote.ip", requestPrincipals: "jwt principal",
  hosts: "host", ports: "port", methods: "method", paths: "path",
};

const KEYS: Record<string, Attribute> = {
  "source.principal": "principal", "source.namespace": "namespace", "source.serviceAccount": "serviceAccount", "source.trustDomain": "trustDomain",
  "source.ip": "source.ip", "remote.ip": "remote.ip", "destination.ip": "destination.ip", "destination.port": "port", "connection.sni": "sni",
};

/** Attributes that the peer's certificate alone decides. */
export const IDENTITY: ReadonlySet<Attribute> = new Set<Attribute>(["principal", "namespace", "serviceAccount", "trustDomain"]);

export function attributeOfKey(key: string): Attribute {
  const header = /^request\.headers\[(.*)\]$/.exec(key);
  if (header) return `header ${header[1]!.toLowerCase()}`;
  if (key.startsWith("request.auth.")) return `jwt ${key.slice("request.auth.".length)}`;
  return KEYS[key] ?? `metadata ${key}`;
}

/** Does it ask for something that connections don't have? */
export function isHttp(attribute: Attribute): boolean {
  return attribute === "host" || attribute === "method" || attribute === "path" || attribute.startsWith("header ") || attribute.startsWith("jwt ");
}

/** A rule that nothing fulfils, request or connection. */
export const NEVER: AuthorizationRule = { when: [{ key: "experimental.envoy.filters.selvedge.never[never]", values: ["never"] }] };

/**
 * @param connection as the rule stands to connections: what asks for something of HTTP is left out of a DENY or AUDIT rule; in
 *   an ALLOW rule each such condition must hold, and never does
 */
export function conditionsOf(policy: Policy, index: number, connection = false): RuleConditions {
  const rule = conditionsOfRequests(policy, index);
  if (!connection) return rule;
  const plain = ({ attribute }: Condition): boolean => !isHttp(attribute);
  // An alternative of which nothing is left makes the others needless.
  const alternatives = (lists: Condition[][]): Condition[][] => (lists.some((each) => !each.some(plain)) ? [] : lists.map((each) => each.filter(plain)));
  const never = (policy.spec.action ?? "ALLOW") === "ALLOW" ? allConditions(rule).filter((each) => !plain(each)) : [];
  return { ...rule, from: alternatives(rule.from), to: alternatives(rule.to), when: [...rule.when.filter(plain), ...never] };
}

function conditionsOfRequests(policy: Policy, index: number): RuleConditions {
  const rule = policy.spec.rules![index]!;
  const base: Path = ["spec", "rules", index];
  return {
    policy,
    index,
    from: (rule.from ?? []).map(({ source }, i) => fieldsOf(source, [...base, "from", i, "source"], policy.namespace)),
    to: (rule.to ?? []).map(({ operation }, i) => fieldsOf(operation, [...base, "to", i, "operation"], policy.namespace)),
    when: (rule.when ?? []).flatMap((condition, i) =>
      (["values", "notValues"] as const).flatMap((list) => {
        const values = condition[list];
        if (!values?.length) return [];
        const full = accounts(attributeOfKey(condition.key), values, policy.namespace);
        return [make(attributeOfKey(condition.key), condition.key, list === "notValues", full, [...base, "when", i, list], { when: [{ key: condition.key, [list]: full }] })];
      }),
    ),
  };
}

export function allConditions({ from, to, when }: RuleConditions): Condition[] {
  return [...from.flat(), ...to.flat(), ...when];
}

export function rulesOf(policy: Policy, connection = false): RuleConditions[] {
  return (policy.spec.rules ?? []).map((_, index) => conditionsOf(policy, index, connection));
}

function fieldsOf(fields: Partial<Record<string, string[]>>, base: Path, namespace: string): Condition[] {
  return Object.entries(fields).flatMap(([field, values]) => {
    if (!values?.length) return [];
    const negated = /^not[A-Z]/.test(field);
    const plain = negated ? field.charAt(3).toLowerCase() + field.slice(4) : field;
    const attribute = FIELDS[plain] ?? `metadata ${plain}`;
    const full = accounts(attribute, values, namespace);
    const alone = base.at(-1) === "source" ? { from: [{ source: { [field]: full } }] } : { to: [{ operation: { [field]: full } }] };
    return [make(attribute, field, negated, full, [...base, field], alone as AuthorizationRule)];
  });
}

function make(attribute: Attribute, field: string, negated: boolean, values: readonly string[], path: Path, alone: AuthorizationRule): Condition {
  return { attribute, field, negated, values, path, alone, key: JSON.stringify(alone) };
}

/** A service account without namespace is one of the policy's own. */
function accounts(attribute: Attribute, values: readonly string[], namespace: string): string[] {
  return attribute !== "serviceAccount" ? [...values] : values.map((value) => (value.includes("/") ? value : `${namespace}/${value}`));
}

/**
 * What Istio's admission webhook refuses in an AuthorizationPolicy, plus forms that it lets through and that can never
 * match or that fail open. Refusing is the rule: a policy that is understood only in part is not a policy.
 */
import type { Resource } from "../load.ts";
import { nearest } from "../nearest.ts";
import type { Report } from "../report.ts";
import { OPERATION_FIELDS, SOURCE_FIELDS, type AuthorizationRule } from "../schema/authorization.ts";
import type { Path } from "../source.ts";
import { cidrProblem, isListed, metadataProblem, nameProblem, portProblem, requestPrincipalProblem, serviceAccountProblem, templateProblem, trustDomainProblem, wildcardProblem } from "./authorization-values.ts";

type Policy = Resource<"AuthorizationPolicy">;

/** Marks a policy whose decisions are counted but not enforced. */
export const DRY_RUN = "istio.io/dry-run";

/** Says what is wrong with one value of a field, or nothing. */
type Check = (value: string) => string | undefined;

const CHECKS: Partial<Record<string, Check>> = {
  principals: wildcardProblem,
  requestPrincipals: requestPrincipalProblem,
  namespaces: nameProblem,
  serviceAccounts: serviceAccountProblem,
  trustDomains: trustDomainProblem,
  ipBlocks: cidrProblem,
  remoteIpBlocks: cidrProblem,
  hosts: wildcardProblem,
  methods: wildcardProblem,
  ports: portProblem,
  paths: (value) => (/[{}]/.test(value) ? templateProblem(value) : wildcardProblem(value)),
};

export function checkAuthorization(policy: Policy, report: Report): void {
  const { action = "ALLOW", rules, provider } = policy.spec;
  const dryRun = policy.annotations[DRY_RUN];
  // Istio enforces a policy whose annotation it can't read: a typing error would take traffic down.
  if (dryRun !== undefined && !/^(true|false)$/.test(dryRun)) {
    report.error("authorization-dry-run", policy, ["metadata", "annotations", DRY_RUN], "whether this policy is on trial is unclear", { found: JSON.stringify(dryRun), expected: '"true" or "false"' });
  }
  if (dryRun === "true" && (action === "AUDIT" || action === "CUSTOM")) {
    report.error("authorization-dry-run", policy, ["metadata", "annotations", DRY_RUN], `action ${action} can't be on trial`, { fix: action === "AUDIT" ? "remove the annotation: AUDIT decides nothing anyhow" : "try the rules with action AUDIT, which counts and logs what they match" });
  }
  if (action === "CUSTOM" && !provider) {
    report.error("authorization-provider", policy, ["spec", "action"], "action CUSTOM needs provider.name");
  }
  if (action !== "CUSTOM" && provider) {
    report.error("authorization-provider", policy, ["spec", "provider"], `provider goes with action CUSTOM alone, not ${action}`, { part: "key" });
  }
  if (action !== "ALLOW" && (rules === undefined || rules.length === 0)) {
    report.error("authorization-rules", policy, rules ? ["spec", "rules"] : ["spec", "action"], `action ${action} without rules never applies`, {
      fix: "add an empty rule, rules: [{}], to have it apply to every request",
    });
  }
  (rules ?? []).forEach((rule, i) => checkRule(policy, rule, ["spec", "rules", i], report));
}

function checkRule(policy: Policy, rule: AuthorizationRule, base: Path, report: Report): void {
  for (const list of ["from", "to"] as const) {
    if (rule[list]?.length === 0) {
      report.error("authorization-empty", policy, [...base, list], `\`${list}\` is there but empty`, { fix: `remove it to mean any ${list === "from" ? "source" : "operation"}`, part: "key" });
    }
  }
  rule.from?.forEach(({ source }, i) => {
    const path: Path = [...base, "from", i, "source"];
    checkFields(policy, source, SOURCE_FIELDS, path, report);
    const identity = (["principals", "notPrincipals", "namespaces", "notNamespaces"] as const).find((field) => source[field]?.length);
    const account = (["serviceAccounts", "notServiceAccounts"] as const).find((field) => source[field]?.length);
    if (identity && account) {
      report.error("authorization-combination", policy, [...path, account], `\`${account}\` and \`${identity}\` exclude each other`, { fix: "use two entries in `from`", part: "key" });
    }
  });
  rule.to?.forEach(({ operation }, i) => checkFields(policy, operation, OPERATION_FIELDS, [...base, "to", i, "operation"], report));
  rule.when?.forEach((condition, i) => checkCondition(policy, condition, [...base, "when", i], report));
}

function checkFields(
  policy: Policy,
  fields: Partial<Record<string, string[]>>,
  names: readonly string[],
  path: Path,
  report: Report,
): void {
  if (names.every((name) => !fields[name]?.length)) {
    report.error("authorization-empty", policy, path, `\`${String(path.at(-1))}\` says nothing: it has no field with a value`, { expected: `at least one of ${names.join(", ")}`, part: "key" });
    return;
  }
  for (const name of names) {
    const list = fields[name];
    if (!list) continue;
    if (list.length === 0) {
      // Istio takes it as absent, which for a DENY or a `not` field is hardly what its author meant.
      report.error("authorization-empty", policy, [...path, name], `\`${name}\` is there but empty`, { fix: "remove it, or say what it should match", part: "key" });
      continue;
    }
    const plain = name.startsWith("not") ? name.charAt(3).toLowerCase() + name.slice(4) : name;
    checkValues(policy, list, CHECKS[plain], [...path, name], report);
  }
  if ((fields.serviceAccounts?.length ?? 0) > 16 || (fields.notServiceAccounts?.length ?? 0) > 16) {
    report.error("wrong-value", policy, path, "at most 16 service accounts", { part: "key" });
  }
}

function checkValues(policy: Policy, list: string[], check: Check | undefined, path: Path, report: Report): void {
  list.forEach((value, i) => {
    const problem = value === "" ? "an empty value matches nothing" : check?.(value);
    if (problem) report.error("authorization-value", policy, [...path, i], problem, { found: JSON.stringify(value) });
  });
}

const PLAIN_KEYS: Record<string, Check | undefined> = {
  "source.ip": cidrProblem,
  "remote.ip": cidrProblem,
  "source.namespace": nameProblem,
  "source.serviceAccount": serviceAccountProblem,
  "source.trustDomain": trustDomainProblem,
  "source.principal": wildcardProblem,
  "request.auth.principal": requestPrincipalProblem,
  "request.auth.audiences": wildcardProblem,
  "request.auth.presenter": wildcardProblem,
  "destination.ip": cidrProblem,
  "destination.port": portProblem,
  "connection.sni": wildcardProblem,
};

/** Keys with a part in brackets. */
const BRACKET_KEYS = [/^request\.headers\[[^[\]]+\]$/, /^request\.auth\.claims(\[[^[\]]+\])+$/, /^experimental\.envoy\.filters\.[^[\]]+\[[^[\]]+\]$/];

const REPLACED: Record<string, string> = {
  "destination.namespace": "the policy's own metadata.namespace says it",
  "destination.name": "it was of v1alpha1: use a selector",
  "destination.user": "it was of v1alpha1: use a selector",
  "destination.labels": "the policy's selector says it",
};

function checkCondition(
  policy: Policy,
  condition: { key: string; values?: string[]; notValues?: string[] },
  path: Path,
  report: Report,
): void {
  const { key } = condition;
  const plain = Object.hasOwn(PLAIN_KEYS, key);
  if (!plain && !BRACKET_KEYS.some((pattern) => pattern.test(key))) {
    const replaced = REPLACED[key.replace(/\[.*$/, "")];
    const names = [...Object.keys(PLAIN_KEYS), "request.headers[name]", "request.auth.claims[name]"];
    const close = nearest(key, names);
    report.error("authorization-condition", policy, [...path, "key"], replaced ? `the key ${key} is gone: ${replaced}` : `unknown key in \`when\``, {
      found: key,
      expected: `one of ${names.join(", ")}`,
      ...(close ? { fix: `did you mean ${close}?` } : {}),
    });
    return;
  }
  if (!condition.values?.length && !condition.notValues?.length) {
    report.error("authorization-condition", policy, path, `the condition on ${key} has neither values nor notValues`);
  }
  const metadata = key.startsWith("experimental.");
  const all = [...(condition.values ?? []), ...(condition.notValues ?? [])];
  if (metadata && new Set(all.map(isListed)).size > 1) {
    report.error("authorization-condition", policy, path, "values in brackets are looked for in a list, others compared with a string: here are both", { fix: "use two conditions" });
  }
  for (const list of ["values", "notValues"] as const) {
    if (condition[list]) checkValues(policy, condition[list], metadata ? metadataProblem : plain ? PLAIN_KEYS[key] : wildcardProblem, [...path, list], report);
  }
}

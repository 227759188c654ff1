/** Envoy's own RBAC filters, as istiod configures them for a workload: in shadow mode, each noting one action's decisions. */
import type { Config } from "../../harness/compose/emit/config.ts";
import type { Configuration, Policy } from "../unit/authz/oracle.ts";
import { toRbac, type Action, type IstioPolicy } from "./istio.ts";

/** The filters' names: of actions that count, those on trial, and those that decide nothing. */
export const NATIVE = ["deny", "allow", "trial_deny", "trial_allow", "audit", "custom"] as const;
export type NativeName = (typeof NATIVE)[number];
export type NativeResult = Partial<Record<NativeName, { allowed: boolean; policy: string | undefined }>>;

/** Provider of all CUSTOM policies. */
export const PROVIDER = "ext";

export interface Workload {
  namespace: string;
  labels?: Record<string, string> | undefined;
}

export function workloadOf({ workloads, namespace = "default", labels }: Configuration, route: string | undefined): Workload {
  return workloads?.find(({ routes = [] }) => route !== undefined && routes.includes(route)) ?? { namespace, labels };
}

/** What istiod gives to a workload: the policies of its own namespace and the root's whose selector takes it. */
export function native(configuration: Configuration, workload: Workload): Record<NativeName, Config> {
  const { namespace = "default", rootNamespace = "istio-system", trustDomain = "cluster.local", trustDomainAliases = [], protocol } = configuration;
  const attached = configuration.policies.filter(({ metadata, spec }) => {
    const own = metadata.namespace ?? namespace;
    const labels = Object.entries(spec.selector?.matchLabels ?? {});
    return (own === rootNamespace || own === workload.namespace) && labels.every(([key, value]) => workload.labels?.[key] === value);
  });
  const mesh = { trustDomains: [trustDomain, ...trustDomainAliases], namespace, tcp: protocol === "tcp" };
  const translate = (of: Policy["spec"]["action"], action: Action, prefix = ""): ReturnType<typeof toRbac> =>
    toRbac(attached.filter((policy) => (policy.spec.action ?? "ALLOW") === of) as IstioPolicy[], action, mesh, prefix);
  const [deny, allow] = [translate("DENY", "DENY"), translate("ALLOW", "ALLOW")];
  const rules: Record<NativeName, Config | undefined> = {
    deny: deny.rules, allow: allow.rules, trial_deny: deny.shadowRules, trial_allow: allow.shadowRules,
    audit: translate("AUDIT", "LOG").rules,
    custom: translate("CUSTOM", "DENY", `istio-ext-authz-${PROVIDER}-`).rules,
  };
  return Object.fromEntries(NATIVE.map((name): [NativeName, Config] => [name, { ...(rules[name] && { shadow_rules: rules[name] }), shadow_rules_stat_prefix: `${name}_` }])) as Record<NativeName, Config>;
}

/** Access log format of what the filters noted in the metadata of `filter`. */
export const nativeFormat = (filter: string): string =>
  NATIVE.map((name) => ["engine_result", "effective_policy_id"].map((key) => `%DYNAMIC_METADATA(${filter}:${name}_shadow_${key})%`).join("|")).join(";");

/** Reads what {@link nativeFormat} made. */
export function readNative(text: string): NativeResult {
  const parts = text.split(";").map((part) => part.split("|").map((each) => (each === "-" ? "" : each)) as [string, string]);
  return Object.fromEntries(
    NATIVE.flatMap((name, index) => {
      const [result, policy] = parts[index] ?? ["", ""];
      return result === "" ? [] : [[name, { allowed: result === "allowed", policy: policy === "" || policy === "none" ? undefined : policy }]];
    }),
  );
}

/** As authz names a rule. */
export const ruleOf = (policy: string | undefined): string =>
  policy === undefined ? "none" : policy.replace(new RegExp(`^(?:istio-ext-authz-${PROVIDER}-)?ns\\[(.*)\\]-policy\\[(.*)\\]-rule\\[(\\d+)\\]$`), "$1/$2#$3");

export interface Verdict {
  allowed: boolean;
  rule: string;
  /** The rules of other actions that match. */
  audited: string | undefined;
  handedOver: boolean;
}

export function verdictOf({ deny, allow, audit, custom }: NativeResult): Verdict {
  const denied = deny?.allowed === false;
  return {
    allowed: !denied && allow?.allowed !== false,
    rule: ruleOf(denied ? deny.policy : allow?.policy),
    audited: audit?.policy === undefined ? undefined : ruleOf(audit.policy),
    handedOver: custom?.allowed === false,
  };
}

/** What authz is to count for one decision: names of counters with policy and rule. */
export function countsOf(result: NativeResult): string[] {
  const { allowed, rule, audited, handedOver } = verdictOf(result);
  const { trial_deny: trialDeny, trial_allow: trialAllow } = result;
  const against = trialDeny?.allowed === false;
  const trial = ruleOf(against ? trialDeny.policy : trialAllow?.policy);
  return [
    `${allowed ? "allowed" : "denied"} ${rule}`,
    ...(trial === "none" ? [] : [`${against || trialAllow?.allowed === false ? "dry_run_denied" : "dry_run_allowed"} ${trial}`]),
    ...(audited === undefined ? [] : [`audited ${audited}`]),
    // What is denied anyway isn't asked about.
    ...(allowed && handedOver ? [`custom ${ruleOf(result.custom!.policy)}`] : []),
  ];
}

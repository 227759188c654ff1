/**
 * Which AuthorizationPolicies hold for which destination, by Istio's rules: namespace and selector, or targetRefs.
 * The authorization filter attaches by the same rules; here they serve to check and to leave out what is not needed.
 */
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import { BACKEND_GROUP, GATEWAY_GROUP } from "../schema/kinds.ts";
import type { Path } from "../source.ts";
import type { ArmModel, GatewayModel, RuleModel, Workload } from "./model.ts";

interface Attachable {
  spec: {
    selector?: { matchLabels?: Record<string, string> };
    targetRef?: TargetRef;
    targetRefs?: TargetRef[];
  };
}

interface TargetRef {
  group?: string;
  kind: string;
  name: string;
  namespace?: string;
}

export type Attaching = Resource<"AuthorizationPolicy"> | Resource<"RequestAuthentication"> | Resource<"Telemetry">;

const TARGETS: Record<string, string> = {
  Gateway: GATEWAY_GROUP,
  HTTPRoute: GATEWAY_GROUP,
  TCPRoute: GATEWAY_GROUP,
  Backend: BACKEND_GROUP,
  Service: "",
};

/** `Kind/name` of every targetRef; undefined without any. The older single `targetRef` counts as a list of one. */
export function targetNames(policy: Attachable): string[] | undefined {
  const refs = [...(policy.spec.targetRef ? [policy.spec.targetRef] : []), ...(policy.spec.targetRefs ?? [])];
  return refs.length === 0 ? undefined : refs.map((ref) => `${ref.kind}/${ref.name}`);
}

/** Istio's rules for selector and targetRefs; reports what breaks them. `kinds`: what the policy may target here. */
export function checkTargets(policy: Attaching, kinds: string[], exists: (target: string) => boolean, report: Report): void {
  const spec = policy.spec as Attachable["spec"];
  const given = (["selector", "targetRef", "targetRefs"] as const).filter((field) => {
    const value = spec[field];
    return value !== undefined && !(Array.isArray(value) && value.length === 0);
  });
  if (given.length > 1) {
    report.error("policy-target", policy, ["spec", given[1]!], `a policy attaches by one of selector, targetRef and targetRefs`, { found: given.join(" and "), part: "key" });
  }
  for (const [key, value] of Object.entries(spec.selector?.matchLabels ?? {})) {
    if (key === "" || key.includes("*") || value.includes("*")) {
      report.error("policy-target", policy, ["spec", "selector", "matchLabels", key], "a selector takes no wildcard and no empty key", { found: `${key}: ${value}` });
    }
  }
  const refs: { ref: TargetRef; path: Path }[] = [
    ...(spec.targetRef ? [{ ref: spec.targetRef, path: ["spec", "targetRef"] }] : []),
    ...(spec.targetRefs ?? []).map((ref, i) => ({ ref, path: ["spec", "targetRefs", i] })),
  ];
  for (const { ref, path } of refs) {
    if (!kinds.includes(ref.kind) || TARGETS[ref.kind] !== (ref.group ?? "")) {
      report.error("reference-unsupported", policy, path, `this policy can't target that`, {
        found: `group: "${ref.group ?? ""}", kind: ${ref.kind}`,
        expected: kinds.map((kind) => `${kind} (group "${TARGETS[kind]}")`).join(", "),
      });
    } else if (ref.namespace !== undefined && ref.namespace !== policy.namespace) {
      report.error("cross-namespace-reference", policy, [...path, "namespace"], "a policy targets only what is in its own namespace");
    } else if (!exists(`${ref.kind} ${policy.namespace}/${ref.name}`)) {
      report.error("target-missing", policy, [...path, "name"], `there is no ${ref.kind} ${policy.namespace}/${ref.name}`, {
        ...(ref.kind === "Service" ? { expected: "the name of a Backend, which stands for its Service" } : {}),
      });
    }
  }
}

export interface Subject {
  namespace: string;
  labels: Record<string, string>;
  targets: string[];
}

export function attaches(policy: Attaching, subject: Subject, rootNamespace: string): boolean {
  const targets = targetNames(policy as Attachable);
  if (targets) return policy.namespace === subject.namespace && targets.some((target) => subject.targets.includes(target));
  if (policy.namespace !== subject.namespace && policy.namespace !== rootNamespace) return false;
  return matchesSelector(policy as Attachable, subject.labels);
}

/** A Gateway is a first stage of its own: only a policy that means it attaches (targetRef, or a selector that matches). */
export function attachesToGateway(policy: Attaching, gateway: GatewayModel, rootNamespace: string): boolean {
  const explicit = targetNames(policy as Attachable) !== undefined || Object.keys((policy.spec as Attachable["spec"]).selector?.matchLabels ?? {}).length > 0;
  return explicit && attaches(policy, gatewaySubject(gateway), rootNamespace);
}

export function gatewaySubject(gateway: GatewayModel): Subject {
  return { namespace: gateway.resource.namespace, labels: gateway.labels, targets: [`Gateway/${gateway.resource.name}`] };
}

function matchesSelector(policy: Attachable, labels: Record<string, string>): boolean {
  return Object.entries(policy.spec.selector?.matchLabels ?? {}).every(([key, value]) => labels[key] === value);
}

/** The destination that one arm of a rule is. A Backend stands for the Service of its name, too. */
export function armSubject(rule: RuleModel, arm: ArmModel): Subject {
  const { name, namespace, labels } = arm.backend;
  return { namespace, labels, targets: [`Backend/${name}`, `Service/${name}`, `HTTPRoute/${rule.route.name}`] };
}

/** The destination that a backend of a TCPRoute is. */
export function tcpSubject(route: Resource<"TCPRoute">, { name, namespace, labels }: Resource<"Backend">): Subject {
  return { namespace, labels, targets: [`Backend/${name}`, `Service/${name}`, `TCPRoute/${route.name}`] };
}

const NAME_LABELS = ["service.istio.io/canonical-name", "app.kubernetes.io/name", "app"];

/** What people call the workload: Istio's canonical name, else the Backend's. */
export function workloadName(backend: Resource<"Backend">): string {
  const label = NAME_LABELS.find((each) => backend.labels[each] !== undefined);
  return label === undefined ? backend.name : backend.labels[label]!;
}

/**
 * Destinations of the rules, one for all rules with the same namespace, labels and targets. The arms of a rule must
 * have the same policies attached: authorization decides before an arm is chosen.
 */
export function resolveWorkloads(
  rules: RuleModel[],
  policies: Attaching[],
  rootNamespace: string,
  report: Report,
): Workload[] {
  const byKey = new Map<string, Workload>();
  const names = new Set<string>();
  for (const rule of rules) {
    const stable = rule.arms[0];
    if (!stable) continue;
    const subject = armSubject(rule, stable);
    for (const arm of rule.arms.slice(1)) {
      const other = armSubject(rule, arm);
      const differing = policies.find((policy) => attaches(policy, subject, rootNamespace) !== attaches(policy, other, rootNamespace));
      if (!differing) continue;
      const on = attaches(differing, subject, rootNamespace) ? stable : arm;
      const off = on === stable ? arm : stable;
      report.error("policy-splits-arms", differing, (differing.spec as Attachable["spec"]).selector ? ["spec", "selector"] : ["spec", "targetRefs"], `this policy holds for ${on.name} but not for ${off.name}, which share the rule ${rule.id}`, {
        fix: "make it hold for every backend of the rule: who may call must not depend on the canary",
        part: "key",
      });
    }
    const key = JSON.stringify([subject.namespace, Object.entries(subject.labels).sort(), subject.targets]);
    const known = byKey.get(key);
    if (known) {
      known.routes.push(rule.id);
      continue;
    }
    let name = `${subject.namespace}/${workloadName(stable.backend)}`;
    if (names.has(name)) name = `${name} (${stable.backend.name} of HTTPRoute ${rule.route.name})`;
    names.add(name);
    byKey.set(key, { name, ...subject, routes: [rule.id] });
  }
  return [...byKey.values()];
}

/** Rollouts: every rule that splits traffic, with what a CanaryPolicy says about it. */
import type { Resource } from "../load.ts";
import { nearest } from "../nearest.ts";
import type { Report } from "../report.ts";
import { GATEWAY_GROUP } from "../schema/kinds.ts";
import type { StickyKey } from "../schema/canary.ts";
import type { Path } from "../source.ts";
import type { ArmModel, Rollout, RouteModel, RuleModel } from "./model.ts";

export function resolveRollouts(policies: Resource<"CanaryPolicy">[], routes: RouteModel[], report: Report): void {
  const chosen = new Map<RuleModel, { policy: Resource<"CanaryPolicy">; exact: boolean }>();
  for (const policy of policies) {
    checkStickiness(policy, report);
    for (const { rule, exact } of targets(policy, routes, report)) {
      const other = chosen.get(rule);
      if (other && other.exact === exact) {
        report.error("policy-conflict", policy, ["spec", "targetRef"], `rule ${rule.id} has a CanaryPolicy already: ${other.policy.id}`, { fix: "keep one of the two" });
        continue;
      }
      // The policy that names the rule wins over the one that names only the route.
      if (!other || exact) chosen.set(rule, { policy, exact });
    }
  }
  for (const route of routes) {
    for (const rule of route.rules) {
      if (rule.arms.length > 1) startRollout(rule, chosen.get(rule)?.policy, report);
    }
  }
}

/** The rules that a policy targets and that split traffic. */
function targets(policy: Resource<"CanaryPolicy">, routes: RouteModel[], report: Report): { rule: RuleModel; exact: boolean }[] {
  const ref = policy.spec.targetRef;
  const path: Path = ["spec", "targetRef"];
  if (ref.group !== GATEWAY_GROUP || ref.kind !== "HTTPRoute") {
    report.error("reference-unsupported", policy, path, "a CanaryPolicy targets an HTTPRoute", {
      found: `group: "${ref.group}", kind: ${ref.kind}`,
      expected: `group: ${GATEWAY_GROUP}, kind: HTTPRoute`,
    });
    return [];
  }
  const route = routes.find((each) => each.resource.id === `${policy.namespace}/${ref.name}`);
  if (!route) {
    const names = routes.filter((each) => each.resource.namespace === policy.namespace).map((each) => each.resource.name);
    const close = nearest(ref.name, names);
    report.error("target-missing", policy, [...path, "name"], `there is no HTTPRoute ${policy.namespace}/${ref.name}`, close ? { fix: `did you mean ${close}?` } : {});
    return [];
  }
  let rules = route.rules;
  if (ref.sectionName !== undefined) {
    rules = rules.filter((rule) => rule.id === `${route.resource.id}/${ref.sectionName}`);
    if (rules.length === 0) {
      report.error("target-missing", policy, [...path, "sectionName"], `HTTPRoute ${route.resource.id} has no rule ${ref.sectionName}`, {
        expected: `one of ${route.rules.map((rule) => rule.id.slice(route.resource.id.length + 1)).join(", ")}`,
      });
      return [];
    }
  }
  const split = rules.filter((rule) => rule.arms.length > 1);
  if (split.length === 0) {
    report.warn("policy-unattached", policy, path, "this CanaryPolicy has no effect: the rule sends all its traffic to one backend", {
      fix: "give the rule a second backendRef with a weight above 0",
    });
  }
  return split.map((rule) => ({ rule, exact: ref.sectionName !== undefined }));
}

function startRollout(rule: RuleModel, policy: Resource<"CanaryPolicy"> | undefined, report: Report): void {
  const id = policy ? policy.id : rule.id.slice(0, rule.id.lastIndexOf("/"));
  const named = policy?.spec.stable;
  const stable = named === undefined ? largest(rule.arms) : rule.arms.find((arm) => arm.name === named);
  if (!stable) {
    report.error("target-missing", policy!, ["spec", "stable"], `rule ${rule.id} sends no traffic to a backend ${named}`, {
      expected: `one of ${rule.arms.map((arm) => arm.name).join(", ")}`,
    });
    return;
  }
  rule.arms = [stable, ...rule.arms.filter((arm) => arm !== stable)];
  const stickiness = policy?.spec.stickiness;
  const rollout: Rollout = { id, stable: stable.name };
  if (stickiness) rollout.stickiness = { salt: stickiness.salt ?? id, keys: stickiness.keys };
  rule.rollout = rollout;
}

/** The first of the arms with the largest weight. */
function largest(arms: ArmModel[]): ArmModel {
  return arms.reduce((best, arm) => (arm.weight > best.weight ? arm : best));
}

function checkStickiness(policy: Resource<"CanaryPolicy">, report: Report): void {
  (policy.spec.stickiness?.keys ?? []).forEach((key: StickyKey, i) => {
    if (Object.keys(key).length !== 1) {
      report.error("wrong-value", policy, ["spec", "stickiness", "keys", i], "a key has exactly one of header, cookie, principal and sourceIP", {
        found: Object.keys(key).join(", ") || "none",
      });
    }
  });
}

/** Rules that ask for something of HTTP where there are only connections. */
import type { Provider } from "../compose/resolve/model.ts";
import type { Report } from "../compose/report.ts";
import type { Attached } from "./attached.ts";
import { placeOf, type Constraint, type Rule } from "./clauses.ts";

const isHttp = ({ attribute }: Constraint): boolean => ["host", "method", "path"].includes(attribute) || attribute.startsWith("request.");

export function lintConnections({ policy, clauses }: Rule, attached: Attached, report: Report): void {
  const listeners = attached.connections(policy);
  const first = clauses.flatMap(({ constraints }) => constraints).find(isHttp);
  if (listeners.length === 0 || !first || policy.spec.action === "CUSTOM") return;
  const allow = (policy.spec.action ?? "ALLOW") === "ALLOW";
  const effect = allow ? "the whole rule is left out there, so that it allows nothing" : `the field is left out there, so that the rule ${policy.spec.action === "DENY" ? "denies" : "is about"} more`;
  report.warn("http-fields-on-tcp", policy, placeOf(first), `connections of listener ${listeners.join(", ")} have no ${first.attribute}: ${effect}`, {
    fix: "keep rules for connections in policies of their own, with a selector or targetRefs",
    part: "key",
  });
}

/** Where an authorizer can't be asked. */
export function lintProvider({ resource, grpc, http }: Provider, report: Report): void {
  if (!(grpc ?? http)!.failOpen) return;
  report.warn("custom-fails-open", resource, ["spec", grpc ? "envoyExtAuthzGrpc" : "envoyExtAuthzHttp", "failOpen"], "whoever makes this provider slow or unreachable gets what it would refuse", { fix: "leave failOpen out: then such requests are denied" });
}

/** CUSTOM policies that hold for connections, which nobody is asked about. */
export function lintIgnored(policies: Rule["policy"][], attached: Attached, report: Report): void {
  for (const policy of policies) {
    const listeners = attached.connections(policy);
    if (policy.spec.action !== "CUSTOM" || listeners.length === 0) continue;
    report.warn("custom-on-tcp", policy, ["spec", "action"], `no provider is asked about connections of listener ${listeners.join(", ")}: this policy is ignored there, as in Istio with a provider of HTTP`, { fix: "narrow the policy with a selector or targetRefs, and guard connections with ALLOW or DENY" });
  }
}

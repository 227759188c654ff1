/** The Scenario's traffic, with its workloads, policies and rollouts looked up. */
import { ofKind } from "../compose/index.ts";
import { rulesOf } from "../compose/resolve/index.ts";
import type { GatewayModel } from "../compose/resolve/model.ts";
import type { Path } from "../compose/source.ts";
import type { CanaryTraffic, Target, TrafficModel, WorkloadIdentity } from "./model.ts";
import { missing, type Context } from "./references.ts";
import { canaryUnits, fewestUnits } from "./result.ts";
import type { TrafficSpec } from "./schema.ts";

const DEFAULT_COUNT = 20;
const DEFAULT_CONCURRENCY = 4;
/** Stands for the user's name in a header or the path of canary traffic. */
export const USER = "{user}";

export function resolveTraffic(context: Context, traffic: TrafficSpec, path: Path, workloads: WorkloadIdentity[], target: Target, gateway: GatewayModel): TrafficModel {
  const { source, report } = context;
  const from = workloads.find(({ id }) => id === traffic.from);
  if (traffic.from !== undefined && !from) missing(context, [...path, "from"], "workload", traffic.from, workloads);
  if (traffic.by !== undefined && traffic.by !== "none") checkPolicy(context, traffic.by, [...path, "by"]);
  if (traffic.expect === "refuse" && traffic.by !== undefined) {
    report.error("wrong-value", source, [...path, "by"], "no policy decides where the connection is refused", { part: "key", fix: "remove it" });
  }
  if (traffic.expect === "refuse" && !target.mutualTls) {
    report.error("wrong-value", source, [...path, "expect"], "the listener asks for no client certificate, so it refuses no connection");
  }
  const { request, canary: expected } = traffic;
  const canary = expected && resolveCanary(context, expected, [...path, "canary"], gateway);
  const texts = [request.path ?? "/", ...Object.values(request.headers ?? {})];
  if (canary && traffic.count !== undefined) {
    report.error("wrong-value", source, [...path, "count"], "traffic with canary counts users", { part: "key", fix: "remove it, or set canary.users and canary.requestsPerUser" });
  }
  if (canary?.sticky && canary.users > 1 && !texts.some((text) => text.includes(USER))) {
    report.error("wrong-value", source, [...path, "request"], "every user would send the same request", { part: "key", expected: `${USER} in a header or in the path` });
  }
  return {
    ...(from && { from }),
    method: request.method ?? "GET",
    host: request.host,
    path: request.path ?? "/",
    headers: request.headers ?? {},
    bodyBytes: request.bodyBytes ?? 0,
    count: canary ? canary.users * canary.requestsPerUser : (traffic.count ?? DEFAULT_COUNT),
    concurrency: traffic.concurrency ?? DEFAULT_CONCURRENCY,
    expect: traffic.expect ?? (canary ? "allow" : undefined),
    by: traffic.by,
    ...(canary && { canary }),
  };
}

/** @param by `namespace/name` or `namespace/name#rule` */
function checkPolicy(context: Context, by: string, path: Path): void {
  const { policies, source, report } = context;
  const known = ofKind(policies, "AuthorizationPolicy");
  const [id, rule] = by.split("#");
  const policy = known.find((each) => each.id === id);
  if (!policy) missing(context, path, "AuthorizationPolicy", id!, known);
  else if (rule !== undefined && Number(rule) >= (policy.spec.rules ?? []).length) {
    report.error("reference-missing", source, path, `AuthorizationPolicy ${id} has no rule ${rule}`, { found: `${(policy.spec.rules ?? []).length} rules; the first is 0` });
  }
}

function resolveCanary({ source, report }: Context, expected: NonNullable<TrafficSpec["canary"]>, path: Path, gateway: GatewayModel): CanaryTraffic | undefined {
  const rules = rulesOf(gateway).filter(({ arms }) => arms.length > 1);
  const matching = rules.filter(({ id }) => id === expected.route || id.startsWith(`${expected.route}/`));
  if (matching.length !== 1) {
    report.error("route-missing", source, [...path, "route"], `${matching.length === 0 ? "no" : "more than one"} rule of ${expected.route} splits traffic`, {
      expected: rules.length > 0 ? `one of ${rules.map(({ id }) => id).join(", ")}` : "an HTTPRoute rule with several backendRefs",
    });
    return undefined;
  }
  const rule = matching[0]!;
  const canary: CanaryTraffic = {
    route: rule.id,
    arms: rule.arms.map(({ name, backend, weight }) => ({ name, backend: backend.id, weight })),
    sticky: rule.rollout?.stickiness !== undefined,
    users: expected.users,
    requestsPerUser: expected.requestsPerUser ?? 1,
  };
  const least = fewestUnits(canary.arms.map(({ weight }) => weight));
  if (canaryUnits(canary) < least) {
    report.error("canary-too-small", source, [...path, "users"], "so few users can't tell a working canary from none: nobody on the smallest arm would pass, too", {
      found: `${canaryUnits(canary)} ${canary.sticky ? "users" : "requests"}`,
      expected: `${least} or more`,
    });
  }
  return canary;
}

import type { Config } from "../../harness/compose/emit/config.ts";
import { CALLER, TRUST_DOMAIN } from "./requests.ts";

/** The part of an AuthorizationPolicy that the benchmark's policies use; {@link toRbacPolicies} translates no more. */
export interface AllowPolicy extends Config {
  apiVersion: "security.istio.io/v1";
  kind: "AuthorizationPolicy";
  metadata: { name: string; namespace: string };
  spec: {
    selector: { matchLabels: Record<string, string> };
    action: "ALLOW";
    rules: [{ from: [{ source: { principals: string[] } }]; to: [{ operation: { methods: string[]; paths: string[] } }] }];
  };
}

export const WORKLOAD = { namespace: "prod", labels: { app: "reviews" } };

/**
 * This many ALLOW policies on one workload, each for a caller of its own, some 400 bytes as JSON. The benchmark's caller
 * is in the last one, whose name also sorts last: Envoy's RBAC looks at policies in the order of their names. Each
 * policy allows paths of its own; one in ten the caller's too, so that neither path nor caller alone tells them apart.
 */
export function makePolicies(count: number): AllowPolicy[] {
  return Array.from({ length: count }, (_, index) => {
    const id = String(index).padStart(5, "0");
    const last = index === count - 1;
    const principal = last ? `${TRUST_DOMAIN}/ns/${CALLER.namespace}/sa/${CALLER.serviceAccount}` : `${TRUST_DOMAIN}/ns/team-${index % 40}/sa/client-${id}`;
    const paths = last || index % 10 === 0 ? [`/health/${id}`, "/api/v1/reviews/*"] : [`/health/${id}`, `/api/v1/resource-${id}/*`];
    return {
      apiVersion: "security.istio.io/v1",
      kind: "AuthorizationPolicy",
      metadata: { name: `allow-client-${id}`, namespace: WORKLOAD.namespace },
      spec: {
        selector: { matchLabels: WORKLOAD.labels },
        action: "ALLOW",
        rules: [{ from: [{ source: { principals: [principal] } }], to: [{ operation: { methods: ["GET", "HEAD"], paths } }] }],
      },
    };
  });
}

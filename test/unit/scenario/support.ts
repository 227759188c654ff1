import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Finding } from "../../../harness/errors.ts";
import { SelvedgeError } from "../../../harness/errors.ts";

export const GATEWAY = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge, namespace: edge }
spec:
  gatewayClassName: selvedge
  addresses: [{ value: 127.0.0.1 }]
  tls: { frontend: { default: { validation: { caCertificateRefs: [{ kind: ConfigMap, group: "", name: authority }] } } } }
  listeners:
    - { name: https, protocol: HTTPS, port: 18443, tls: { certificateRefs: [{ name: node }] }, allowedRoutes: { namespaces: { from: All } } }
---
apiVersion: v1
kind: Secret
type: kubernetes.io/tls
metadata: { name: node, namespace: edge, annotations: { selvedge.dev/directory: certs/node } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: authority, namespace: edge, annotations: { selvedge.dev/directory: certs/authority } }
`;

export const ROUTES = `
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: { name: web-v1, namespace: prod, labels: { app: web } }
spec: { endpoints: [{ ip: { address: 127.0.0.1, port: 19101 } }] }
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: { name: web-v2, namespace: prod, labels: { app: web } }
spec: { endpoints: [{ ip: { address: 192.0.2.1, port: 80 } }] }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: web, namespace: prod }
spec:
  parentRefs: [{ name: edge, namespace: edge }]
  hostnames: [web.example]
  rules:
    - name: split
      backendRefs:
        - { group: gateway.envoyproxy.io, kind: Backend, name: web-v1, weight: 3 }
        - { group: gateway.envoyproxy.io, kind: Backend, name: web-v2, weight: 1 }
---
apiVersion: selvedge.dev/v1alpha1
kind: CanaryPolicy
metadata: { name: web, namespace: prod }
spec:
  targetRef: { group: gateway.networking.k8s.io, kind: HTTPRoute, name: web }
  stickiness: { keys: [{ header: x-user }] }
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: all, namespace: prod }
spec: { rules: [{}] }
`;

export const SCENARIO = `apiVersion: selvedge.dev/v1alpha1
kind: Scenario
metadata: { name: demo }
spec:
  workloads:
    - { name: api, namespace: prod }
    - { name: ci, namespace: dev, serviceAccount: robot }
  upstreams:
    - backend: { name: web-v1, namespace: prod }
  traffic:
    - from: prod/api
      request: { host: web.example, path: /x, headers: { x-user: "{user}" } }
      canary: { route: prod/web, users: 40, requestsPerUser: 2 }
    - from: dev/ci
      request: { method: POST, host: web.example }
      expect: allow
      by: prod/all
`;

/** Writes a folder of policies; the Scenario may be edited first. */
export function policyFolder(dir: string, scenario: string = SCENARIO): string {
  mkdirSync(dir, { recursive: true });
  for (const [name, text] of Object.entries({ "gateway.yaml": GATEWAY, "routes.yaml": ROUTES, "scenario.yaml": scenario })) {
    if (text !== "") writeFileSync(join(dir, name), text);
  }
  return dir;
}

/** The findings with which an action is refused. */
export async function findingsOf(action: () => unknown): Promise<Finding[]> {
  try {
    await action();
  } catch (error) {
    if (error instanceof SelvedgeError) return error.findings;
    throw error;
  }
  return [];
}

import { readDocuments, type Policies } from "../../../harness/compose/load.ts";
import { Report } from "../../../harness/compose/report.ts";
import { lintPolicies } from "../../../harness/lint/index.ts";


const NODE = (validation: string): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: prod }
spec:
  gatewayClassName: selvedge
  ${validation}
  listeners:
    - { name: https, port: 8443, protocol: HTTPS, tls: { certificateRefs: [{ name: node }] } }
---
apiVersion: v1
kind: Secret
metadata: { name: node, namespace: prod, annotations: { selvedge.dev/directory: certs } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: ca, namespace: prod, annotations: { selvedge.dev/directory: certs } }
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: prod }
spec:
  parentRefs: [{ name: gw }]
  rules: [{ backendRefs: [{ group: gateway.envoyproxy.io, kind: Backend, name: b }] }]
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: { name: b, namespace: prod, labels: { app: b } }
spec: { endpoints: [{ ip: { address: 127.0.0.1, port: 9000 } }] }
`;

export const MUTUAL = NODE("tls: { frontend: { default: { validation: { caCertificateRefs: [{ group: '', kind: ConfigMap, name: ca }] } } } }");
export const ONE_SIDED = NODE("");

/** A policy in `prod`, from its `spec` as YAML in flow style. */
export function policy(name: string, spec: string, annotations = "{}"): string {
  return `---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: { name: ${name}, namespace: prod, annotations: ${annotations} }\nspec: ${spec}\n`;
}

/** What lint says, as `severity code line: found`. */
export function lint(node: string, ...policies: string[]): string[] {
  const report = new Report();
  const into: Policies = { dir: "p", files: [], resources: [], external: [], findings: [] };
  readDocuments("node.yaml", node, {}, into, report);
  readDocuments("policies.yaml", policies.join(""), {}, into, report);
  if (report.failed) throw new Error(JSON.stringify(report.findings, null, 1));
  return lintPolicies(into).map(({ severity, code, where, found }) => `${severity} ${code} ${where!.file}:${where!.line}:${where!.col}${found === undefined ? "" : ` ${found}`}`);
}

/** Only the codes. */
export function codes(node: string, ...policies: string[]): string[] {
  return lint(node, ...policies).map((line) => line.split(" ").slice(0, 2).join(" "));
}

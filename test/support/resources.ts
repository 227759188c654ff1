/** Resources that many tests have: workloads of this machine, what leads to them, and who may. All in namespace prod, on Gateway gw. */
import { ref } from "../unit/compose/support.ts";

/** A Backend on this machine; its workload is called after it. @param more of its spec, as YAML */
export const workload = (name: string, port: number, more = "", app = name): string => `apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: { name: ${name}, namespace: prod, labels: { app: ${app} } }
spec: { endpoints: [{ ip: { address: 127.0.0.1, port: ${port} } }]${more && `, ${more}`} }`;

/** Requests below each path go to a backend of its own. @param paths prefix to backend, in order; the one for "/" takes the rest */
export const pathRoute = (paths: Record<string, string>): string => `apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: r, namespace: prod }
spec:
  parentRefs: [{ name: gw }]
  rules:
${Object.entries(paths).map(([path, name]) => `    - { matches: [{ path: { value: ${path} } }], backendRefs: [${ref(name)}] }`).join("\n")}`;

/** Connections to a listener go to these backends. */
export const tcpRoute = (listener: string, backends = [listener]): string => `apiVersion: gateway.networking.k8s.io/v1alpha2
kind: TCPRoute
metadata: { name: ${listener}, namespace: prod }
spec: { parentRefs: [{ name: gw, sectionName: ${listener} }], rules: [{ backendRefs: [${backends.map((each) => ref(each)).join(", ")}] }] }`;

/** An AuthorizationPolicy on one workload. @param spec what else it has, as YAML */
export const policyOn = (app: string, spec: string, name = app): string => `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: ${name}, namespace: prod }
spec: { selector: { matchLabels: { app: ${app} } }, ${spec} }`;

/** Where an authorizer is, for policies with CUSTOM. */
export const provider = (name: string, spec: string): string => `apiVersion: selvedge.dev/v1alpha1
kind: ExtensionProvider
metadata: { name: ${name}, namespace: prod }
spec: { ${spec} }`;

/** A Gateway whose listeners with TLS, for requests or connections, ask for certificates of the authority in `cert`; see `carrier`. @param listeners YAML of a list */
export const mutualGateway = (listeners: string): string => `apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: prod }
spec:
  gatewayClassName: selvedge
  addresses: [{ value: 127.0.0.1 }]
  tls: { frontend: { default: { validation: { caCertificateRefs: [{ kind: ConfigMap, name: cert }] } } } }
  listeners:
${listeners.replace(/^/gm, "    ")}`;

const telemetry = (spec: string): string => `apiVersion: telemetry.istio.io/v1
kind: Telemetry
metadata: { name: t, namespace: prod }
spec: { ${spec} }`;

export const NO_METRICS = telemetry("metrics: [{ overrides: [{ disabled: true }] }]");
export const ACCESS_LOG = telemetry("accessLogging: [{ providers: [{ name: envoy }] }]");

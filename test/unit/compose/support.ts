/** Policies for tests: small documents, written into a folder of their own. */
import { execFileSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll } from "vitest";
import { composeEnvoy, loadPolicies, type ComposeOptions, type Composition } from "../../../harness/compose/index.ts";
import type { Finding } from "../../../harness/errors.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../../harness/tempdir.ts";

const made: TemporaryDirectory[] = [];
afterAll(() => {
  for (const dir of made.splice(0)) dir.remove();
});

/** A fresh folder with these files, removed when the test file is done. */
export function folder(files: Record<string, string>): string {
  const temporary = temporaryDirectory("compose");
  made.push(temporary);
  const dir = temporary.path;
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(dirname(join(dir, name)), { recursive: true });
    writeFileSync(join(dir, name), text);
  }
  return dir;
}

/** Capabilities are given, so that no module is needed. */
export const OPTIONS: ComposeOptions = {
  moduleDir: "/modules",
  capabilities: { edge: ["proxy_log"], authz: ["proxy_log"], canary: ["proxy_log"], telemetry: ["proxy_log"] },
};

export function compose(files: Record<string, string> | string, options: Partial<ComposeOptions> = {}): Composition & { dir: string } {
  const dir = folder(typeof files === "string" ? { "policies.yaml": files } : files);
  return { ...composeEnvoy(loadPolicies(dir), { ...OPTIONS, ...options }), dir };
}

/** `code@line:col`, the way a table of expectations reads best. */
export function places(findings: Finding[], severity: "error" | "warning" = "error"): string[] {
  return findings.filter((each) => each.severity === severity).map((each) => `${each.code}@${each.where?.line}:${each.where?.col}`);
}

export function codes(findings: Finding[], severity: "error" | "warning" = "error"): string[] {
  return findings.filter((each) => each.severity === severity).map((each) => each.code);
}

export const doc = (...documents: string[]): string => documents.map((each) => `${each.trim()}\n`).join("---\n");

export const GATEWAY = `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: gw, namespace: prod }
spec:
  gatewayClassName: selvedge
  listeners:
    - { name: http, port: 8080, protocol: HTTP }
`;

export const gateway = (spec: string, name = "gw"): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: ${name}, namespace: prod }
spec:
  gatewayClassName: selvedge
${spec.replace(/^/gm, "  ")}
`;

export const backend = (name: string, labels = "app: app", extra = ""): string => `
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: Backend
metadata: { name: ${name}, namespace: prod, labels: { ${labels} } }
spec:
  endpoints: [{ ip: { address: 127.0.0.1, port: 9000 } }]
  ${extra}
`;

export const ref = (name: string, rest = ""): string => `{ group: gateway.envoyproxy.io, kind: Backend, name: ${name}${rest ? `, ${rest}` : ""} }`;

/** An HTTPRoute on GATEWAY; `rules` is YAML of the list. */
export const route = (rules: string, name = "r", rest = ""): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: ${name}, namespace: prod }
spec:
  parentRefs: [{ name: gw }]
  ${rest}
  rules:
${rules.replace(/^/gm, "    ")}
`;

export const SIMPLE = doc(GATEWAY, backend("a"), route(`- backendRefs: [${ref("a")}]`));

export const authorization = (spec: string, meta = "name: p, namespace: prod"): string => `
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { ${meta} }
spec:
${spec.replace(/^/gm, "  ")}
`;

/* eslint-disable @typescript-eslint/no-explicit-any -- tests reach deep into plain JSON */
export function listeners(result: Composition): any[] {
  if (!result.config) throw new Error(result.findings.map((each) => `${each.code}: ${each.message}`).join("\n"));
  return (result.config.static_resources as any).listeners;
}

export function clusters(result: Composition): any[] {
  listeners(result);
  return (result.config!.static_resources as any).clusters;
}

export function hcm(result: Composition, listener = 0, chain = 0): any {
  return listeners(result)[listener].filter_chains[chain].filters.at(-1).typed_config;
}

/** The routes of the virtual host for a domain. */
export function routesOf(result: Composition, domain = "*", listener = 0, chain = 0): any[] {
  const hosts = hcm(result, listener, chain).route_config.virtual_hosts as any[];
  const host = hosts.find((each) => each.domains.includes(domain));
  if (!host) throw new Error(`no host ${domain} among ${hosts.map((each) => each.domains).join(" ")}`);
  return host.routes;
}

export function plugin(result: Composition, kind = "edge"): any {
  const found = result.plugins.find((each) => each.kind === kind);
  return found && JSON.parse(found.json);
}

let pki: string | undefined;

/** A folder with ca, node and client certificates, laid out as `<name>/tls.crt|tls.key|ca.crt`. */
export function certificates(): string {
  if (pki) return pki;
  const dir = folder({});
  const openssl = (...args: string[]): void => void execFileSync("openssl", args, { cwd: dir, stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", "ca.key", "-out", "ca.crt", "-days", "2", "-subj", "/CN=ca");
  for (const [name, san] of [["node", "DNS:localhost,IP:127.0.0.1"], ["client", "URI:spiffe://cluster.local/ns/prod/sa/client"]] as const) {
    mkdirSync(join(dir, name));
    openssl("req", ...key, "-keyout", `${name}/tls.key`, "-out", `${name}/req`, "-subj", `/CN=${name}`);
    writeFileSync(join(dir, name, "ext"), `subjectAltName=${san}\n`);
    openssl("x509", "-req", "-in", `${name}/req`, "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", `${name}/ext`, "-out", `${name}/tls.crt`);
    execFileSync("cp", [join(dir, "ca.crt"), join(dir, name, "ca.crt")]);
  }
  pki = dir;
  return dir;
}

/** A Secret and a ConfigMap that stand for a directory. */
export const carrier = (directory: string, name = "cert"): string => `
apiVersion: v1
kind: Secret
metadata: { name: ${name}, namespace: prod, annotations: { selvedge.dev/directory: "${directory}" } }
---
apiVersion: v1
kind: ConfigMap
metadata: { name: ${name}, namespace: prod, annotations: { selvedge.dev/directory: "${directory}" } }
`;

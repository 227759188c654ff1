/** Everything that is checked before anything is started: policies, Scenario, certificates, modules, ports, Envoy's own view. */
import { join } from "node:path";
import { packageRoot } from "../build/index.ts";
import { trustOf, type Trusted, type TrustOptions } from "../bundle/trust.ts";
import { composeEnvoy, DEFAULT_ROOT_NAMESPACE, loadPolicies, type ComposeOptions, type Composition, type Policies } from "../compose/index.ts";
import { Report, sortFindings } from "../compose/report.ts";
import { resolvePolicies } from "../compose/resolve/index.ts";
import type { Model } from "../compose/resolve/model.ts";
import { checkPorts, findEnvoy, validateConfig, type Bootstrap, type EnvoyBinary } from "../envoy/index.ts";
import { SelvedgeError, type Finding } from "../errors.ts";
import { planCertificates, type CertificatePlan } from "./certificate-plan.ts";
import { issueCertificates } from "./certificates.ts";
import { withScenario } from "./check.ts";
import type { Scenario } from "./model.ts";
import { findScenario, resolveScenario, TRUST_DOMAIN } from "./resolve.ts";
import { checkUpstreamPorts } from "./upstreams.ts";

export interface PrepareOptions {
  /** What serves: an Envoy, which is looked for, or harness/serve. Default envoy. */
  engine?: Engine;
  /** Value of `--envoy`. */
  envoy?: string;
  /** What `composeEnvoy` is told; modules are looked for in the package's `dist` unless it says otherwise. */
  compose?: Partial<ComposeOptions>;
  /** Whose signed bundles count, besides what the folder's PolicyBundle says. */
  trust?: TrustOptions;
}

export type Engine = "envoy" | "host";

export interface Prepared {
  /** Absent where the host engine serves. */
  envoy?: EnvoyBinary;
  composition: Composition;
  /** What to start Envoy with. */
  bootstrap: Bootstrap;
  /** Warnings; an error is thrown. */
  warnings: Finding[];
  /** Where policies come signed. */
  trusted?: Trusted;
  scenario?: Scenario;
  /** Directory of the authority that the node's certificate comes from. */
  authority?: string;
}

/** A folder as its files say, checked for itself; certificates on disk aren't looked at. */
export interface ReadFolder {
  policies: Policies;
  model: Model;
  scenario?: Scenario;
  plan?: CertificatePlan;
}

/** @throws SelvedgeError with every error that was found */
export function readFolder(dir: string, options: Pick<PrepareOptions, "compose"> = {}): ReadFolder {
  const policies = loadPolicies(dir, withScenario);
  // A document that its schema refuses makes everything that refers to it look wrong, too.
  throwErrors(policies.findings);
  const report = new Report();
  const rootNamespace = options.compose?.rootNamespace ?? DEFAULT_ROOT_NAMESPACE;
  const model = resolvePolicies(policies, { rootNamespace, readFiles: false, occupied: [] }, report);
  throwErrors(report.findings);
  const document = findScenario(policies, report);
  const scenario = document && resolveScenario(document, policies, model, report, options.compose?.trustDomain);
  throwErrors(report.findings);
  const plan = scenario && planCertificates(policies, model, scenario, report);
  throwErrors(report.findings);
  return { policies, model, ...(scenario && { scenario }), ...(plan && { plan }) };
}

export async function prepare(dir: string, options: PrepareOptions, step: (text: string) => void): Promise<Prepared> {
  step(`Reading ${dir}`);
  const { policies, scenario, plan } = readFolder(dir, options);
  const envoy = options.engine === "host" ? undefined : await lookForEnvoy(options, step);
  if (plan) {
    step("Making certificates");
    await issueCertificates(plan);
  }
  step("Composing the configuration");
  const trusted = trustOf(policies, { ...options.trust, runs: envoy !== undefined });
  const composition = composeEnvoy(policies, {
    moduleDir: join(packageRoot, "dist"),
    ...(envoy && { envoyVersion: envoy.version }),
    ...options.compose,
    ...(trusted && { signing: trusted.signing }),
    trustDomain: scenario?.trustDomain ?? options.compose?.trustDomain ?? TRUST_DOMAIN,
  });
  throwErrors(composition.findings);
  const bootstrap = composition.config as unknown as Bootstrap;

  step("Looking for free ports");
  throwErrors([...(await checkUpstreamPorts(scenario?.upstreams ?? [])), ...(await checkPorts(bootstrap))]);
  if (envoy) {
    step(`Letting Envoy ${envoy.version} validate the configuration`);
    throwErrors(await validateConfig(bootstrap, { envoy }));
  } else {
    const { checkHostEngine } = await import("../serve/index.ts");
    throwErrors(await checkHostEngine(bootstrap));
  }
  return {
    ...(envoy && { envoy }),
    composition,
    bootstrap,
    warnings: [...composition.findings, ...(trusted?.findings ?? [])],
    ...(trusted && { trusted }),
    ...(scenario && { scenario }),
    ...(plan && { authority: plan.authority }),
  };
}

/** @throws SelvedgeError `envoy-not-found`, with what can be run without one */
async function lookForEnvoy(options: PrepareOptions, step: (text: string) => void): Promise<EnvoyBinary> {
  try {
    return await findEnvoy({ ...(options.envoy !== undefined && { flag: options.envoy }), onProgress: step });
  } catch (error) {
    if (!(error instanceof SelvedgeError) || error.code !== "envoy-not-found") throw error;
    throw new SelvedgeError(error.findings.map((finding) => (finding.code === "envoy-not-found" ? { ...finding, fix: `${finding.fix}; to try things out without one: \`--engine host\`` } : finding)));
  }
}

function throwErrors(findings: Finding[]): void {
  const errors = findings.filter(({ severity }) => severity === "error");
  if (errors.length > 0) throw new SelvedgeError(sortFindings(errors));
}

/**
 * Lint: policies that are understood, and that probably don't say what their author meant. What surely denies nothing is an
 * error; what may be meant is a warning. Runs on policies that compose takes; `selvedge check` prints it.
 */
import { DEFAULT_ROOT_NAMESPACE, type CheckOptions, type Policies } from "../compose/index.ts";
import { resolvePolicies } from "../compose/resolve/index.ts";
import { Report, sortFindings } from "../compose/report.ts";
import { formatPosition, type Finding } from "../errors.ts";
import { Attached } from "./attached.ts";
import { rulesOfPolicy } from "./clauses.ts";
import { lintIdentity } from "./identity.ts";
import { lintShadowed } from "./shadow.ts";
import { lintConnections, lintIgnored, lintProvider } from "./tcp.ts";
import { lintTokens } from "./tokens.ts";
import { lintValues } from "./values.ts";

export { lintEnvoyFiles } from "./envoy.ts";

/** @returns nothing for documents that could not be read, and nothing about a place that has an error already */
export function lintPolicies(policies: Policies, options: CheckOptions = {}): Finding[] {
  const resolved = new Report();
  const rootNamespace = options.rootNamespace ?? DEFAULT_ROOT_NAMESPACE;
  const model = resolvePolicies(policies, { rootNamespace, readFiles: false, occupied: [] }, resolved);
  if (policies.findings.some((finding) => finding.severity === "error")) return [];
  const report = new Report();
  const attached = new Attached(model, rootNamespace);
  const rules = model.policies.flatMap(rulesOfPolicy);
  for (const rule of rules) {
    lintValues(rule, attached, report);
    lintIdentity(rule, attached, report);
    lintConnections(rule, attached, report);
  }
  lintTokens(rules, model, rootNamespace, report);
  lintIgnored(model.policies, attached, report);
  for (const provider of model.providers.values()) lintProvider(provider, report);
  lintShadowed(rules, attached, report);
  const place = ({ where }: Finding): string => formatPosition(where!);
  const refused = new Set(resolved.findings.filter(({ severity, where }) => severity === "error" && where).map(place));
  return sortFindings(report.findings.filter((finding) => !refused.has(place(finding))));
}

import type { Finding } from "../errors.ts";
import { countFindings } from "./output.ts";
import { composeOptions, policyArgs } from "./policies.ts";
import { stateArg, trustArgs, trustOptions } from "./trust.ts";
import { defineVerb } from "./verb.ts";

export const check = defineVerb({
  name: "check",
  summary: "Check policy files, or an Envoy configuration with our filters; what they make, in a real Envoy",
  args: {
    ...policyArgs,
    ...trustArgs,
    ...stateArg,
    envoy: { type: "string", valueHint: "PATH", description: "Envoy binary to validate with; otherwise the one that is found" },
    offline: { type: "boolean", description: "Read the files only: no modules, no Envoy" },
    lint: { type: "boolean", default: true, description: "Also look for policies and settings that don't say what they seem to (--no-lint: don't)" },
  },
  async run({ args, progress }) {
    const { checkPolicies, composeEnvoy, loadPolicies } = await import("../compose/index.ts");
    const { lintEnvoyFiles, lintPolicies } = await import("../lint/index.ts");
    const { withScenario } = await import("../scenario/check.ts");
    const { trustOf } = await import("../bundle/trust.ts");
    const findings: Finding[] = [];
    const validate = async (config: Record<string, unknown>): Promise<void> => {
      const { findEnvoy, validateConfig } = await import("../envoy/index.ts");
      const envoy = await findEnvoy({ flag: args.envoy, onProgress: progress });
      findings.push(...(await validateConfig(config, { envoy })));
    };

    const policies = loadPolicies(args.dir, withScenario);
    const trusted = trustOf(policies, trustOptions(args));
    findings.push(...(trusted?.findings ?? []));
    const options = { ...composeOptions(args), ...(trusted && { signing: trusted.signing }) };
    const envoy = lintEnvoyFiles(policies.files);
    // Envoy configurations without a policy beside them are what is to be checked.
    const isEnvoyOnly = envoy.bootstraps.length > 0 && policies.resources.length + policies.external.length === 0;
    if (args.lint) findings.push(...envoy.findings);
    if (isEnvoyOnly) {
      findings.push(...policies.findings);
      if (!args.offline) for (const file of envoy.bootstraps) await validate({ file });
    } else {
      const composition = args.offline ? { findings: checkPolicies(args.dir, { ...options, ...withScenario }) } : composeEnvoy(policies, options);
      findings.push(...composition.findings);
      if (args.lint) findings.push(...lintPolicies(policies, options));
      if ("config" in composition && composition.config) await validate({ ...composition.config });
    }
    const count = countFindings(findings);
    return { text: count === "" ? `${args.dir}: fine` : `${args.dir}: ${count}`, findings };
  },
});

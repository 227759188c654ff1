import { countFindings } from "./output.ts";
import { composeOptions, policyArgs } from "./policies.ts";
import { defineVerb } from "./verb.ts";

export const check = defineVerb({
  name: "check",
  summary: "Check policy files, and the configuration that they make in a real Envoy",
  args: {
    ...policyArgs,
    envoy: { type: "string", valueHint: "PATH", description: "Envoy binary to validate with; otherwise the one that is found" },
    offline: { type: "boolean", description: "Read the policies only: no modules, no Envoy" },
  },
  async run({ args, progress }) {
    const { checkPolicies, composeEnvoy, loadPolicies } = await import("../compose/index.ts");
    const { withScenario } = await import("../scenario/check.ts");
    const options = composeOptions(args);
    const findings = args.offline ? checkPolicies(args.dir, { ...options, ...withScenario }) : [];
    if (!args.offline) {
      const composition = composeEnvoy(loadPolicies(args.dir, withScenario), options);
      findings.push(...composition.findings);
      if (composition.config) {
        const { findEnvoy, validateConfig } = await import("../envoy/index.ts");
        const envoy = await findEnvoy({ flag: args.envoy, onProgress: progress });
        findings.push(...(await validateConfig({ ...composition.config }, { envoy })));
      }
    }
    const count = countFindings(findings);
    return { text: count === "" ? `${args.dir}: fine` : `${args.dir}: ${count}`, findings };
  },
});

import { writeAtomically } from "../build/files.ts";
import { composeOptions, policyArgs } from "./policies.ts";
import { stateArg, trustArgs, trustOptions } from "./trust.ts";
import { defineVerb } from "./verb.ts";

export const compose = defineVerb({
  name: "compose",
  summary: "Turn policy files into a configuration for Envoy",
  args: {
    ...policyArgs,
    ...trustArgs,
    ...stateArg,
    target: { type: "enum", options: ["envoy", "istio", "envoy-gateway"], default: "envoy", description: "What to write" },
    output: { type: "string", alias: "o", valueHint: "FILE", description: "Where to write it; standard output unless given" },
    base: { type: "string", valueHint: "DIR", description: "Write paths below DIR relative to it; absolute ones unless given" },
  },
  async run({ args }) {
    const { composeEnvoy, loadPolicies } = await import("../compose/index.ts");
    const { withScenario } = await import("../scenario/check.ts");
    const target = args.target as "envoy" | "istio" | "envoy-gateway";
    const { trustOf } = await import("../bundle/trust.ts");
    const policies = loadPolicies(args.dir, withScenario);
    const trusted = trustOf(policies, trustOptions(args));
    const composition = composeEnvoy(policies, { ...composeOptions(args), ...(trusted && { signing: trusted.signing }), target, baseDir: args.base });
    const { yaml, config, listeners, plugins } = composition;
    const findings = [...composition.findings, ...(trusted?.findings ?? [])];
    if (yaml === undefined) return { findings, failed: true };
    if (args.output !== undefined) await writeAtomically(args.output, yaml);
    return { text: args.output === undefined ? yaml : `wrote ${args.output}`, data: { listeners, plugins, config }, findings };
  },
});

import { writeAtomically } from "../build/files.ts";
import { composeOptions, policyArgs } from "./policies.ts";
import { signingOptions, trustArgs } from "./trust.ts";
import { defineVerb } from "./verb.ts";

export const compose = defineVerb({
  name: "compose",
  summary: "Turn policy files into a configuration for Envoy",
  args: {
    ...policyArgs,
    ...trustArgs,
    target: { type: "enum", options: ["envoy", "istio", "envoy-gateway"], default: "envoy", description: "What to write" },
    output: { type: "string", alias: "o", valueHint: "FILE", description: "Where to write it; standard output unless given" },
    base: { type: "string", valueHint: "DIR", description: "Write paths below DIR relative to it; absolute ones unless given" },
  },
  async run({ args }) {
    const { composeEnvoy, loadPolicies } = await import("../compose/index.ts");
    const { withScenario } = await import("../scenario/check.ts");
    const target = args.target as "envoy" | "istio" | "envoy-gateway";
    const { yaml, config, findings, listeners, plugins } = composeEnvoy(loadPolicies(args.dir, withScenario), { ...composeOptions(args), ...(await signingOptions(args)), target, baseDir: args.base });
    if (yaml === undefined) return { findings, failed: true };
    if (args.output !== undefined) await writeAtomically(args.output, yaml);
    return { text: args.output === undefined ? yaml : `wrote ${args.output}`, data: { listeners, plugins, config }, findings };
  },
});

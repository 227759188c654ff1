import { colors } from "../colors.ts";
import { UsageError } from "../errors.ts";
import { composeOptions, policyArgs, wholeNumber } from "./policies.ts";
import { stateArg, trustArgs, trustOptions } from "./trust.ts";
import { defineVerb } from "./verb.ts";

export const run = defineVerb({
  name: "run",
  summary: "Run a folder of policies as a node; with a Scenario in it, play that and show what happened",
  args: {
    ...policyArgs,
    ...trustArgs,
    ...stateArg,
    once: { type: "boolean", description: "End after the summary instead of staying up" },
    engine: { type: "enum", options: ["envoy", "host"], default: "envoy", description: "What serves: an Envoy, or Node itself for trying out where there is none" },
    envoy: { type: "string", valueHint: "PATH", description: "Envoy binary to run; otherwise the one that is found" },
    concurrency: { type: "string", valueHint: "N", description: "Worker threads of Envoy; one for each core unless given" },
  },
  async run({ args, json }) {
    if (args.engine === "host") for (const name of ["envoy", "concurrency"] as const) if (args[name] !== undefined) throw new UsageError(`--${name} is for --engine envoy`);
    const { runNode } = await import("../scenario/index.ts");
    const code = await runNode(args.dir, {
      compose: composeOptions(args),
      trust: trustOptions(args),
      once: args.once ?? false,
      engine: args.engine === "host" ? "host" : "envoy",
      json,
      color: colors.isColorSupported,
      ...(args.envoy !== undefined && { envoy: args.envoy }),
      ...(args.concurrency !== undefined && { concurrency: wholeNumber("--concurrency", args.concurrency, 1024) }),
    });
    return { printed: true, failed: code !== 0 };
  },
});

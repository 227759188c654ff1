import { UsageError } from "../errors.ts";
import { wholeNumber } from "./policies.ts";
import { defineVerb } from "./verb.ts";

export const bench = defineVerb({
  name: "bench",
  summary: "Measure what the filters cost in a real Envoy, next to empty modules and Envoy's own filters",
  args: {
    only: { type: "string", valueHint: "NAMES", description: "Variants to measure, with commas between" },
    rounds: { type: "string", valueHint: "N", description: "Interleaved rounds" },
    quick: { type: "boolean", description: "A rough run of under a minute" },
    soak: { type: "string", valueHint: "TIME", description: "Instead: load for 30s or 10m on edge.wasm (or the one filter of --only), and what becomes of its memory" },
    shapes: { type: "boolean", description: "Instead: what one decision costs as policies of several shapes grow, without Envoy" },
    modules: { type: "string", valueHint: "DIR", description: "Where the filter modules are" },
    envoy: { type: "string", valueHint: "PATH", description: "Envoy binary; otherwise the one that is found" },
    output: { type: "string", alias: "o", valueHint: "FILE", description: "Write the result there too, as JSON" },
  },
  async run({ args, progress }) {
    const { runBench } = await import("../../test/bench/index.ts");
    const { text, data } = await runBench({
      only: args.only?.split(",").map((name) => name.trim()),
      rounds: args.rounds === undefined ? undefined : wholeNumber("--rounds", args.rounds),
      quick: args.quick,
      soakSeconds: args.soak === undefined ? undefined : seconds("--soak", args.soak),
      shapes: args.shapes,
      dist: args.modules,
      envoy: args.envoy,
      jsonFile: args.output,
      progress,
    });
    return { text, data: { ...data } };
  },
});

/** `90`, `90s` or `10m`. @throws UsageError */
function seconds(name: string, text: string): number {
  const [, number, unit] = /^(\d{1,6})(s|m)?$/.exec(text) ?? [];
  if (number === undefined) throw new UsageError(`${name} must be a time such as 30s or 10m, not ${text}`);
  return Number(number) * (unit === "m" ? 60 : 1);
}

import { colors } from "../colors.ts";
import { examine, type Check } from "./doctor-checks.ts";
import { defineVerb } from "./verb.ts";

export const doctor = defineVerb({
  name: "doctor",
  summary: "Check what this machine has for building, testing and running",
  args: {
    envoy: { type: "string", valueHint: "PATH", description: "Envoy binary to look at; otherwise the one that would be found" },
  },
  async run({ args }) {
    const checks = await examine({ envoy: args.envoy });
    return { text: checks.map(line).join("\n"), data: { checks }, failed: checks.some((check) => check.status === "fail") };
  },
});

const MARKS = { ok: colors.green("ok  "), warn: colors.yellow("warn"), fail: colors.red("fail") };

function line({ title, status, detail, fix }: Check): string {
  return `${MARKS[status]}  ${title.padEnd(12)} ${detail}${fix === undefined ? "" : `\n                   fix: ${fix}`}`;
}

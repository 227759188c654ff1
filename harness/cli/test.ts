import { writeFile } from "node:fs/promises";
import { colors } from "../colors.ts";
import { UsageError } from "../errors.ts";
import { coverageArgs, coverageRequest, withCoverage } from "./coverage.ts";
import { defineVerb } from "./verb.ts";

export const test = defineVerb({
  name: "test",
  summary: "Run the test cases of filters on the built-in host, in a real Envoy, or on both and compare",
  args: {
    path: { type: "positional", required: false, description: "Files of cases, or folders; every filter's unless given" },
    engine: { type: "enum", options: ["host", "envoy", "both"], default: "host", description: "What runs the filters" },
    envoy: { type: "string", valueHint: "PATH", description: "Envoy binary to run; otherwise the one that is found" },
    modules: { type: "string", valueHint: "DIR", description: "Where built modules are; they are then taken as they are" },
    junit: { type: "string", valueHint: "FILE", description: "Write the result there too, as JUnit XML" },
    "update-snapshots": { type: "boolean", description: "Store what is seen as the new snapshots" },
    ...coverageArgs,
    watch: { type: "boolean", description: "Rebuild and run again after every change, until Ctrl-C" },
  },
  variadic: true,
  async run({ args, positionals, json, progress }) {
    const counted = await coverageRequest(args);
    if (args.watch && (json || args.junit !== undefined)) throw new UsageError("--watch reports to people: it goes with neither --json nor --junit");
    const { jsonReport, junitReport, passed, testFiles, textReport, watchCases } = await import("../cases/session.ts");
    const options = { paths: positionals, engine: args.engine, envoy: args.envoy, modules: args.modules, updateSnapshots: args["update-snapshots"], progress };
    if (args.watch) {
      await watchCases(options, (text) => process.stdout.write(`${text}\n`));
      return { printed: true };
    }
    const run = await testFiles({ ...options, coverage: counted?.coverage });
    if (args.junit !== undefined) await writeFile(args.junit, junitReport(run));
    const outcome = { text: textReport(run, colors.isColorSupported), data: jsonReport(run), findings: run.findings, failed: !passed(run) };
    return counted === undefined ? outcome : withCoverage(outcome, counted, colors.isColorSupported);
  },
});

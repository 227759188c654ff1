import { writeFile } from "node:fs/promises";
import { colors } from "../colors.ts";
import { UsageError } from "../errors.ts";
import { coverageArgs, coverageRequest, withCoverage } from "./coverage.ts";
import { composeOptions, policyArgs, wholeNumber } from "./policies.ts";
import { defineVerb } from "./verb.ts";

const { dir: _, modules: __, ...composing } = policyArgs;

export const test = defineVerb({
  name: "test",
  summary: "Run the test cases of filters, or of policies, on the built-in host, in a real Envoy, or on both and compare",
  args: {
    path: { type: "positional", required: false, description: "Files of cases, or folders of them, or folders of policies with PolicyTests; every filter's unless given" },
    engine: { type: "enum", options: ["host", "envoy", "both"], default: "host", description: "What runs the filters" },
    envoy: { type: "string", valueHint: "PATH", description: "Envoy binary to run; otherwise the one that is found" },
    modules: { type: "string", valueHint: "DIR", description: "Where built modules are; they are then taken as they are" },
    junit: { type: "string", valueHint: "FILE", description: "Write the result there too, as JUnit XML" },
    "update-snapshots": { type: "boolean", description: "Store what is seen as the new snapshots" },
    ...coverageArgs,
    mutate: { type: "boolean", description: "Change the policies, one place at a time, and list the changes that no PolicyTest noticed" },
    survivors: { type: "string", valueHint: "N", description: "How many unnoticed changes are fine; 0 unless given" },
    ...composing,
    watch: { type: "boolean", description: "Rebuild and run again after every change, until Ctrl-C" },
  },
  variadic: true,
  async run({ args, positionals, json, progress }) {
    const counted = await coverageRequest(args);
    if (args.watch && (json || args.junit !== undefined)) throw new UsageError("--watch reports to people: it goes with neither --json nor --junit");
    const { holdsPolicyTests } = await import("../policytest/run.ts");
    const folders = positionals.filter((path) => holdsPolicyTests(path));
    const others = positionals.filter((path) => !folders.includes(path));
    if (args.mutate && folders.length === 0) throw new UsageError("--mutate needs a folder of policies with PolicyTests");
    if (args.watch && folders.length > 0) throw new UsageError("--watch watches filters and their cases, not folders of policies");
    if (args.survivors !== undefined && !args.mutate) throw new UsageError("--survivors goes with --mutate");
    const most = args.survivors === undefined ? 0 : wholeNumber("--survivors", args.survivors);
    const { joinRuns, jsonReport, junitReport, passed, testFiles, textReport, watchCases } = await import("../cases/session.ts");
    const options = { paths: positionals, engine: args.engine, envoy: args.envoy, modules: args.modules, updateSnapshots: args["update-snapshots"], progress };
    if (args.watch) {
      await watchCases(options, (text) => process.stdout.write(`${text}\n`));
      return { printed: true };
    }
    const { testFolders } = await import("../policytest/session.ts");
    const policies = await testFolders(folders, { engine: args.engine, compose: composeOptions(args), envoy: args.envoy, progress, mutate: args.mutate ?? false }, colors);
    const run = folders.length > 0 && others.length === 0 ? policies.run : joinRuns(await testFiles({ ...options, paths: others, coverage: counted?.coverage }), policies.run);
    if (args.junit !== undefined) await writeFile(args.junit, junitReport(run));
    const { mutation } = policies;
    const outcome = {
      text: textReport(run, colors.isColorSupported) + (policies.text === "" ? "" : `\n\n${policies.text}`),
      data: { ...jsonReport(run), ...(mutation && { mutation }) },
      findings: run.findings,
      failed: !passed(run) || (mutation !== undefined && mutation.survivors.length > most),
    };
    return counted === undefined ? outcome : withCoverage(outcome, counted, colors.isColorSupported);
  },
});

/** `selvedge test` on folders of policies. */
import { passed, type TestRun } from "../cases/run.ts";
import { mutate, type Mutation } from "../mutate/mutate.ts";
import { mutationText } from "../mutate/text.ts";
import { NO_SNAPSHOTS, testPolicies, type PolicyTestOptions } from "./run.ts";

export interface FolderTests {
  run: TestRun;
  /** Of all folders together. */
  mutation: Mutation | undefined;
  /** What mutation has to say. */
  text: string;
}

export async function testFolders(paths: readonly string[], options: PolicyTestOptions & { mutate: boolean }, paint: Parameters<typeof mutationText>[1]): Promise<FolderTests> {
  const run: TestRun = { engines: options.engine === "both" ? ["host", "envoy"] : [options.engine], files: [], findings: [], snapshots: NO_SNAPSHOTS, durationMs: 0 };
  const texts: string[] = [];
  let mutation: Mutation | undefined;
  for (const path of paths) {
    const { run: mine, node, cases } = await testPolicies(path, options);
    try {
      run.files.push(...mine.files);
      run.findings.push(...mine.findings);
      run.durationMs += mine.durationMs;
      if (!options.mutate || !passed(mine)) continue;
      const found = mutate(node, cases);
      texts.push(mutationText(found, paint));
      mutation = mutation ? join(mutation, found) : found;
    } finally {
      node.close();
    }
  }
  return { run, mutation, text: texts.join("\n\n") };
}

function join(a: Mutation, b: Mutation): Mutation {
  return {
    mutants: a.mutants + b.mutants,
    noticed: a.noticed + b.noticed,
    survivors: [...a.survivors, ...b.survivors],
    equivalent: [...a.equivalent, ...b.equivalent],
    refused: a.refused + b.refused,
    unattached: [...a.unattached, ...b.unattached],
    durationMs: a.durationMs + b.durationMs,
  };
}

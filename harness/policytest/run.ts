/** Runs the PolicyTests of a folder: on the host, in a real Envoy, or on both and compared. The result has the shape of other cases'. */
import { readdirSync, readFileSync, statSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Mismatch } from "../cases/expect.ts";
import type { CasePlan } from "../cases/plan.ts";
import type { CaseResult, EngineResult, TestRun } from "../cases/run.ts";
import type { ComposeOptions } from "../compose/index.ts";
import { fail, SelvedgeError } from "../errors.ts";
import { EdgeNode } from "../decide/node.ts";
import { policyCases, type PolicyCase } from "./cases.ts";
import { mismatch, onHost, type Verdict } from "./host.ts";

/** PolicyTests store none. */
export const NO_SNAPSHOTS = { written: 0, updated: 0, removed: 0 };

const MARK = /^\s*["']?kind["']?:\s*["']?PolicyTest\b/m;

/** Whether a path is a folder of policies with tests, or a file of such tests. */
export function holdsPolicyTests(path: string): boolean {
  try {
    if (statSync(path).isFile()) return /\.ya?ml$/.test(path) && MARK.test(readFileSync(path, "utf8"));
    return readdirSync(path, { withFileTypes: true }).some((entry) => !entry.name.startsWith(".") && entry.name !== "node_modules" && entry.name !== "cases" && (entry.isDirectory() || /\.ya?ml$/.test(entry.name)) && holdsPolicyTests(join(path, entry.name)));
  } catch {
    return false;
  }
}

export interface PolicyTestOptions {
  engine: "host" | "envoy" | "both";
  compose: ComposeOptions;
  envoy?: string;
  progress?: (message: string) => void;
}

export interface PolicyTestRun {
  run: TestRun;
  node: EdgeNode;
  cases: PolicyCase[];
}

/** @param path a folder, or one of its files: then only the tests in it. The caller closes the node. @throws SelvedgeError what `check` would say */
export async function testPolicies(path: string, options: PolicyTestOptions): Promise<PolicyTestRun> {
  const started = performance.now();
  const file = statSync(path).isFile() ? path : undefined;
  const node = EdgeNode.load(file === undefined ? path : dirname(file), options.compose);
  try {
    const { cases, findings } = policyCases(node, file);
    if (cases.length === 0 && findings.length === 0) fail("cases-missing", "no PolicyTest here", { where: { file: path } });
    const results = cases.map((each, index): CaseResult => ({ plan: planOf(each, index), results: [], differences: [] }));
    const engines = options.engine === "both" ? (["host", "envoy"] as const) : ([options.engine] as const);
    const verdicts = new Map<string, (Verdict | undefined)[]>();
    for (const engine of engines) {
      const runner = engine === "host" ? (each: PolicyCase) => onHost(each) : await envoyRunner(node, options, cases);
      const mine: (Verdict | undefined)[] = [];
      for (const [index, each] of cases.entries()) {
        const { result, verdict } = await runOne(engine, each, runner);
        results[index]!.results.push(result);
        mine.push(verdict);
      }
      verdicts.set(engine, mine);
    }
    if (engines.length === 2) {
      for (const [index, result] of results.entries()) {
        const [host, envoy] = [verdicts.get("host")![index], verdicts.get("envoy")![index]];
        if (host && envoy && (host.verdict !== envoy.verdict || (host.verdict === "deny" && host.by !== envoy.by))) result.differences.push({ what: "the decision", host: `${host.verdict} by ${host.by}`, envoy: `${envoy.verdict} by ${envoy.by}` });
      }
    }
    const files = [...new Set(cases.map(({ where }) => where.file))];
    return { node, cases, run: { engines: [...engines], files: files.map((each) => ({ file: each, cases: results.filter(({ plan }) => plan.file === each), obsolete: [] })), findings, snapshots: NO_SNAPSHOTS, durationMs: performance.now() - started } };
  } catch (error) {
    node.close();
    throw error;
  }
}

type Runner = (each: PolicyCase) => Verdict | Promise<Verdict>;

async function runOne(engine: "host" | "envoy", each: PolicyCase, runner: Runner): Promise<{ result: EngineResult; verdict?: Verdict }> {
  const started = performance.now();
  const result = (outcome: EngineResult["outcome"], mismatches: Mismatch[], error?: string): EngineResult => ({ engine, outcome, mismatches, ...(error !== undefined && { error }), durationMs: performance.now() - started });
  if (engine === "envoy" && each.hostOnly !== undefined) return { result: result("skipped", []) };
  try {
    const verdict = await runner(each);
    // An Envoy doesn't tell which rule allowed.
    const wrong = mismatch(engine === "envoy" && verdict.verdict === "allow" ? { expect: each.expect, by: undefined } : each, verdict);
    return { result: result(wrong ? "failed" : "passed", wrong ? [{ ...wrong, where: each.where }] : []), verdict };
  } catch (error) {
    return { result: result("failed", [], error instanceof SelvedgeError ? error.message : ((error as Error).stack ?? String(error))) };
  }
}

async function envoyRunner(node: EdgeNode, { envoy, compose, progress }: PolicyTestOptions, cases: readonly PolicyCase[]): Promise<Runner> {
  const [{ findEnvoy }, { inEnvoy }] = await Promise.all([import("../envoy/index.ts"), import("./envoy.ts")]);
  const verdicts = await inEnvoy(node, compose, await findEnvoy({ flag: envoy, onProgress: progress }), cases.filter(({ hostOnly }) => hostOnly === undefined));
  return (each) => {
    const verdict = verdicts.get(each)!;
    if (verdict instanceof Error) throw verdict;
    return verdict;
  };
}

/** What reports need; nothing else of it is used. */
function planOf({ name, where, hostOnly }: PolicyCase, id: number): CasePlan {
  return { id, file: where.file, name, where, engines: hostOnly === undefined ? ["host", "envoy"] : ["host"], ...(hostOnly !== undefined && { because: hostOnly }), filter: "authz", module: "", rootId: "", config: "", routes: {}, steps: [] };
}

/** What `selvedge test --coverage` takes and says. */
import { mkdir, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { colors } from "../colors.ts";
import type { Coverage } from "../coverage/index.ts";
import { UsageError, type Finding } from "../errors.ts";
import type { Outcome } from "./verb.ts";

export const coverageArgs = {
  coverage: { type: "boolean", description: "Count which source lines the cases run, on the host, and print them" },
  lcov: { type: "string", valueHint: "FILE", description: "Where coverage is written, as LCOV; coverage/lcov.info unless given" },
  "coverage-min": { type: "string", valueHint: "PERCENT", description: "Less coverage of lines than this is a failure" },
} as const;

interface CoverageArguments {
  coverage?: boolean;
  lcov?: string;
  "coverage-min"?: string;
  engine: string;
  watch?: boolean;
}

export interface CoverageRequest {
  coverage: Coverage;
  file: string;
  least?: number;
}

/** What was asked for; undefined: no coverage. @throws UsageError */
export async function coverageRequest(args: CoverageArguments): Promise<CoverageRequest | undefined> {
  const asked = (["coverage", "lcov", "coverage-min"] as const).find((name) => args[name] !== undefined && args[name] !== false);
  if (asked === undefined) return undefined;
  if (args.engine !== "host") throw new UsageError(`--${asked} counts lines on the host engine, and Envoy can't: leave --engine ${args.engine} out`);
  if (args.watch) throw new UsageError(`--${asked} goes with one run, not with --watch`);
  const text = args["coverage-min"];
  const least = text === undefined ? undefined : Number(text);
  if (least !== undefined && !(text!.trim() !== "" && least >= 0 && least <= 100)) throw new UsageError(`--coverage-min must be a percentage from 0 to 100, not ${text}`);
  const { Coverage } = await import("../coverage/index.ts");
  return { coverage: new Coverage(), file: args.lcov ?? "coverage/lcov.info", ...(least !== undefined && { least }) };
}

/** Writes the file, and adds to a run's outcome what was covered. */
export async function withCoverage(outcome: Outcome, { coverage, file, least }: CoverageRequest, color: boolean): Promise<Outcome> {
  const { coverageJson, coverageText, lcov, percent, shareOf } = await import("../coverage/index.ts");
  const files = coverage.result();
  await write(file, lcov(files));
  const share = shareOf(files);
  const findings: Finding[] = [];
  // Nothing counted isn't everything covered.
  if (share.total === 0) findings.push({ code: "coverage-none", severity: "error", message: "no line of any source was counted", found: "no module of these cases could be run", fix: "correct what the run says" });
  else if (least !== undefined && percent(share) < least) {
    findings.push({ code: "coverage-low", severity: "error", message: `the cases run ${percent(share)} % of the lines`, found: `${share.covered} of ${share.total} lines`, expected: `at least ${least} %`, fix: "add cases for the lines in the table, or delete what nothing needs" });
  }
  return {
    ...outcome,
    text: `${outcome.text ?? ""}\n\n${coverageText(files, color)}\n\nwritten to ${file}`,
    data: { ...outcome.data, coverage: { file, ...coverageJson(files) } },
    findings: [...(outcome.findings ?? []), ...findings],
  };
}

/**
 * Runs the cases below a folder for `npm test`, and writes `coverage/lcov.info` there.
 *
 * @param least percentage of lines
 * @returns what to print, and whether every case passed and enough lines were run
 */
export async function measureCoverage(root: string, least: number): Promise<{ ok: boolean; text: string }> {
  const [{ Coverage, coverageText, lcov, percent, shareOf }, { passed, testFiles }] = await Promise.all([import("../coverage/index.ts"), import("../cases/session.ts")]);
  const coverage = new Coverage();
  const run = await testFiles({ paths: [join(root, "filters")], engine: "host", coverage });
  const files = coverage.result();
  const file = join(root, "coverage", "lcov.info");
  await write(file, lcov(files));
  const share = shareOf(files);
  const enough = share.total > 0 && percent(share) >= least;
  const verdict = `${coverageText(files, colors.isColorSupported, true)}\nwritten to ${file}; \`selvedge test --coverage\` shows the lines that are missing`;
  return { ok: enough && passed(run), text: enough ? verdict : `${verdict}\nthe cases of filters/ run ${percent(share)} % of its lines, and at least ${least} % are required` };
}

async function write(file: string, text: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, text);
}

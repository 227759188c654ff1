/** What a run has to say: to a person, as JSON, as JUnit XML. Pure. */
import { relative } from "node:path";
import colors from "picocolors";
import { formatPosition } from "../errors.ts";
import { countCases, passed, type CaseResult, type TestRun } from "./run.ts";

/** Per file one line, and every failure with the place to look at. */
export function textReport(run: TestRun, color = true): string {
  const { red, green, yellow, dim, bold } = colors.createColors(color);
  const lines: string[] = [];
  const both = run.engines.length > 1;
  for (const { file, cases } of run.files) {
    const bad = cases.filter(isBad);
    const alone = cases.filter(({ results }) => results.some(({ outcome }) => outcome === "skipped"));
    const time = cases.flatMap(({ results }) => results).reduce((sum, { durationMs }) => sum + durationMs, 0);
    if (cases.length === 0) continue;
    lines.push(`${bad.length ? red("✗") : green("✓")} ${relativeTo(file)} ${dim(`${count(cases.length, "case")}, ${Math.round(time)} ms`)}`);
    for (const each of bad) lines.push(...failure(each, both, { red, dim, bold }));
    for (const { plan, results } of alone) {
      const skipped = results.filter(({ outcome }) => outcome === "skipped").map(({ engine }) => engine);
      lines.push(`  ${yellow("○")} ${plan.name} ${dim(`not on ${skipped.join(", ")}: ${plan.because ?? "it names other engines"}`)}`);
    }
  }
  const total = countCases(run);
  const parts = [
    `${total.passed} passed`,
    ...(total.failed ? [red(`${total.failed} failed`)] : []),
    ...(total.skipped ? [yellow(`${total.skipped} for another engine`)] : []),
    ...(both ? [total.differences ? red(`${total.differences} that differ between the engines`) : "no difference between the engines"] : []),
  ];
  lines.push("", `${run.engines.join(" and ")}: ${parts.join(", ")} ${dim(`of ${total.total} in ${(run.durationMs / 1000).toFixed(1)} s`)}`);
  return lines.join("\n");
}

type Paint = Record<"red" | "dim" | "bold", (text: string) => string>;

function failure({ plan, results, differences }: CaseResult, both: boolean, { red, dim, bold }: Paint): string[] {
  const lines = [`  ${red("✗")} ${bold(plan.name)} ${dim(place(plan.where))}`];
  for (const { engine, mismatches, error, trap } of results) {
    const on = both ? `on ${engine}: ` : "";
    if (error !== undefined) lines.push(...error.split("\n").map((line) => `      ${on}${line}`));
    for (const { what, where, expected, got } of mismatches) {
      lines.push(`      ${on}${what} ${dim(place(where))}`, `        expected ${indent(expected)}`, `        got      ${indent(got)}`);
    }
    if (trap !== undefined) lines.push(...trap.split("\n").map((line, index) => `      ${index === 0 ? on : "  "}${line}`));
  }
  for (const { what, host, envoy } of differences) lines.push(`      the engines differ in ${what}`, `        host  ${indent(host)}`, `        envoy ${indent(envoy)}`);
  return lines;
}

const indent = (text: string): string => text.replaceAll("\n", "\n                 ");
const isBad = ({ results, differences }: CaseResult): boolean => differences.length > 0 || results.some(({ outcome }) => outcome === "failed");
const count = (n: number, what: string): string => `${n} ${what}${n === 1 ? "" : "s"}`;

function relativeTo(file: string): string {
  const path = relative(process.cwd(), file);
  return path.startsWith("../../") ? file : path;
}

function place(where: { file: string; line?: number; col?: number }): string {
  return formatPosition({ ...where, file: relativeTo(where.file) });
}

/** For `--json`. */
export function jsonReport(run: TestRun): Record<string, unknown> {
  return {
    engines: run.engines,
    passed: passed(run),
    counts: countCases(run),
    durationMs: Math.round(run.durationMs),
    files: run.files.map(({ file, cases }) => ({
      file: relativeTo(file),
      cases: cases.map(({ plan, results, differences }) => ({ name: plan.name, line: plan.where.line, ...(plan.because !== undefined && { because: plan.because }), results, differences })),
    })),
  };
}

/** JUnit's XML as CI systems read it: a suite for each file, a test for each case and engine. */
export function junitReport(run: TestRun): string {
  const suites = run.files.filter(({ cases }) => cases.length > 0).map(({ file, cases }) => {
    const tests = cases.flatMap((each) => each.results.map((result, index) => ({ each, result, differences: index === each.results.length - 1 ? each.differences : [] })));
    const failures = tests.filter(({ result, differences }) => result.outcome === "failed" || differences.length > 0).length;
    const skipped = tests.filter(({ result }) => result.outcome === "skipped").length;
    const body = tests.map(({ each, result, differences }) => {
      const head = `    <testcase name="${xml(each.plan.name)}" classname="${xml(`${relativeTo(file)}.${result.engine}`)}" file="${xml(relativeTo(file))}" line="${each.plan.where.line ?? 1}" time="${seconds(result.durationMs)}">`;
      if (result.outcome === "skipped") return `${head}<skipped message="${xml(each.plan.because ?? "for another engine")}"/></testcase>`;
      if (result.outcome !== "failed" && differences.length === 0) return `${head}</testcase>`;
      const text = [...failure({ ...each, results: [result], differences }, false, { red: plain, dim: plain, bold: plain })].join("\n");
      return `${head}<failure message="${xml(each.plan.name)}">${xml(text)}</failure></testcase>`;
    });
    return `  <testsuite name="${xml(relativeTo(file))}" tests="${tests.length}" failures="${failures}" skipped="${skipped}">\n${body.join("\n")}\n  </testsuite>`;
  });
  const broken = run.findings.map(({ code, message, where }) => `  <testsuite name="${xml(where?.file ?? "cases")}" tests="1" failures="1"><testcase name="${xml(code)}" classname="cases"><failure message="${xml(message)}">${xml(where ? formatPosition(where) : "")}</failure></testcase></testsuite>`);
  return `<?xml version="1.0" encoding="UTF-8"?>\n<testsuites time="${seconds(run.durationMs)}">\n${[...suites, ...broken].join("\n")}\n</testsuites>\n`;
}

const plain = (text: string): string => text;
const seconds = (ms: number): string => (ms / 1000).toFixed(3);
const NAMES = new Map([["&", "&amp;"], ["<", "&lt;"], [">", "&gt;"], ['"', "&quot;"]]);

/** Control characters have no place in XML 1.0, escaped or not. */
function xml(text: string): string {
  return text.replace(/[&<>"]/g, (each) => NAMES.get(each)!).replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\ufffe\uffff]/g, "\ufffd");
}

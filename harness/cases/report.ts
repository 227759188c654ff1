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
  for (const { file, cases, obsolete } of run.files) {
    const bad = cases.filter(isBad);
    const time = cases.flatMap(({ results }) => results).reduce((sum, { durationMs }) => sum + durationMs, 0);
    if (cases.length === 0) continue;
    lines.push(`${bad.length ? red("✗") : green("✓")} ${relativeTo(file)} ${dim(`${count(cases.length, "case")}, ${Math.round(time)} ms`)}`);
    for (const each of bad) lines.push(...failure(each, both, { red, green, dim, bold }));
    for (const { plan, results } of cases) {
      const skipped = results.filter(({ outcome }) => outcome === "skipped").map(({ engine }) => engine);
      if (skipped.length > 0) lines.push(`  ${yellow("○")} ${printable(plan.name)} ${dim(`not on ${skipped.join(", ")}: ${plan.because ?? "it names other engines"}`)}`);
    }
    for (const name of obsolete) lines.push(`  ${yellow("!")} no case asks for the snapshot ${JSON.stringify(name)} ${dim("--update-snapshots removes it")}`);
  }
  const total = countCases(run);
  const parts = [
    `${total.passed} passed`,
    ...(total.failed ? [red(`${total.failed} failed`)] : []),
    ...(total.skipped ? [yellow(`${total.skipped} for another engine`)] : []),
    ...(both ? [total.differences ? red(`${total.differences} that differ between the engines`) : "no difference between the engines"] : []),
    ...(["written", "updated", "removed"] as const).flatMap((what) => (run.snapshots[what] ? [`${count(run.snapshots[what], "snapshot")} ${what}`] : [])),
  ];
  lines.push("", `${run.engines.join(" and ")}: ${parts.join(", ")} ${dim(`of ${total.total} in ${(run.durationMs / 1000).toFixed(1)} s`)}`);
  for (const { engine, because, cases } of oneEngineCases(run)) lines.push(dim(`${count(cases, "case")} on ${engine} only: ${because}`));
  return lines.join("\n");
}

/** Cases that are declared for one engine, by their reasons: what a comparison of the engines doesn't cover. */
export function oneEngineCases(run: TestRun): { engine: string; because: string; cases: number }[] {
  const reasons = new Map<string, { engine: string; because: string; cases: number }>();
  for (const { plan } of run.files.flatMap(({ cases }) => cases)) {
    if (new Set(plan.engines).size !== 1) continue;
    const each = { engine: plan.engines[0]!, because: plan.because ?? "it names no reason", cases: 0 };
    const key = JSON.stringify(each);
    reasons.set(key, { ...each, cases: (reasons.get(key)?.cases ?? 0) + 1 });
  }
  return [...reasons.values()].sort((a, b) => b.cases - a.cases);
}

type Paint = Record<"red" | "green" | "dim" | "bold", (text: string) => string>;

function failure({ plan, results, differences }: CaseResult, both: boolean, { red, green, dim, bold }: Paint): string[] {
  const lines = [`  ${red("✗")} ${bold(printable(plan.name))} ${dim(place(plan.where))}`];
  for (const { engine, mismatches, error, trap, remarks = [] } of results) {
    const on = both ? `on ${engine}: ` : "";
    if (error !== undefined) lines.push(...error.split("\n").map((line) => `      ${on}${line}`));
    for (const { what, where, expected, got, diff } of mismatches) {
      lines.push(`      ${on}${what} ${dim(place(where))}`, `        expected ${indent(expected)}`, `        got      ${indent(got)}`);
      if (diff !== undefined) lines.push(...diff.split("\n").map((line) => `        ${line.startsWith("-") ? red(line) : line.startsWith("+") ? green(line) : line}`));
    }
    for (const remark of remarks) lines.push(`      ${on}${remark}`);
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
    snapshots: run.snapshots,
    oneEngineOnly: oneEngineCases(run),
    durationMs: Math.round(run.durationMs),
    files: run.files.map(({ file, cases, obsolete }) => ({
      file: relativeTo(file),
      ...(obsolete.length > 0 && { obsoleteSnapshots: obsolete }),
      cases: cases.map(({ plan, results, differences }) => ({ name: plan.name, line: plan.where.line, engines: plan.engines, ...(plan.because !== undefined && { because: plan.because }), results, differences })),
    })),
  };
}

/** JUnit's XML as CI systems read it: a suite for each file, a test for each case and engine. */
export function junitReport(run: TestRun): string {
  const suites = run.files.filter(({ cases }) => cases.length > 0).map(({ file, cases, obsolete }) => {
    const tests = cases.flatMap((each) => each.results.map((result, index) => ({ each, result, differences: index === each.results.length - 1 ? each.differences : [] })));
    const failures = tests.filter(({ result, differences }) => result.outcome === "failed" || differences.length > 0).length;
    const skipped = tests.filter(({ result }) => result.outcome === "skipped").length;
    const body = tests.map(({ each, result, differences }) => {
      const head = `    <testcase name="${xml(each.plan.name)}" classname="${xml(`${relativeTo(file)}.${result.engine}`)}" file="${xml(relativeTo(file))}" line="${each.plan.where.line ?? 1}" time="${seconds(result.durationMs)}">`;
      if (result.outcome === "skipped") return `${head}<skipped message="${xml(each.plan.because ?? "for another engine")}"/></testcase>`;
      if (result.outcome !== "failed" && differences.length === 0) return `${head}</testcase>`;
      const text = [...failure({ ...each, results: [result], differences }, false, { red: plain, green: plain, dim: plain, bold: plain })].join("\n");
      return `${head}<failure message="${xml(each.plan.name)}">${xml(text)}</failure></testcase>`;
    });
    return `  <testsuite name="${xml(relativeTo(file))}" tests="${tests.length}" failures="${failures}" skipped="${skipped}">\n${[...body, ...(obsolete.length ? [`    <system-out>${xml(obsolete.map((name) => `no case asks for the snapshot ${JSON.stringify(name)}`).join("\n"))}</system-out>`] : [])].join("\n")}\n  </testsuite>`;
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

/** A name may hold what would move a terminal's cursor. */
const printable = (name: string): string => name.replaceAll(/\p{Cc}/gu, (each) => `\\x${each.codePointAt(0)!.toString(16).padStart(2, "0")}`);

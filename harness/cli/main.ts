import { stripVTControlCharacters } from "node:util";
import { renderUsage } from "citty";
import { colors } from "../colors.ts";
import { packageVersion } from "../build/root.ts";
import { nearest } from "../compose/nearest.ts";
import { SelvedgeError, UsageError, type Finding } from "../errors.ts";
import { parseArguments } from "./arguments.ts";
import { findingsText } from "./output.ts";
import type { Outcome, Verb } from "./verb.ts";
import { verbs } from "./verbs.ts";

const SUMMARY = "Authorization, canary traffic and telemetry for an Envoy on an edge node";

/**
 * The command line: `selvedge VERB …`.
 *
 * @param argv arguments after the program's name
 * @returns the exit code: 0 fine, 1 a finding, 2 wrong usage
 */
export async function main(argv: string[]): Promise<number> {
  const json = argv.includes("--json");
  try {
    const [first, ...rest] = argv;
    if (first === "--version" || first === "-v") return print(packageVersion());
    if (first === undefined || first === "--help" || first === "-h" || (first === "help" && rest.length === 0)) {
      print(overview());
      return first === undefined ? 2 : 0;
    }
    if (first === "help") return print(await usage(findVerb(rest[0]!)));
    const verb = findVerb(first);
    if (beforeDashes(rest).some((arg) => arg === "--help" || arg === "-h")) return print(await usage(verb));
    const { args, positionals, values } = parseArguments(verb, rest);
    return report(await verb.run({ args, positionals, values, json, progress: (message) => void process.stderr.write(`${message}\n`) }), json);
  } catch (error) {
    return reportError(error, json);
  }
}

function findVerb(name: string): Verb {
  const verb = verbs.find((candidate) => candidate.name === name);
  if (verb) return verb;
  const names = verbs.map((candidate) => candidate.name);
  if (name.startsWith("-")) throw new UsageError(`the verb comes first: ${names.join(", ")}`);
  const close = nearest(name, names);
  throw new UsageError(`selvedge has no verb ${name}; ${close === undefined ? `there are ${names.join(", ")}` : `did you mean ${close}?`}`);
}

function report({ text, data, findings = [], failed = false, printed = false }: Outcome, json: boolean): number {
  const bad = failed || findings.some((finding) => finding.severity === "error");
  if (printed) return bad ? 1 : 0;
  if (json) print(JSON.stringify({ ok: !bad, ...data, findings }, null, 2));
  else {
    if (findings.length) process.stderr.write(`${findingsText(findings)}\n`);
    if (text !== undefined && text !== "") print(text);
  }
  return bad ? 1 : 0;
}

function reportError(error: unknown, json: boolean): number {
  if (error instanceof SelvedgeError) return report({ findings: error.findings, failed: true }, json);
  if (error instanceof UsageError) {
    const finding: Finding = { code: "usage", severity: "error", message: error.message };
    if (json) report({ findings: [finding] }, true);
    else process.stderr.write(`selvedge: ${error.message}\n\`selvedge --help\` lists the verbs, \`selvedge VERB --help\` the options of one.\n`);
    return 2;
  }
  const { stack, message } = error instanceof Error ? error : new Error(String(error));
  if (json) report({ findings: [{ code: "internal", severity: "error", message, found: stack }] }, true);
  else process.stderr.write(`selvedge: this is a defect, please report it: ${stack ?? message}\n`);
  return 1;
}

function overview(): string {
  const width = Math.max(...verbs.map(({ name }) => name.length));
  return [
    SUMMARY,
    "",
    "  selvedge VERB [ARGUMENTS] [OPTIONS]",
    "",
    ...verbs.map(({ name, summary }) => `  ${name.padEnd(width)}  ${summary}`),
    "",
    "`selvedge VERB --help` tells more about one. Every verb takes --json. Exit code: 0 fine, 1 a finding, 2 wrong usage.",
  ].join("\n");
}

async function usage(verb: Verb): Promise<string> {
  const text = await renderUsage({ ...verb.command, meta: { name: `selvedge ${verb.name}`, description: verb.summary } });
  return colors.isColorSupported ? text : stripVTControlCharacters(text); // citty colours pipes too
}

function beforeDashes(args: string[]): string[] {
  const end = args.indexOf("--");
  return end < 0 ? args : args.slice(0, end);
}

function print(text: string): 0 {
  process.stdout.write(text.endsWith("\n") ? text : `${text}\n`);
  return 0;
}

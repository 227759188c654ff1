/**
 * The one shape in which Selvedge reports what is wrong: to a person on the terminal, and as `--json` to a script.
 *
 * Exit codes follow from it: 0 nothing to report, 1 a finding, 2 wrong usage of the command itself.
 */

/** A place in a file; line and column count from 1. */
export interface Position {
  file: string;
  line?: number;
  col?: number;
}

export interface Finding {
  /** Stable and searchable, e.g. `route-backend-missing`. */
  code: string;
  severity: "error" | "warning";
  message: string;
  where?: Position;
  /** What was found, and what was expected instead, where the message doesn't say it already. */
  found?: string;
  expected?: string;
  /** What the reader can do about it. */
  fix?: string;
}

/** An error that carries one or more findings: expected trouble, printed without a stack. */
export class SelvedgeError extends Error {
  readonly findings: Finding[];

  constructor(findings: Finding | Finding[], options?: ErrorOptions) {
    const list = Array.isArray(findings) ? findings : [findings];
    super(list.map(formatFinding).join("\n"), options);
    this.name = "SelvedgeError";
    this.findings = list;
  }

  get code(): string {
    return this.findings[0]?.code ?? "unknown";
  }
}

/** Wrong usage of the command line: the only error after which help is worth printing. Exit code 2. */
export class UsageError extends Error {
  constructor(message: string) {
    super(message);
    this.name = "UsageError";
  }
}

/** Shorthand for the usual case: one finding of severity error. */
export function fail(code: string, message: string, rest: Omit<Finding, "code" | "severity" | "message"> = {}): never {
  throw new SelvedgeError({ code, severity: "error", message, ...rest });
}

/** `file:line:col`, with what is known of it. */
export function formatPosition(where: Position): string {
  return [where.file, where.line, where.col].filter((part) => part !== undefined).join(":");
}

/** One finding as a person reads it: place, severity, code and message on the first line, details indented. */
export function formatFinding(finding: Finding): string {
  const place = finding.where ? `${formatPosition(finding.where)}: ` : "";
  const lines = [`${place}${finding.severity}[${finding.code}]: ${finding.message}`];
  if (finding.found !== undefined) lines.push(`  found: ${finding.found}`);
  if (finding.expected !== undefined) lines.push(`  expected: ${finding.expected}`);
  if (finding.fix !== undefined) lines.push(`  fix: ${finding.fix}`);
  return lines.join("\n");
}

/** Collects findings while policies are read, checked and resolved; nothing in compose throws for what a file says. */
import type { Finding, Position } from "../errors.ts";
import type { Path } from "./source.ts";

/** Whatever can tell where one of its fields stands in a file. */
export interface Located {
  at(path: Path, part?: "key" | "value"): Position;
}

export type Details = Pick<Finding, "found" | "expected" | "fix">;

export class Report {
  readonly findings: Finding[] = [];

  /** Reports an error at the value (or key) that `path` names. */
  error(code: string, where: Located, path: Path, message: string, details: Details & { part?: "key" | "value" } = {}): void {
    this.#add("error", code, where, path, message, details);
  }

  warn(code: string, where: Located, path: Path, message: string, details: Details & { part?: "key" | "value" } = {}): void {
    this.#add("warning", code, where, path, message, details);
  }

  /** For findings that belong to no field of a policy: a module, an option. */
  add(finding: Finding): void {
    this.findings.push(finding);
  }

  get failed(): boolean {
    return this.findings.some((finding) => finding.severity === "error");
  }

  #add(
    severity: Finding["severity"],
    code: string,
    where: Located,
    path: Path,
    message: string,
    { part, ...details }: Details & { part?: "key" | "value" },
  ): void {
    this.findings.push({ code, severity, message, where: where.at(path, part), ...details });
  }
}

/** By file, then position, then code: the same input gives the same list whatever order the checks ran in. */
export function sortFindings(findings: Finding[]): Finding[] {
  const rank = (finding: Finding): [string, number, number, string, string] => [
    finding.where?.file ?? "",
    finding.where?.line ?? 0,
    finding.where?.col ?? 0,
    finding.code,
    finding.message,
  ];
  return [...findings].sort((a, b) => {
    const left = rank(a);
    const right = rank(b);
    for (let i = 0; i < left.length; i++) {
      if (left[i]! < right[i]!) return -1;
      if (left[i]! > right[i]!) return 1;
    }
    return 0;
  });
}

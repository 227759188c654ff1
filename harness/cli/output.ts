import { colors } from "../colors.ts";
import { formatFinding, type Finding } from "../errors.ts";

/** Rows as aligned columns; numbers are for the caller to format. `right` are the columns to align to the right. */
export function table(header: string[], rows: string[][], right: number[] = []): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (row: string[]): string =>
    row.map((cell, column) => (right.includes(column) ? cell.padStart(widths[column]!) : cell.padEnd(widths[column]!))).join("  ").trimEnd();
  return [colors.dim(line(header)), ...rows.map(line)].join("\n");
}

/** `12.3 KB`, in units of 1024. */
export function bytes(count: number): string {
  if (count < 1024) return `${count} B`;
  return count < 1024 * 1024 ? `${(count / 1024).toFixed(1)} KB` : `${(count / 1024 / 1024).toFixed(1)} MB`;
}

/** Findings as they go to a terminal. */
export function findingsText(findings: Finding[]): string {
  return findings
    .map((finding) => {
      const mark = `${finding.severity}[${finding.code}]`;
      const paint = finding.severity === "error" ? colors.red : colors.yellow;
      return formatFinding(finding).replace(mark, paint(mark));
    })
    .join("\n");
}

/** `2 errors, 1 warning`, or nothing. */
export function countFindings(findings: Finding[]): string {
  const count = (severity: Finding["severity"]): string => {
    const number = findings.filter((finding) => finding.severity === severity).length;
    return number === 0 ? "" : `${number} ${severity}${number === 1 ? "" : "s"}`;
  };
  return [count("error"), count("warning")].filter(Boolean).join(", ");
}

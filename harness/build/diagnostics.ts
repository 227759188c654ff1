import { isAbsolute, join, relative } from "node:path";
import type { Finding } from "../errors.ts";

/** The part of asc's DiagnosticMessage that is read here; its own types are internal. */
interface AscDiagnostic {
  code: number;
  category: number;
  message: string;
  range: { start: number; source: AscSource } | null;
}

interface AscSource {
  normalizedPath: string;
  lineAt(position: number): number;
  columnAt(): number;
}

const CATEGORY_WARNING = 2;
const CATEGORY_ERROR = 3;

/** asc's diagnostics as findings; paths relative to the working directory where that is shorter. */
export function diagnosticFindings(diagnostics: unknown[], baseDir: string): Finding[] {
  return (diagnostics as AscDiagnostic[])
    .filter((diagnostic) => diagnostic.category >= CATEGORY_WARNING)
    .map((diagnostic) => ({
      code: `AS${diagnostic.code}`,
      severity: diagnostic.category === CATEGORY_ERROR ? "error" : "warning",
      message: diagnostic.message,
      ...(diagnostic.range && { where: position(diagnostic.range.source, diagnostic.range.start, baseDir) }),
    }));
}

function position(source: AscSource, start: number, baseDir: string): NonNullable<Finding["where"]> {
  const line = source.lineAt(start); // columnAt answers for the last lineAt
  return { file: readablePath(source.normalizedPath, baseDir), line, col: source.columnAt() };
}

function readablePath(path: string, baseDir: string): string {
  if (path.startsWith("~lib/")) return path;
  const file = isAbsolute(path) ? path : join(baseDir, path);
  const fromHere = relative(process.cwd(), file);
  return fromHere.startsWith("..") ? file : fromHere;
}

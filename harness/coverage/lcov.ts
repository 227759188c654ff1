/** LCOV's tracefile, as genhtml, Codecov and editors read it. https://ltp.sourceforge.net/coverage/lcov/geninfo.1.php */
import type { FileCoverage } from "./collect.ts";

/** Files that have lines, in order. A count is the number of VMs that ran a line or function. Pure. */
export function lcov(files: readonly FileCoverage[]): string {
  return files.filter(({ lines }) => lines.size > 0).map(record).join("");
}

function record({ file, lines, functions }: FileCoverage): string {
  const hit = (counts: Iterable<number>): number => [...counts].filter((count) => count > 0).length;
  const named = unique(functions);
  return [
    "TN:",
    `SF:${file}`,
    ...named.map(({ line, name }) => `FN:${line},${name}`),
    ...named.map(({ name, hits }) => `FNDA:${hits},${name}`),
    `FNF:${named.length}`,
    `FNH:${hit(named.map(({ hits }) => hits))}`,
    ...[...lines].map(([line, count]) => `DA:${line},${count}`),
    `LF:${lines.size}`,
    `LH:${hit(lines.values())}`,
    "end_of_record",
    "",
  ].join("\n");
}

/** A name stands for one function: those that share one get their line. */
function unique(functions: FileCoverage["functions"]): FileCoverage["functions"] {
  return functions.map((each) => (functions.some((other) => other !== each && other.name === each.name) ? { ...each, name: `${each.name}:${each.line}` } : each));
}

/** Coverage for a person, and for `--json`. Pure. */
import { dirname } from "node:path";
import colors from "picocolors";
import type { FileCoverage } from "./collect.ts";

export interface Share {
  /** Lines that have code, and those of them that were run. */
  total: number;
  covered: number;
}

export function shareOf(files: readonly FileCoverage[]): Share {
  const counts = files.flatMap(({ lines }) => [...lines.values()]);
  return { total: counts.length, covered: counts.filter((count) => count > 0).length };
}

/** Cut off, not rounded: 100 means every line. No lines: 100. */
export function percent({ total, covered }: Share): number {
  return total === 0 ? 100 : Math.floor((1000 * covered) / total) / 10;
}

/** Lines that have code and weren't run, `12-14, 20`; lines without code don't part a range. */
export function uncovered({ lines }: FileCoverage): string {
  const ranges: [number, number][] = [];
  let open = false;
  for (const [line, count] of lines) {
    if (count > 0) open = false;
    else if (open) ranges.at(-1)![1] = line;
    else {
      ranges.push([line, line]);
      open = true;
    }
  }
  return ranges.map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`)).join(", ");
}

/** A folder is as far as `assembly`, or else where its files are. */
function byFolder(files: readonly FileCoverage[]): Map<string, FileCoverage[]> {
  const folders = new Map<string, FileCoverage[]>();
  for (const file of files) {
    const folder = /^.*?\/assembly(?=\/)/.exec(file.file)?.[0] ?? dirname(file.file);
    folders.set(folder, [...(folders.get(folder) ?? []), file]);
  }
  return folders;
}

/**
 * Each folder and file with its share and what is uncovered; then the functions that are in no module.
 *
 * @param brief folders only
 */
export function coverageText(files: readonly FileCoverage[], color = true, brief = false): string {
  const { bold, dim, green, yellow } = colors.createColors(color);
  const counted = files.filter(({ lines }) => lines.size > 0);
  const width = Math.max(20, ...counted.map(({ file }) => file.length)) + 2;
  const row = (name: string, share: Share, rest: string, indent: number): string => {
    const figure = `${percent(share).toFixed(1)} %`.padStart(8);
    return `${" ".repeat(indent)}${name.padEnd(width - indent)}${(share.covered === share.total ? green : yellow)(figure)} ${dim(`${share.covered}/${share.total}`.padStart(10))}  ${rest}`.trimEnd();
  };
  const lines = [bold("line coverage")];
  for (const [folder, own] of byFolder(counted)) {
    lines.push(row(folder, shareOf(own), "", 0));
    if (!brief) for (const file of own) lines.push(row(file.file.slice(folder.length + 1), shareOf([file]), uncovered(file), 2));
  }
  lines.push(row("all", shareOf(counted), "", 0));
  const unreached = brief ? [] : files.filter((file) => file.unreached.length > 0);
  if (unreached.length > 0) {
    lines.push("", dim("in no module, because no filter here reaches them, and not counted:"));
    for (const file of unreached) lines.push(dim(`  ${file.file}: ${file.unreached.map(({ name, start }) => `${name} (${start})`).join(", ")}`));
  }
  return lines.join("\n");
}

/** For `--json`. */
export function coverageJson(files: readonly FileCoverage[]): Record<string, unknown> {
  return {
    ...shareOf(files),
    percent: percent(shareOf(files)),
    folders: Object.fromEntries([...byFolder(files.filter(({ lines }) => lines.size > 0))].map(([folder, own]) => [folder, { ...shareOf(own), percent: percent(shareOf(own)) }])),
    files: files.map((file) => ({
      file: file.file,
      ...shareOf([file]),
      percent: percent(shareOf([file])),
      uncovered: [...file.lines].filter(([, count]) => count === 0).map(([line]) => line),
      unreached: file.unreached.map(({ name, start, end }) => ({ name, start, end })),
    })),
  };
}

/** Which files of cases a command means. */
import { existsSync, readdirSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { fail } from "../errors.ts";
import { isSnapshotFile } from "./snapshot-file.ts";

/**
 * Files of cases below these paths: a file stands for itself; a folder for every YAML file in its `cases` folders, at any
 * depth, and if it is itself named `cases`, in itself. Without paths: the folders of `filters` here.
 *
 * @throws SelvedgeError `cases-missing` when a path isn't there or holds none
 */
export function findCaseFiles(paths: readonly string[]): string[] {
  const wanted = paths.length ? paths : ["filters"];
  const files = [...new Set(wanted.flatMap((path) => filesAt(path)))];
  const cases = files.filter((file) => !isSnapshotFile(file)); // a shell's cases/*.yaml names the snapshots too
  return cases.length > 0 ? cases : files;
}

function filesAt(path: string): string[] {
  if (!existsSync(path)) fail("cases-missing", "there is no such file or folder", { where: { file: path }, expected: "a file of cases, or a folder with a folder `cases` in it" });
  if (statSync(path).isFile()) return [path];
  const files = walk(path, basename(path) === "cases", 0);
  if (files.length === 0) fail("cases-missing", "no file of cases here", { where: { file: path }, expected: "a folder `cases` with .yaml files" });
  return files;
}

function walk(folder: string, within: boolean, depth: number): string[] {
  return readdirSync(folder, { withFileTypes: true }).sort((a, b) => (a.name < b.name ? -1 : 1)).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.name.startsWith(".") || entry.name === "node_modules") return [];
    if (entry.isDirectory()) return depth < 12 ? walk(path, within || entry.name === "cases", depth + 1) : [];
    return within && /\.ya?ml$/.test(entry.name) && !isSnapshotFile(entry.name) ? [path] : [];
  });
}

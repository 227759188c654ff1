/** Where a filter's source is, in this project or in a user's, and where its module goes. */
import { existsSync } from "node:fs";
import { basename, dirname, isAbsolute, join, relative, resolve, sep } from "node:path";
import { packageRoot } from "./root.ts";

export interface FilterSource {
  name: string;
  /** Path of its `assembly/index.ts`. */
  entry: string;
  /** Folder for what is built of it: `dist` of the project that it belongs to. */
  outDir: string;
}

/**
 * What paths in messages and source maps are relative to: the package for its own files, else the working directory, or
 * for what isn't below that the project that it is in.
 */
export function baseDirectory(entry: string): string {
  if (isWithin(packageRoot, entry)) return packageRoot;
  return isWithin(process.cwd(), entry) ? process.cwd() : projectOf(entry);
}

/** The nearest folder around a file that a project begins in, else the filter's. */
function projectOf(file: string): string {
  for (let folder = dirname(file); dirname(folder) !== folder; folder = dirname(folder)) {
    if (existsSync(join(folder, "package.json")) || existsSync(join(folder, ".git"))) return folder;
  }
  return basename(dirname(file)) === "assembly" ? dirname(dirname(file)) : dirname(file);
}

/**
 * The source of the filter that a file of cases names: beside its folder `cases`, in `filters` of the working directory,
 * or of this package. A folder of another name counts only where nothing is named so.
 *
 * @param file path of the file of cases
 * @param filter what its `filter` says
 */
export function findFilterSource(file: string, filter: string): FilterSource | undefined {
  const beside = besideCases(resolve(file));
  const named = [...(beside !== undefined && basename(beside) === filter ? [beside] : []), resolve("filters", filter), join(packageRoot, "filters", filter)];
  const folder = [...named, ...(beside === undefined ? [] : [beside])].find((each) => existsSync(entryOf(each)));
  if (folder === undefined) return undefined;
  const entry = entryOf(folder);
  return { name: filter, entry, outDir: join(baseDirectory(entry), "dist") };
}

const entryOf = (folder: string): string => join(folder, "assembly", "index.ts");

/** The folder in which the nearest folder `cases` around a file is. */
function besideCases(file: string): string | undefined {
  for (let folder = dirname(file); dirname(folder) !== folder; folder = dirname(folder)) if (basename(folder) === "cases") return dirname(folder);
  return undefined;
}

function isWithin(folder: string, path: string): boolean {
  const from = relative(folder, path);
  // Another drive's path stays absolute.
  return from !== ".." && !from.startsWith(`..${sep}`) && !isAbsolute(from);
}

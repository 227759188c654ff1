/** Modules whose lines can be counted. */
import { join } from "node:path";
import { buildFilter, releaseOptions, type AscOptions, type FilterSource } from "../build/index.ts";

/**
 * The release build without its optimizer, which merges, moves and drops lines: this one has them as they were written.
 * What nothing calls is removed all the same, as in a release.
 */
export const coverageOptions: AscOptions = { ...releaseOptions, optimizeLevel: 0, shrinkLevel: 0, runPasses: "remove-unused-module-elements" };

/**
 * Builds a filter so.
 *
 * @returns path of the module
 * @throws SelvedgeError the compiler's errors
 */
export async function buildForCoverage({ name, entry, outDir }: FilterSource, progress?: (message: string) => void): Promise<string> {
  const { path, cached } = await buildFilter({ name, entry, outDir: join(outDir, "coverage"), extraOptions: coverageOptions });
  if (!cached) progress?.(`built ${name} for coverage`);
  return path;
}

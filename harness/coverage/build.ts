/** Modules whose lines can be counted. */
import { join } from "node:path";
import { buildFilter, listFilters, packageRoot, releaseOptions, type AscOptions } from "../build/index.ts";
import { SelvedgeError, type Finding } from "../errors.ts";

/**
 * The release build without its optimizer, which merges, moves and drops lines: this one has them as they were written.
 * What nothing calls is removed all the same, as in a release.
 */
export const coverageOptions: AscOptions = { ...releaseOptions, optimizeLevel: 0, shrinkLevel: 0, runPasses: "remove-unused-module-elements" };

/**
 * Builds those of these filters whose source is here; unchanged ones aren't built again.
 *
 * @returns name → path of the module
 * @throws SelvedgeError the compiler's errors
 */
export async function buildForCoverage(names: Iterable<string>, progress?: (message: string) => void): Promise<Map<string, string>> {
  const filters = await listFilters();
  const modules = new Map<string, string>();
  const errors: Finding[] = [];
  for (const name of new Set(names)) {
    const entry = filters.get(name);
    if (entry === undefined) continue;
    try {
      const { path, cached } = await buildFilter({ name, entry, outDir: join(packageRoot, "dist", "coverage"), extraOptions: coverageOptions });
      if (!cached) progress?.(`built ${name} for coverage`);
      modules.set(name, path);
    } catch (error) {
      if (!(error instanceof SelvedgeError)) throw error;
      errors.push(...error.findings);
    }
  }
  if (errors.length) throw new SelvedgeError(errors);
  return modules;
}

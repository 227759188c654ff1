/** Line coverage of AssemblyScript: which lines of a module's sources its VMs on the host have run. */
export { buildForCoverage, coverageOptions } from "./build.ts";
export { Coverage, type Counted, type FileCoverage } from "./collect.ts";
export { instrument, linesRun } from "./instrument.ts";
export { lcov } from "./lcov.ts";
export { coverageJson, coverageText, percent, shareOf, uncovered } from "./report.ts";

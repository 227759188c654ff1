import { fail, type Finding } from "../errors.ts";
import { run } from "./run.ts";

/** The oldest Envoy that the composed configuration works with: FAIL_RELOAD, route-cache and body fixes for Wasm. */
export const minimumVersion = "1.36.0";
/** The one that is fetched when there is none; everything is measured with it. */
export const defaultVersion = "1.40.0";

/** Version of an Envoy binary, e.g. `1.40.0`, or a finding that says why this is none. */
export async function envoyVersion(path: string): Promise<string | Finding> {
  const result = await run(path, ["--version"], { timeoutMs: 20_000 });
  const version = parseVersion(result.stdout + result.stderr);
  if (version !== null) return version;
  const found = result.error ?? (`${result.stdout}${result.stderr}`.trim().split("\n")[0] || `exit code ${result.code}`);
  const fix = result.error === "EACCES" ? `chmod +x ${path}` : "give the path of an Envoy binary for this machine";
  return { code: "envoy-not-runnable", severity: "error", message: `${path} can't be run as Envoy`, found, fix };
}

/** The version in what `envoy --version` prints. */
export function parseVersion(output: string): string | null {
  return /version: [0-9a-f]+\/(\d+\.\d+\.\d+)/.exec(output)?.[1] ?? null;
}

/** Compares `1.40.0` with `1.36.2` number by number: negative when a is older. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split(".").map(Number));
  return left!.map((part, index) => part - (right![index] ?? 0)).find((difference) => difference !== 0) ?? 0;
}

export function tooOld(path: string, version: string): Finding | null {
  if (compareVersions(version, minimumVersion) >= 0) return null;
  return { code: "envoy-too-old", severity: "error", message: `${path} is too old`, found: `Envoy ${version}`, expected: `${minimumVersion} or newer`, fix: `update it, or leave out --envoy and ENVOY_PATH to let Selvedge fetch Envoy ${defaultVersion}` };
}

/** The version, where the binary runs and is new enough; throws the finding otherwise. */
export async function requireVersion(path: string): Promise<string> {
  const version = await envoyVersion(path);
  const finding = typeof version === "string" ? tooOld(path, version) : version;
  if (finding) fail(finding.code, finding.message, finding);
  return version as string;
}

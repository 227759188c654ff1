import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import type { Finding } from "../errors.ts";
import { temporaryDirectory } from "../tempdir.ts";
import { modulesIn } from "./backtraces.ts";
import { loadBootstrap, type Bootstrap, type ConfigSource } from "./config.ts";
import { explainLog } from "./messages.ts";
import { run } from "./run.ts";

/**
 * Asks a real Envoy (`--mode validate`) whether it takes this configuration. It loads the Wasm modules and configures
 * them, but listens on nothing.
 *
 * @param cwd directory that relative paths in the configuration start from
 * @returns what is wrong; nothing when it is fine
 */
export async function validateConfig(config: ConfigSource, options: { envoy: { path: string; image?: string }; cwd?: string }): Promise<Finding[]> {
  const bootstrap = await loadBootstrap(config);
  if (options.envoy.image !== undefined) return validateInContainer(bootstrap, options.envoy.image, options.cwd);
  const scratch = temporaryDirectory("validate");
  try {
    const file = join(scratch.path, "envoy.json");
    await writeFile(file, JSON.stringify(bootstrap), { mode: 0o600 });
    const result = await run(options.envoy.path, ["--mode", "validate", "-c", file, "-l", "warn"], { timeoutMs: 120_000, cwd: options.cwd });
    if (result.code === 0) return [];
    // Killed by a signal: a module that makes a host call from its start section does that.
    return [result.code === null ? crashed(result.error ?? result.stderr) : explainLog(`${result.stderr}\n${result.stdout}`, modulesIn(bootstrap, options.cwd))];
  } finally {
    scratch.remove();
  }
}

async function validateInContainer(bootstrap: Bootstrap, image: string, cwd = "."): Promise<Finding[]> {
  const { filesOf, runInContainer } = await import("./once.ts");
  const config = "/etc/selvedge/envoy.json";
  const workingDir = resolve(cwd);
  const named = filesOf(bootstrap, workingDir).map((source) => [source, { source }] as const);
  const files = new Map<string, { content: string } | { source: string }>([...named, [config, { content: JSON.stringify(bootstrap) }]]);
  const { code, output } = await runInContainer({ image, args: ["--mode", "validate", "-c", config, "-l", "warn"], workingDir, files });
  if (code === 0) return [];
  return [code > 128 ? crashed(output) : explainLog(output, modulesIn(bootstrap, cwd))];
}

function crashed(log: string): Finding {
  return { code: "envoy-crashed", severity: "error", message: "Envoy crashed while validating the configuration", found: log.trim().split("\n").at(-1), fix: "`selvedge inspect` every module: a start section or a v128 signature crashes Envoy" };
}

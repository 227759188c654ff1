import { execFile, spawnSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

const execute = promisify(execFile);

/** A compiler that has not ended by then hangs; the slowest, TinyGo's own build, takes a minute on two cores. */
const TIMEOUT_MS = 400_000;
const MAX_OUTPUT = 2 ** 24;

/** Directory of a language's sources. */
export const sources = (language: string): string => fileURLToPath(new URL(language, import.meta.url));

/** Standard output of a command; undefined: it is not there, or it failed. */
export function ask(command: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? stdout : undefined;
}

/**
 * Runs a command without blocking this process, which has to answer its test runner meanwhile.
 *
 * @returns standard output
 * @throws Error with what the command said, when it failed
 */
export async function run(directory: string, command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<string> {
  try {
    const { stdout } = await execute(command, args, { cwd: directory, encoding: "utf8", env: { ...process.env, ...env }, timeout: TIMEOUT_MS, maxBuffer: MAX_OUTPUT });
    return stdout;
  } catch (error) {
    const { message, stdout = "", stderr = "" } = error as Error & { stdout?: string; stderr?: string };
    throw new Error(`${command} ${args.join(" ")} failed:\n${stdout + stderr || message}`, { cause: error });
  }
}

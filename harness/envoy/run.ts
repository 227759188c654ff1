import { spawn } from "node:child_process";
import { accessSync, constants, statSync } from "node:fs";
import { delimiter, join, resolve } from "node:path";
import { onCleanup } from "../cleanup.ts";

export interface CommandResult {
  /** Exit code; null when it was ended by a signal, ran out of time, or couldn't be started. */
  code: number | null;
  stdout: string;
  stderr: string;
  /** Why it couldn't be started: `ENOENT` when there is no such command. */
  error?: string;
}

/** Runs a command to its end, or kills it after the time-out or when this process ends. Never throws. */
export function run(command: string, args: string[], options: { timeoutMs?: number; cwd?: string; env?: NodeJS.ProcessEnv } = {}): Promise<CommandResult> {
  return new Promise((resolve) => {
    const child = spawn(command, args, { cwd: options.cwd, env: options.env ?? process.env, stdio: ["ignore", "pipe", "pipe"] });
    const output = { stdout: "", stderr: "" };
    const kill = (): void => void child.kill("SIGKILL");
    const forget = onCleanup({ name: `${command} ${child.pid}`, run: kill, now: kill });
    const timer = setTimeout(kill, options.timeoutMs ?? 60_000);
    child.stdout.on("data", (data: Buffer) => (output.stdout += data.toString()));
    child.stderr.on("data", (data: Buffer) => (output.stderr += data.toString()));
    const finish = (code: number | null, error?: string): void => {
      clearTimeout(timer);
      forget();
      resolve({ code, ...output, ...(error !== undefined && { error }) });
    };
    child.on("error", (error: NodeJS.ErrnoException) => finish(null, error.code ?? error.message));
    child.on("close", (code) => finish(code));
  });
}

/** The first executable file of this name on PATH. */
export function executableOnPath(name: string, env: NodeJS.ProcessEnv = process.env): string | null {
  for (const directory of (env.PATH ?? "").split(delimiter)) {
    const path = join(directory || ".", name);
    try {
      accessSync(path, constants.X_OK);
      if (statSync(path).isFile()) return resolve(path);
    } catch {
      continue;
    }
  }
  return null;
}

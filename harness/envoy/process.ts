import { spawn, type ChildProcess } from "node:child_process";
import { closeSync, existsSync, fstatSync, openSync, readFileSync, readSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { onCleanup } from "../cleanup.ts";
import { SelvedgeError } from "../errors.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../tempdir.ts";
import type { Symbolizer } from "../build/symbolize.ts";
import { AdminClient } from "./admin.ts";
import { modulesIn } from "./backtraces.ts";
import { loadBootstrap, type ConfigSource } from "./config.ts";
import { listenerPort, logFailure, waitForLog } from "./running.ts";
import { executableOnPath } from "./run.ts";
import { explainLog } from "./messages.ts";
import { checkPorts } from "./ports.ts";

export interface StartOptions {
  config: ConfigSource;
  /** From findEnvoy(); with an image it runs in a container on this machine's network. */
  envoy: { path: string; image?: string };
  /** Worker threads. */
  concurrency?: number;
  /** Envoy's log level; `info` unless given. */
  logLevel?: string;
  /** Levels of single loggers, e.g. `wasm:debug,http:trace`. */
  componentLogLevel?: string;
  /** Directory that relative paths in the configuration start from. */
  cwd?: string;
  /** Environment of the process; ours unless given. A container has its own. */
  env?: NodeJS.ProcessEnv;
  extraArgs?: string[];
  /** How long what is open may stay open when its listener goes; 1 unless given. */
  drainSeconds?: number;
  /** How long it may take until it serves; 30 s unless given. */
  readyTimeoutMs?: number;
}

export interface RunningEnvoy {
  admin: AdminClient;
  /** Process id on this machine, also of one in a container. */
  pid: number;
  /** What Envoy has written to its log so far. */
  log(): string;
  /** The log from a position on (0: its start), and the position to go on from. */
  readLog(from: number): { text: string; next: number };
  /** Waits until the log has a match, also an earlier one. Throws `envoy-log-timeout`. */
  waitForLog(pattern: RegExp, timeoutMs?: number): Promise<RegExpExecArray>;
  /** The port that a listener is bound to, by its name. */
  port(listener: string): Promise<number>;
  /** Resolves when the process is gone, for whatever reason. */
  exited: Promise<void>;
  /** Ends it, and returns when it is gone with all that it left. May be called more than once. */
  stop(): Promise<void>;
}

const STOP_TIMEOUT_MS = 5_000;

/**
 * Starts Envoy as a child process, and returns when it serves.
 *
 * It runs without hot restart: no shared memory outlives it, and any number of them run side by side. It ends with
 * {@link RunningEnvoy.stop}, with this process (see harness/cleanup.ts), and on Linux also when this process is killed.
 *
 * @throws SelvedgeError a port that isn't free, or why Envoy refused its configuration
 */
export async function startEnvoy(options: StartOptions): Promise<RunningEnvoy> {
  if (options.envoy.image !== undefined) {
    const { startEnvoyContainer } = await import("./container.ts"); // Testcontainers takes a moment to load
    return startEnvoyContainer({ ...options, image: options.envoy.image, network: "host" });
  }
  const bootstrap = await loadBootstrap(options.config);
  const conflicts = await checkPorts(bootstrap);
  if (conflicts.length) throw new SelvedgeError(conflicts);

  const directory = temporaryDirectory("envoy");
  const configFile = join(directory.path, "envoy.json");
  await writeFile(configFile, JSON.stringify(bootstrap), { mode: 0o600 });
  const envoy = new EnvoyProcess(spawnEnvoy(options, configFile, directory), directory, modulesIn(bootstrap, options.cwd));
  try {
    await envoy.waitUntilReady(options.readyTimeoutMs ?? 30_000);
    return envoy;
  } catch (error) {
    await envoy.stop();
    throw error;
  }
}

function spawnEnvoy(options: StartOptions, configFile: string, directory: TemporaryDirectory): ChildProcess {
  const args = [
    "-c", configFile, "--disable-hot-restart", "--admin-address-path", join(directory.path, "admin"),
    "--log-level", options.logLevel ?? "info", "--drain-time-s", String(options.drainSeconds ?? 1), "--parent-shutdown-time-s", "2",
    ...(options.concurrency === undefined ? [] : ["--concurrency", String(options.concurrency)]),
    ...(options.componentLogLevel === undefined ? [] : ["--component-log-level", options.componentLogLevel]),
    ...(options.extraArgs ?? []),
  ];
  // Linux ends the child with us even when we are killed by a signal that nobody can handle.
  const setpriv = process.platform === "linux" ? executableOnPath("setpriv") : null;
  const [command, ...rest] = setpriv === null ? [options.envoy.path, ...args] : [setpriv, "--pdeathsig", "KILL", options.envoy.path, ...args];
  const log = openSync(join(directory.path, "log"), "a", 0o600);
  try {
    // A process group of its own: Ctrl-C on the terminal reaches us alone, and we end it in order.
    return spawn(command!, rest, { cwd: options.cwd, env: options.env ?? process.env, stdio: ["ignore", log, log], detached: true });
  } finally {
    closeSync(log);
  }
}

const tail = (bytes: Buffer, from: number): { text: string; next: number } => ({ text: bytes.subarray(from).toString(), next: bytes.length });

function readTail(file: string, from: number): { text: string; next: number } {
  const handle = openSync(file, "r");
  try {
    const bytes = Buffer.alloc(Math.max(0, fstatSync(handle).size - from));
    const size = readSync(handle, bytes, 0, bytes.length, from);
    return { text: bytes.toString("utf8", 0, size), next: from + size };
  } finally {
    closeSync(handle);
  }
}

class EnvoyProcess implements RunningEnvoy {
  readonly pid: number;
  readonly exited: Promise<void>;
  #admin: AdminClient | null = null;
  #gone = false;
  #outcome = "";
  #lastLog = "";
  #stopping: Promise<void> | null = null;
  readonly #forget: () => void;

  constructor(private readonly child: ChildProcess, private readonly directory: TemporaryDirectory, private readonly modules: readonly Symbolizer[]) {
    this.pid = child.pid ?? 0;
    this.exited = new Promise((resolve) => {
      const gone = (outcome: string): void => {
        this.#gone = true;
        this.#outcome = outcome;
        resolve();
      };
      child.once("error", (error) => gone(error.message));
      child.once("exit", (code, signal) => gone(signal ?? `exit code ${code}`));
    });
    this.#forget = onCleanup({ name: `envoy ${this.pid}`, run: () => this.stop(), now: () => child.kill("SIGKILL") });
  }

  get admin(): AdminClient {
    if (!this.#admin) throw new Error("Envoy has no admin interface yet");
    return this.#admin;
  }

  log(): string {
    if (this.#lastLog !== "") return this.#lastLog;
    const file = join(this.directory.path, "log");
    return existsSync(file) ? readFileSync(file, "utf8") : "";
  }

  readLog(from: number): { text: string; next: number } {
    if (this.#gone && this.#lastLog !== "") return tail(Buffer.from(this.#lastLog), from);
    const file = join(this.directory.path, "log");
    return existsSync(file) ? readTail(file, from) : { text: "", next: from };
  }

  waitForLog(pattern: RegExp, timeoutMs = 5_000): Promise<RegExpExecArray> {
    return waitForLog(pattern, timeoutMs, () => this.log(), () => this.#gone);
  }

  port(listener: string): Promise<number> {
    return listenerPort(this.admin, listener);
  }

  async waitUntilReady(timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    const adminFile = join(this.directory.path, "admin");
    while (Date.now() < deadline) {
      if (this.#gone) throw this.#exitFailure();
      if (!this.#admin) {
        const address = existsSync(adminFile) ? readFileSync(adminFile, "utf8").trim() : "";
        if (address !== "") this.#admin = new AdminClient(address.replace(/^0\.0\.0\.0:/, "127.0.0.1:").replace(/^\[::\]:/, "[::1]:"));
      }
      if (this.#admin && (await this.#admin.ready())) return;
      await Promise.race([sleep(20), this.exited]);
    }
    throw logFailure("envoy-not-ready", `Envoy was not ready after ${timeoutMs} ms`, this.log());
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  async #stop(): Promise<void> {
    if (!this.#gone) {
      this.child.kill("SIGTERM");
      const timer = setTimeout(() => this.child.kill("SIGKILL"), STOP_TIMEOUT_MS);
      await this.exited;
      clearTimeout(timer);
    }
    this.#lastLog = this.log();
    this.directory.remove();
    this.#forget();
  }

  /** It exited by itself: its log says why; where it doesn't, the way it went does. */
  #exitFailure(): SelvedgeError {
    const log = this.log();
    if (/\[critical\]\[main\]/.test(log)) return new SelvedgeError(explainLog(log, this.modules));
    return logFailure("envoy-exited", `Envoy ended before it was ready: ${this.#outcome}`, log);
  }
}

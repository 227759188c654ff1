/** Runs a folder of policies as a node; with a Scenario in it, plays that and says what it showed. */
import { setTimeout as sleep } from "node:timers/promises";
import { keepBundles } from "../bundle/keep.ts";
import { untilInterrupted } from "../cleanup.ts";
import { modulesIn, startEnvoy, watchTraps, type RunningEnvoy } from "../envoy/index.ts";
import { fail, formatFinding } from "../errors.ts";
import { issueCertificates, type IssuedCertificate } from "./certificates.ts";
import { watchInterruption, type Interruption } from "./interruption.ts";
import { play } from "./play.ts";
import { prepare, readFolder, type PrepareOptions, type Prepared } from "./prepare.ts";
import { Progress, type Output } from "./progress.ts";
import type { RunResult } from "./result.ts";
import { renderSummary } from "./summary.ts";
import { startUpstreams } from "./upstreams.ts";
import { renderListeners, renderUrls } from "./urls.ts";

export { withScenario } from "./check.ts";
export type { IssuedCertificate } from "./certificates.ts";
export type { RunResult };

const EXIT_NOTICE_MS = 500;

export interface RunOptions extends PrepareOptions {
  /** End after the summary, or without a Scenario as soon as the node serves. */
  once?: boolean;
  /** Print JSON instead of text. */
  json?: boolean;
  color?: boolean;
  /** Worker threads of Envoy; its own default is one for each core. */
  concurrency?: number;
  stdout?: Output;
  stderr?: Output;
}

/**
 * Checks everything, starts the node, plays the folder's Scenario if there is one, prints, and stays up until a signal
 * or, with `once`, ends. Whatever was started is stopped in reverse order, however this ends.
 *
 * @returns 0, or 1 where an expectation of the Scenario failed
 * @throws SelvedgeError what makes the folder unfit to run; nothing was started, or all is stopped again
 */
export async function runNode(dir: string, options: RunOptions = {}): Promise<number> {
  const interruption = watchInterruption();
  const progress = new Progress(options.stderr ?? process.stderr);
  try {
    // First of all, and where JSON on standard output stays JSON.
    if (options.engine === "host") (options.stderr ?? process.stderr).write(`${(await import("../serve/index.ts")).TRYING_OUT}\n`);
    const prepared = await prepare(dir, options, (text) => progress.step(text));
    const upstreams = await startUpstreams(prepared.scenario?.upstreams ?? []);
    try {
      return await serve({ dir, options, prepared, progress, interruption });
    } finally {
      await upstreams.stop();
    }
  } catch (error) {
    progress.done();
    if (interruption.signal.aborted) return await new Promise<never>(() => {}); // the cleanup ends the process
    throw error;
  } finally {
    progress.done();
    interruption.dispose();
  }
}

/** Makes the certificates of a folder's Scenario. @throws SelvedgeError `scenario-missing`, or what is wrong with the folder */
export async function makeCertificates(dir: string, options: Pick<PrepareOptions, "compose"> = {}): Promise<IssuedCertificate[]> {
  const { plan } = readFolder(dir, options);
  if (!plan) {
    fail("scenario-missing", "certificates are only made for a demonstration: this folder has no Scenario", { where: { file: dir }, fix: "put the certificates of your authority (a SPIFFE agent, cert-manager) where its Secrets say" });
  }
  return issueCertificates(plan);
}

interface Serving {
  dir: string;
  options: RunOptions;
  prepared: Prepared;
  progress: Progress;
  interruption: Interruption;
}

async function serve({ dir, options, prepared, progress, interruption }: Serving): Promise<number> {
  const { bootstrap, scenario, authority } = prepared;
  const running = await start(prepared, options, progress);
  const stopWatching = watchTraps(running, modulesIn(bootstrap), (trap) => {
    progress.done();
    (options.stderr ?? process.stderr).write(`A filter trapped: ${trap}\n`);
  });
  const stopKeeping = keep(prepared, running, options, progress);
  try {
    const { signal } = interruption;
    const played = scenario && authority !== undefined ? { ...prepared, scenario, authority } : undefined;
    const result = played && (await unlessItExits(running, play({ dir, prepared: played, running, progress, signal })));
    signal.throwIfAborted();
    progress.done();
    announce({ options, prepared, result, adminUrl: bootstrap.admin && running.admin.url });
    if (!options.once) {
      interruption.dispose();
      await untilInterruptedOrGone(running);
      progress.step("Stopping");
    }
    return result && !result.ok ? 1 : 0;
  } finally {
    await stopKeeping();
    await running.stop();
    stopWatching();
  }
}

async function start({ bootstrap, envoy }: Prepared, { concurrency }: RunOptions, progress: Progress): Promise<RunningEnvoy> {
  if (!envoy) {
    const { startHostEngine } = await import("../serve/index.ts");
    progress.step("Starting the host engine");
    return startHostEngine({ config: bootstrap });
  }
  progress.step(`Starting Envoy ${envoy.version}`);
  return startEnvoy({ config: bootstrap, envoy, ...(concurrency !== undefined && { concurrency }) });
}

/** Where the node has a folder for it: keeps the bundles that its filters take. */
function keep({ trusted, composition }: Prepared, running: RunningEnvoy, { trust, stderr = process.stderr }: RunOptions, progress: Progress): () => Promise<void> {
  const state = trust?.state;
  if (!trusted || state === undefined) return () => Promise.resolve();
  return keepBundles({ running, composition, trusted, state, onTrouble: (text) => {
    progress.done();
    stderr.write(`${text}\n`);
  } });
}

/** Says what the run showed and what can be tried. */
function announce({ options, prepared, result, adminUrl }: { options: RunOptions; prepared: Prepared; result?: RunResult; adminUrl?: string }): void {
  const { warnings, scenario, authority, composition } = prepared;
  const stdout = options.stdout ?? process.stdout;
  const { listeners } = composition;
  if (options.json) {
    stdout.write(`${JSON.stringify({ ok: true, ...result, listeners, admin: adminUrl, findings: warnings }, null, 2)}\n`);
    return;
  }
  for (const warning of warnings) (options.stderr ?? process.stderr).write(`${formatFinding(warning)}\n`);
  const parts = [
    ...(result ? [renderSummary(result, { color: options.color })] : []),
    ...(scenario && authority !== undefined && !options.once ? [renderUrls(scenario, authority, adminUrl)] : []),
    ...(scenario ? [] : [renderListeners(listeners, adminUrl)]),
    ...(options.once ? [] : ["Running until Ctrl-C.\n"]),
  ];
  stdout.write(parts.join("\n"));
}

/** The promise's value, or why Envoy is gone as soon as it is. */
async function unlessItExits<T>(running: RunningEnvoy, promise: Promise<T>): Promise<T> {
  const gone = running.exited.then(() => failExited(running));
  try {
    return await Promise.race([promise, gone]);
  } catch (error) {
    // A connection may break a moment before the process is known to be gone: the cause is worth more than the effect.
    await Promise.race([gone, sleep(EXIT_NOTICE_MS)]);
    throw error;
  }
}

/** Stays up until a signal comes. @throws SelvedgeError `envoy-exited` when Envoy ends before */
async function untilInterruptedOrGone(running: RunningEnvoy): Promise<void> {
  let waiting = true;
  let gone = false;
  void running.exited.then(() => {
    gone = true;
    // Ends the wait as anybody else would: a wait that is only forgotten keeps the process from ending.
    if (waiting) process.kill(process.pid, "SIGTERM");
  });
  await untilInterrupted();
  waiting = false;
  if (gone) failExited(running);
}

function failExited(running: RunningEnvoy): never {
  const found = running.log().trim().split("\n").slice(-12).join("\n    ");
  return fail("envoy-exited", "Envoy ended by itself", { found: found || "an empty log" });
}

/**
 * One registry for everything that must not outlive this process: child processes, containers, temporary directories.
 *
 * Last registered, first released. It also runs when the process ends early: SIGINT, SIGTERM and SIGHUP release
 * everything and exit with 128 + the signal's number; an uncaught exception or a plain `process.exit` leaves only
 * synchronous means, which is what `now` is for. Signal handlers exist only while something is registered.
 *
 * @module
 */

import { constants } from "node:os";

export interface Release {
  /** For messages: `envoy 4711`. */
  name: string;
  /** The orderly way. */
  run: () => Promise<void> | void;
  /** Immediately and synchronously: kill, unlink. */
  now: () => void;
}

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
type Signal = (typeof SIGNALS)[number];

/** How long an interrupted process waits for the orderly way. */
const RELEASE_TIMEOUT_MS = 8_000;

const releases = new Set<Release>();
const waiting = new Set<(signal: Signal) => void>();
let interrupted = false;

/** Registers what to release; the function returned takes it back, once it is released otherwise. */
export function onCleanup(release: Release): () => void {
  releases.add(release);
  updateHandlers();
  return () => {
    releases.delete(release);
    updateHandlers();
  };
}

/** Releases everything that is registered, latest first. One failure doesn't keep the others from being released. */
export async function cleanup(): Promise<void> {
  for (const release of [...releases].reverse()) {
    try {
      await release.run();
    } catch {
      attempt(release.now);
    }
    releases.delete(release);
  }
  updateHandlers();
}

/**
 * Waits for Ctrl-C or a request to terminate, and takes it as the normal end: the caller then releases what it holds. A
 * second signal no longer waits for anybody.
 */
export function untilInterrupted(): Promise<Signal> {
  return new Promise((resolve) => {
    const awake = setInterval(() => undefined, 2 ** 30); // a signal handler alone doesn't keep Node running
    const done = (signal: Signal): void => {
      clearInterval(awake);
      waiting.delete(done);
      updateHandlers();
      resolve(signal);
    };
    waiting.add(done);
    updateHandlers();
  });
}

function releaseNow(): void {
  for (const release of [...releases].reverse()) attempt(release.now);
  releases.clear();
}

async function handleSignal(signal: Signal): Promise<void> {
  if (waiting.size && !interrupted) {
    for (const done of [...waiting]) done(signal);
    return;
  }
  const code = 128 + constants.signals[signal];
  if (interrupted) process.exit(code); // the exit handler does the rest
  interrupted = true;
  setTimeout(() => process.exit(code), RELEASE_TIMEOUT_MS).unref();
  await cleanup();
  process.exit(code);
}

let installed = false;

function updateHandlers(): void {
  const needed = releases.size > 0 || waiting.size > 0 || interrupted;
  if (needed === installed) return;
  installed = needed;
  for (const signal of SIGNALS) {
    if (needed) process.on(signal, handleSignal);
    else process.off(signal, handleSignal);
  }
  if (needed) process.on("exit", releaseNow);
  else process.off("exit", releaseNow);
}

function attempt(action: () => void): void {
  try {
    action();
  } catch {
    // Nothing left to do for this one, and the others still have to be released.
  }
}

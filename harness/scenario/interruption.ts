/** Tells a run that a signal has come: what fails from then on fails because everything is being released. */
import { onCleanup } from "../cleanup.ts";

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface Interruption {
  signal: AbortSignal;
  /** From here on signals are somebody else's. */
  dispose(): void;
}

export function watchInterruption(): Interruption {
  const controller = new AbortController();
  const note = (): void => controller.abort();
  for (const signal of SIGNALS) process.on(signal, note);
  // While something is registered the cleanup handles signals: releases all, and ends the process.
  const forget = onCleanup({ name: "run", run: note, now: note });
  return {
    signal: controller.signal,
    dispose() {
      for (const signal of SIGNALS) process.off(signal, note);
      forget();
    },
  };
}

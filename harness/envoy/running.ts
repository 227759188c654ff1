import { setTimeout as sleep } from "node:timers/promises";
import { fail, SelvedgeError } from "../errors.ts";
import type { AdminClient } from "./admin.ts";

/** Waits until a log has a match. @throws SelvedgeError `envoy-log-timeout`, also when Envoy is gone without one */
export async function waitForLog(pattern: RegExp, timeoutMs: number, log: () => string, gone: () => boolean): Promise<RegExpExecArray> {
  const once = new RegExp(pattern.source, pattern.flags.replace(/[gy]/g, ""));
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const match = once.exec(log());
    if (match) return match;
    if (gone()) throw logFailure("envoy-log-timeout", `Envoy is gone, and its log has no match for ${pattern}`, log());
    if (Date.now() > deadline) throw logFailure("envoy-log-timeout", `Envoy's log has no match for ${pattern} after ${timeoutMs} ms`, log());
    await sleep(20);
  }
}

/** The port that a listener is bound to. */
export async function listenerPort(admin: AdminClient, listener: string): Promise<number> {
  const listeners = await admin.listeners();
  const bound = listeners.find(({ name }) => name === listener);
  return bound?.port ?? fail("envoy-listener-missing", `Envoy has no listener ${listener}`, { found: listeners.map(({ name }) => name).join(", ") || "none" });
}

/** An error that shows the end of Envoy's log. */
export function logFailure(code: string, message: string, log: string): SelvedgeError {
  const tail = log.trim().split("\n").slice(-12).join("\n    ");
  return new SelvedgeError({ code, severity: "error", message, found: tail || "an empty log" });
}

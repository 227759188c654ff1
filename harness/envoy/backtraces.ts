/** Where modules trapped, as Envoy's log tells it, with the places in their sources. */
import { existsSync, readFileSync } from "node:fs";
import { resolve } from "node:path";
import { symbolizeLog } from "../build/backtrace.ts";
import { Symbolizer } from "../build/symbolize.ts";
import type { RunningEnvoy } from "./process.ts";

/** The modules whose files a configuration names, to look up offsets in. What can't be read isn't among them: Envoy says why. */
export function modulesIn(config: unknown, cwd = "."): Symbolizer[] {
  const files = new Set(fileNames(config).filter((name) => name.endsWith(".wasm")).map((name) => resolve(cwd, name)));
  return [...files].filter((file) => existsSync(file)).flatMap((file) => {
    try {
      return [new Symbolizer(readFileSync(file), file)];
    } catch {
      return [];
    }
  });
}

function fileNames(value: unknown): string[] {
  if (typeof value !== "object" || value === null) return [];
  const own = (value as { filename?: unknown }).filename;
  return [...(typeof own === "string" ? [own] : []), ...Object.values(value).flatMap(fileNames)];
}

const POLL_MS = 500;
const TRAP = /Function: \w+ failed: /;

/**
 * Tells of each trap that a running Envoy logs, once, with the places in the source.
 *
 * @returns stops it, after a last look
 */
export function watchTraps(running: Pick<RunningEnvoy, "readLog">, modules: readonly Symbolizer[], tell: (text: string) => void): () => void {
  let at = 0;
  let rest = "";
  const look = (all: boolean): void => {
    const { text, next } = running.readLog(at);
    at = next;
    rest += text;
    // The last entry may not be complete, but for when nothing follows.
    const entries = rest.split(/^(?=\[\d{4}-)/m);
    rest = all || text === "" ? "" : entries.pop()!;
    for (const entry of entries) if (TRAP.test(entry)) tell(symbolizeLog(entry.trimEnd(), modules));
  };
  const timer = setInterval(() => look(false), POLL_MS);
  timer.unref();
  return () => {
    clearInterval(timer);
    look(true);
  };
}

/** One process at a time: a lock file that names its holder, and that a dead holder can't keep. */
import { closeSync, linkSync, openSync, readFileSync, rmSync, statSync, writeSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { onCleanup } from "../cleanup.ts";
import { fail } from "../errors.ts";

const PATIENCE_MS = 30_000;

/** Runs `action` while no other process (or call) holds this lock. The file is gone afterwards, also after a signal. */
export async function withLock<T>(file: string, action: () => Promise<T>): Promise<T> {
  const mine = `${file}.${process.pid}.${Math.random().toString(36).slice(2)}`;
  const deadline = Date.now() + PATIENCE_MS;
  writeFile(mine);
  const removeMine = (): void => rmSync(mine, { force: true });
  const forgetMine = onCleanup({ name: mine, run: removeMine, now: removeMine });
  try {
    // The file appears with its content, which open and write alone can't do.
    while (!tryLink(mine, file)) {
      removeStale(file);
      if (Date.now() > deadline) fail("lock-held", "another process has been making certificates here for too long", { where: { file }, found: `process ${holder(file) ?? "unknown"}`, fix: "end that process, or remove the file" });
      await sleep(25);
    }
  } finally {
    removeMine();
    forgetMine();
  }
  const release = (): void => rmSync(file, { force: true });
  const forget = onCleanup({ name: file, run: release, now: release });
  try {
    return await action();
  } finally {
    release();
    forget();
  }
}

function writeFile(file: string): void {
  const descriptor = openSync(file, "wx", 0o600);
  writeSync(descriptor, String(process.pid));
  closeSync(descriptor);
}

function tryLink(from: string, to: string): boolean {
  try {
    linkSync(from, to);
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "EEXIST") return false;
    throw error;
  }
}

function holder(file: string): number | undefined {
  try {
    return Number(readFileSync(file, "utf8")) || undefined;
  } catch {
    return undefined;
  }
}

function removeStale(file: string): void {
  const pid = holder(file);
  if (pid === undefined || isAlive(pid)) return;
  try {
    // Only the very file that was read: another process may have replaced it since.
    const before = statSync(file).ino;
    if (holder(file) === pid && statSync(file).ino === before) rmSync(file, { force: true });
  } catch {
    // Gone already.
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}

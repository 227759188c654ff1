/**
 * The newest bundle that a node has taken, kept on its disk, so that it survives a restart without a network and nothing older is
 * taken afterwards. The envelope itself is the record: its version is signed, so that no number stands beside it to be changed.
 */
import type { KeyObject } from "node:crypto";
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../errors.ts";
import { claimedVersion, open, type Payload, type Reason } from "./envelope.ts";

export interface Kept {
  file: string;
  text: string;
  /** Absent: it isn't good, see `reason`. */
  payload?: Payload;
  reason?: Reason;
  detail?: string;
  /** What it says of itself, signed or not; undefined: nothing. */
  claims: number | undefined;
}

/** Where the bundle for an audience is kept. */
export function stateFile(directory: string, audience: string): string {
  return join(directory, `${encodeURIComponent(audience)}.json`);
}

/** What is kept for an audience; undefined: nothing yet. @throws SelvedgeError where it is there and can't be read */
export function readState(directory: string, audience: string, keys: readonly KeyObject[], now: number): Kept | undefined {
  const file = stateFile(directory, audience);
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    return fail("bundle-state-unreadable", `the bundle that the node keeps can't be read: ${(error as Error).message}`, { where: { file } });
  }
  return { file, text, claims: claimedVersion(text), ...open(text, { keys, audience, now }) };
}

/**
 * Keeps a bundle that was verified, unless what is there is as new: whole or not at all, also when the power fails.
 *
 * @returns whether it was written
 */
export function writeState(directory: string, audience: string, text: string, version: number, keys: readonly KeyObject[]): boolean {
  const kept = readState(directory, audience, keys, 0);
  if (kept?.payload && kept.payload.version >= version) return false;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = stateFile(directory, audience);
  const temporary = `${file}.${process.pid}.tmp`;
  try {
    const handle = openSync(temporary, "w", 0o600);
    try {
      writeSync(handle, text);
      fsyncSync(handle);
    } finally {
      closeSync(handle);
    }
    renameSync(temporary, file);
    syncDirectory(directory);
  } catch (error) {
    rmSync(temporary, { force: true });
    throw error;
  }
  return true;
}

/** Makes the new name last, where the system can. */
function syncDirectory(directory: string): void {
  if (process.platform === "win32") return;
  const handle = openSync(directory, "r");
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

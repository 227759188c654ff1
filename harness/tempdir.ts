import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { onCleanup } from "./cleanup.ts";

export interface TemporaryDirectory {
  path: string;
  /** Deletes it with all that is in it. */
  remove(): void;
}

/** A new directory that only this user can read and that is gone when the process ends, however it ends. */
export function temporaryDirectory(purpose: string): TemporaryDirectory {
  const path = mkdtempSync(join(tmpdir(), `selvedge-${purpose}-`));
  const removeFiles = (): void => rmSync(path, { recursive: true, force: true });
  const forget = onCleanup({ name: path, run: removeFiles, now: removeFiles });
  return {
    path,
    remove() {
      removeFiles();
      forget();
    },
  };
}

/** Tells when anything below some folders changes. */
import { readdirSync, watch, type FSWatcher } from "node:fs";
import { join } from "node:path";

const IGNORED = new Set(["node_modules", ".git", ".build"]);
const MAX_DEPTH = 16;

/**
 * One watch for each folder, not for each file: editors that write a new file and put it in the old one's place are noticed
 * like those that write into it, and so are files and folders that come, go or are renamed. Node's own recursive watch on
 * Linux watches files, and loses those that are replaced.
 */
export class FolderWatcher {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #roots: Set<string>;

  /** @param changed called with the path of what changed; often several times for one change */
  constructor(
    roots: readonly string[],
    private readonly changed: (path: string) => void,
  ) {
    this.#roots = new Set(roots);
    this.#scan();
  }

  /** Watches these, too. */
  add(roots: readonly string[]): void {
    const fresh = roots.filter((root) => !this.#watchers.has(root) && !this.#roots.has(root));
    for (const root of fresh) this.#roots.add(root);
    if (fresh.length > 0) this.#scan();
  }

  close(): void {
    for (const watcher of this.#watchers.values()) watcher.close();
    this.#watchers.clear();
  }

  #scan(): void {
    const found = new Set<string>();
    for (const root of this.#roots) collect(root, 0, found);
    for (const [folder, watcher] of this.#watchers) {
      if (found.has(folder)) continue;
      watcher.close();
      this.#watchers.delete(folder);
    }
    for (const folder of found) if (!this.#watchers.has(folder)) this.#watch(folder);
  }

  #watch(folder: string): void {
    try {
      const watcher = watch(folder, (event, name) => {
        // Something came or went: it may be a folder.
        if (event === "rename") this.#scan();
        this.changed(name === null ? folder : join(folder, name));
      });
      // The folder went away.
      watcher.on("error", () => {
        watcher.close();
        this.#watchers.delete(folder);
      });
      this.#watchers.set(folder, watcher);
    } catch {
      // Gone since it was listed: its parent tells.
    }
  }
}

function collect(folder: string, depth: number, found: Set<string>): void {
  let entries;
  try {
    entries = readdirSync(folder, { withFileTypes: true });
  } catch {
    return;
  }
  found.add(folder);
  if (depth === MAX_DEPTH) return;
  for (const entry of entries) if (entry.isDirectory() && !IGNORED.has(entry.name)) collect(join(folder, entry.name), depth + 1, found);
}

import { closeSync, existsSync, fstatSync, openSync, readSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { fail } from "../../../errors.ts";

/** Reads the lines that are added to a file. */
export class LineReader {
  #at = 0;
  #rest = "";
  readonly #lines: string[] = [];

  /** @param waitMs how long a line may take to come */
  constructor(private readonly file: string, private readonly waitMs: number) {}

  /** The next `count` lines that `mine` takes; others are passed over. @throws SelvedgeError when they don't come */
  async next(count: number, mine: (line: string) => boolean): Promise<string[]> {
    const found: string[] = [];
    for (const deadline = Date.now() + this.waitMs; found.length < count; ) {
      const line = this.#lines.shift();
      if (line !== undefined) {
        if (mine(line)) found.push(line);
      } else if (!this.#read()) {
        if (Date.now() > deadline) fail("envoy-access-log", `Envoy's access log has ${found.length} of ${count} lines after ${this.waitMs} ms`);
        await sleep(2);
      }
    }
    return found;
  }

  #read(): boolean {
    if (!existsSync(this.file)) return false;
    const handle = openSync(this.file, "r");
    try {
      const size = fstatSync(handle).size - this.#at;
      if (size <= 0) return false;
      const buffer = Buffer.alloc(size);
      const read = readSync(handle, buffer, 0, size, this.#at);
      this.#at += read;
      const lines = (this.#rest + buffer.subarray(0, read).toString()).split("\n");
      this.#rest = lines.pop()!;
      this.#lines.push(...lines);
      return lines.length > 0;
    } finally {
      closeSync(handle);
    }
  }
}

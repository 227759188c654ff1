import { spawnSync } from "node:child_process";
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** A compiler that makes the program of its language. */
export interface Toolchain {
  language: "rust" | "go" | "cpp";
  /** Why this machine cannot build it; undefined: it can. */
  missing: string | undefined;
  /** Builds in a directory of its own. @returns the module @throws Error with what the compiler said */
  build(directory: string): Uint8Array;
}

const LATEST_CLANG = 22;
const OLDEST_CLANG = 14;
const RUST_TARGET = "wasm32-wasip1";
/** The first that links libraries for WebAssembly. */
const GO_MINOR = 24;

const sources = (language: string): string => fileURLToPath(new URL(language, import.meta.url));

/** Standard output of a command; undefined: it is not there, or it failed. */
function ask(command: string, ...args: string[]): string | undefined {
  const { status, stdout } = spawnSync(command, args, { encoding: "utf8" });
  return status === 0 ? stdout : undefined;
}

function run(directory: string, command: string, args: readonly string[], env: Readonly<Record<string, string>> = {}): void {
  const { status, stdout, stderr, error } = spawnSync(command, args, { cwd: directory, encoding: "utf8", env: { ...process.env, ...env } });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")} failed:\n${error?.message ?? stdout + stderr}`);
}

function rust(): Toolchain {
  const sysroot = ask("rustc", "--print", "sysroot")?.trim();
  const std = sysroot !== undefined && ask("ls", join(sysroot, "lib", "rustlib", RUST_TARGET, "lib")) !== undefined;
  const cargo = ask("cargo", "--version") !== undefined;
  return {
    language: "rust",
    missing: sysroot === undefined || !cargo ? "there is no Rust (rustc and cargo)" : std ? undefined : `Rust lacks the target ${RUST_TARGET}: rustup target add ${RUST_TARGET}`,
    build: (directory) => {
      cpSync(sources("rust"), directory, { recursive: true });
      run(directory, "cargo", ["build", "--quiet", "--release", "--target", RUST_TARGET], { CARGO_TARGET_DIR: join(directory, "target") });
      return readFileSync(join(directory, "target", RUST_TARGET, "release", "foreign.wasm"));
    },
  };
}

function go(): Toolchain {
  const version = /go1\.(\d+)/.exec(ask("go", "version") ?? "");
  const missing = version === null ? "there is no Go" : Number(version[1]) < GO_MINOR ? `Go 1.${version[1]} is too old, 1.${GO_MINOR} or newer makes WebAssembly libraries` : undefined;
  return {
    language: "go",
    missing,
    build: (directory) => {
      cpSync(sources("go"), directory, { recursive: true });
      run(directory, "go", ["build", "-buildmode=c-shared", "-o", "foreign.wasm", "."], { GOOS: "wasip1", GOARCH: "wasm" });
      return readFileSync(join(directory, "foreign.wasm"));
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
    build: (directory) => {
      run(directory, usable!, [...flags, "-mexec-model=reactor", "-Wl,--export=malloc", join(sources("cpp"), "foreign.cc"), "-o", "foreign.wasm"]);
      return readFileSync(join(directory, "foreign.wasm"));
    },
  };
}

/** Every language's compiler, whether it is there or not. */
export const toolchains = (): Toolchain[] => [rust(), go(), cpp()];

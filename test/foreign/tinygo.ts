import { existsSync } from "node:fs";
import { cp, mkdir, readFile, readdir, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import { temporaryDirectory, type TemporaryDirectory } from "../../harness/tempdir.ts";
import { ask, run, sources } from "./commands.ts";
import { goMinor } from "./go.ts";
import type { Toolchain } from "./toolchains.ts";

/**
 * TinyGo, where it is installed; else built from its Go module, which go checks against its checksum database, with
 * Debian's LLVM and wasi-libc in place of the ones that a release of TinyGo brings along.
 */
const TINYGO = "github.com/tinygo-org/tinygo";
const VERSION = "v0.41.1";
/** The versions of Go that it compiles with. */
const OLDEST_GO = 23;
const NEWEST_GO = 26;
/** The versions of LLVM that it builds with, the newest first. */
const LLVM = [20, 19, 18, 17, 16, 15] as const;

const llvm = (version: number, ...path: string[]): string => join(`/usr/lib/llvm-${version}`, ...path);

/** What of LLVM's and WASI's a build needs. */
interface Libraries {
  version: number;
  libc: string;
  builtins: string;
}

function libraries(): Libraries | undefined {
  for (const version of LLVM) {
    if (!existsSync(llvm(version, "include", "llvm-c", "Core.h")) || !existsSync(llvm(version, "include", "clang-c", "Index.h"))) continue;
    const clang = (...args: string[]): string => ask(`clang-${version}`, "--target=wasm32-wasi", ...args)?.trim() ?? "";
    const libc = clang("-print-file-name=libc.a");
    const builtins = clang("--rtlib=compiler-rt", "-print-libgcc-file-name");
    if (existsSync(libc) && existsSync(builtins) && ask(`wasm-ld-${version}`, "--version") !== undefined) return { version, libc, builtins };
  }
  return undefined;
}

/** TinyGo's target `wasip1` with libraries that are there already, instead of those that it would compile from its submodules. */
const target = ({ libc, builtins }: Libraries): object => ({
  "llvm-target": "wasm32-unknown-wasi",
  cpu: "generic",
  features: "+bulk-memory,+mutable-globals,+nontrapping-fptoint,+sign-ext,-multivalue,-reference-types",
  "build-tags": ["tinygo.wasm"],
  goos: "wasip1",
  goarch: "wasm",
  linker: "wasm-ld",
  gc: "precise",
  scheduler: "asyncify",
  "default-stack-size": 65536,
  cflags: ["-mbulk-memory", "-mnontrapping-fptoint", "-mno-multivalue", "-mno-reference-types", "-msign-ext"],
  ldflags: ["--stack-first", "--no-demangle", libc, builtins],
  "extra-files": ["src/runtime/asm_tinygowasm.S"],
});

/** A TinyGo that runs: its command, its target for WASI, and what it wants in its environment. */
interface Compiler {
  command: string;
  target: string;
  env: Record<string, string>;
}

/** Every program that is compiled shares one compiler. */
let building: Promise<Compiler> | undefined;
let kept: TemporaryDirectory | undefined;

/** Deletes the compiler, if it was built. */
export const removeTinygo = (): void => kept?.remove();

async function buildCompiler(found: Libraries): Promise<Compiler> {
  const { path } = (kept = temporaryDirectory("tinygo"));
  const go = { GOTOOLCHAIN: "local", GOFLAGS: "" };
  // Outside of any module; then inside TinyGo's own, whose go.sum holds what it is built from.
  const { Dir: module } = JSON.parse(await run(path, "go", ["mod", "download", "-json", `${TINYGO}@${VERSION}`], go)) as { Dir: string };
  const command = join(path, "bin", "tinygo");
  await run(module, "go", ["build", "-mod=readonly", "-trimpath", "-tags", `llvm${found.version}`, "-o", command, "."], { ...go, CGO_ENABLED: "1" });
  const root = join(path, "root");
  // Its package net is a submodule too; without files, Go's own stands in.
  await mkdir(join(root, "src", "net"), { recursive: true });
  for (const name of await readdir(join(module, "src"))) await cp(join(module, "src", name), join(root, "src", name), { recursive: true });
  await writeFile(join(root, "target.json"), JSON.stringify(target(found)));
  const env = {
    ...go,
    TINYGOROOT: root,
    XDG_CACHE_HOME: join(path, "cache"), // what TinyGo keeps there points into its root
    GOCACHE: (await run(path, "go", ["env", "GOCACHE"])).trim(),
  };
  return { command, target: join(root, "target.json"), env };
}

/** What makes programs with TinyGo. */
export interface Tinygo {
  /** Why this machine has none; undefined: it has. */
  missing: string | undefined;
  /** Builds the program in this folder of a module's directory. @returns the module @throws Error with what the compiler said */
  build(directory: string, args: readonly string[], program?: string): Promise<Uint8Array>;
}

export function findTinygo(): Tinygo {
  const installed = ask("tinygo", "version") !== undefined;
  const minor = goMinor();
  const found = installed || minor === undefined ? undefined : libraries();
  const missing = installed
    ? undefined
    : minor === undefined || minor < OLDEST_GO || minor > NEWEST_GO
      ? `there is no TinyGo, and building it takes Go 1.${OLDEST_GO} to 1.${NEWEST_GO}`
      : found === undefined
        ? "there is no TinyGo, and building it takes LLVM (Debian: clang-19 lld-19 llvm-19-dev libclang-19-dev libclang-rt-19-dev-wasm32 wasi-libc)"
        : undefined;
  const compiler = (): Promise<Compiler> => (building ??= installed ? Promise.resolve({ command: "tinygo", target: "wasip1", env: {} }) : buildCompiler(found!));

  return {
    missing,
    build: async (directory, args, program = ".") => {
      const { command, target, env } = await compiler();
      const optimizer = join(dirname(createRequire(import.meta.url).resolve("binaryen/package.json")), "bin", "wasm-opt");
      const output = join(directory, program, "built.wasm");
      await run(directory, command, ["build", `-target=${target}`, ...args, "-o", output, program], { WASMOPT: optimizer, ...env });
      return await readFile(output);
    },
  };
}

/** A command whose functions are called after main, as TinyGo built them before 0.35; today's calls proc_exit there, which Envoy refuses. */
export const LEGACY = ["-buildmode=wasi-legacy", "-scheduler=none"] as const;

/** The same program twice: with the SDK and the options that most filters made with TinyGo have, and as a library with today's SDK. */
export function tinygo({ missing, build }: Tinygo): Toolchain[] {
  return [
    {
      language: "tinygo",
      missing,
      build: async (directory) => {
        await cp(sources("go"), directory, { recursive: true });
        // The SDK that was made for TinyGo.
        await cp(sources("tinygo"), directory, { recursive: true });
        for (const name of ["main.go", "work_tinygo.go"]) {
          const file = join(directory, name);
          await writeFile(file, (await readFile(file, "utf8")).replaceAll("github.com/proxy-wasm/", "github.com/tetratelabs/"));
        }
        return await build(directory, LEGACY);
      },
    },
    {
      language: "tinygo-library",
      missing,
      build: async (directory) => {
        await cp(sources("go"), directory, { recursive: true });
        return await build(directory, ["-buildmode=c-shared"]);
      },
    },
  ];
}

import { copyFile, cp, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { run, sources } from "./commands.ts";
import { LEGACY, type Tinygo } from "./tinygo.ts";

/**
 * Filters that others wrote and published, as they are: nothing of them is kept here. They are the examples in the last version of this
 * Go module whose zip has them; go holds it against its checksum database. That version's SDK needs a TinyGo of its time, so they get the
 * one of tinygo/go.mod.
 */
const MODULE = "github.com/tetratelabs/proxy-wasm-go-sdk@v0.16.0";

/** Those that have a file of cases in published/. */
export const PUBLISHED = ["http_auth_random", "http_body", "network", "postpone_requests"] as const;

/** Builds them into this directory, each as NAME.wasm. @throws Error with what go or the compiler said */
export async function buildPublished({ build }: Tinygo, directory: string): Promise<void> {
  const { Dir: module } = JSON.parse(await run(directory, "go", ["mod", "download", "-json", MODULE], { GOFLAGS: "", GOTOOLCHAIN: "local" })) as { Dir: string };
  await cp(sources("tinygo"), directory, { recursive: true });
  for (const name of PUBLISHED) {
    await mkdir(join(directory, name));
    await copyFile(join(module, "examples", name, "main.go"), join(directory, name, "main.go"));
    await writeFile(join(directory, `${name}.wasm`), await build(directory, [...LEGACY, "-opt=1", "-no-debug"], `./${name}`));
  }
}

/** Istio's sources at a fixed version, from the Go module proxy, through the go command: to compare with, never to keep here. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { temporaryDirectory } from "../../harness/tempdir.ts";

const MODULE = "istio.io/istio";
/** go refuses content that doesn't have the sum which its checksum database knows. */
const VERSION = "v0.0.0-20260827124520-eed52ebb66ad";
const TIMEOUT_MS = 240_000;

const run = promisify(execFile);

/**
 * The directory of the module, which is 12 MB to load and then stays in go's module cache.
 *
 * @throws where there is no go, or it can't get the module
 */
export async function istioSources(): Promise<string> {
  // Outside of any module, and without fetching another toolchain for one that is newer than this go.
  const empty = temporaryDirectory("go");
  try {
    const { stdout } = await run("go", ["mod", "download", "-json", `${MODULE}@${VERSION}`], { cwd: empty.path, timeout: TIMEOUT_MS, env: { ...process.env, GOTOOLCHAIN: "local", GOFLAGS: "" } });
    return (JSON.parse(stdout) as { Dir: string }).Dir;
  } finally {
    empty.remove();
  }
}

import { buildFilter } from "../../harness/build/index.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../harness/tempdir.ts";

/** Folder of cases for a filter that calls out: what no filter of this project does. */
export const CALLER_CASES = "test/unit/cases/fixtures/caller/cases";

/** Builds that filter; the folder's path goes to `modules`. */
export async function buildCaller(): Promise<TemporaryDirectory> {
  const directory = temporaryDirectory("caller");
  await buildFilter({ entry: "test/unit/cases/fixtures/caller/assembly/index.ts", name: "caller", outDir: directory.path });
  return directory;
}

/** envoy-configs/edge/envoy.yaml is what compose makes of the policies beside it. UPDATE_GOLDEN=1 writes it anew. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join, relative } from "node:path";
import { expect, it } from "vitest";
import { parse } from "yaml";
import { composeEnvoy, loadPolicies } from "../../../harness/compose/index.ts";
import { withScenario } from "../../../harness/scenario/check.ts";

const ROOT = join(import.meta.dirname, "../../..");
const MODULES = join(ROOT, "dist");
const GOLDEN = join(ROOT, "envoy-configs/edge/envoy.yaml");

/** What the module imports is the build's business: it is read anew only when the file is written. */
function capabilities(): string[] | undefined {
  if (process.env.UPDATE_GOLDEN && existsSync(join(MODULES, "edge.wasm"))) return undefined;
  const found = /allowed_capabilities: *\n((?: +[a-z_]+: \{\}\n)+)/.exec(readFileSync(GOLDEN, "utf8"));
  return Object.keys(parse(found![1]!) as object);
}

it("matches the policies", () => {
  const dir = relative(process.cwd(), join(ROOT, "envoy-configs/edge"));
  const own = capabilities();
  const { yaml, findings } = composeEnvoy(loadPolicies(dir, withScenario), {
    moduleDir: MODULES,
    baseDir: ROOT,
    readFiles: false,
    ...(own ? { capabilities: { edge: own } } : {}),
  });
  expect(findings).toEqual([]);
  if (process.env.UPDATE_GOLDEN) writeFileSync(GOLDEN, yaml!);
  expect(yaml).toBe(readFileSync(GOLDEN, "utf8"));
});

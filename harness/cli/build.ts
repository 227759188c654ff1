import { relative } from "node:path";
import type { BuildResult } from "../build/index.ts";
import { bytes, table } from "./output.ts";
import { defineVerb } from "./verb.ts";

export const build = defineVerb({
  name: "build",
  summary: "Compile the filters to WebAssembly modules",
  args: {
    filter: { type: "positional", required: false, description: "Names of filters, or paths of an index.ts; every filter unless given" },
    out: { type: "string", alias: "o", default: "dist", valueHint: "DIR", description: "Where to write the modules" },
    debug: { type: "boolean", description: "Write NAME.debug.wasm too, with function names" },
    force: { type: "boolean", description: "Compile even what hasn't changed" },
    quiet: { type: "boolean", description: "Print nothing but errors and progress" },
  },
  variadic: true,
  async run({ args, positionals, json, progress }) {
    const { buildAll, buildFilter } = await import("../build/index.ts");
    const options = { outDir: args.out, debug: args.debug, force: args.force };
    const names = positionals.filter((filter) => !filter.endsWith(".ts"));
    const results: BuildResult[] = [];
    for (const entry of positionals.filter((filter) => filter.endsWith(".ts"))) results.push(await buildFilter({ ...options, entry }));
    if (names.length || !positionals.length) {
      const onFilter = (name: string, result?: BuildResult): void => (result || json ? undefined : progress(`building ${name}`));
      results.push(...(await buildAll({ ...options, only: names, onFilter })));
    }
    return {
      ...(!args.quiet && { text: results.length ? summary(results) : "no filters to build" }),
      data: { modules: results.map(({ findings: _, ...result }) => result) },
      findings: results.flatMap((result) => result.findings),
    };
  },
});

function summary(results: BuildResult[]): string {
  const rows = results.map(({ path, sizes, sha256, imports, exports, cached }) => [
    relative(process.cwd(), path), bytes(sizes.raw), bytes(sizes.gzip), bytes(sizes.brotli), String(imports.length), String(exports.length), sha256.slice(0, 16), cached ? "unchanged" : "built",
  ]);
  return table(["MODULE", "SIZE", "GZIP", "BROTLI", "IMPORTS", "EXPORTS", "SHA-256", ""], rows, [1, 2, 3, 4, 5]);
}

import { readFile } from "node:fs/promises";
import type { Inspection } from "../build/index.ts";
import { fail } from "../errors.ts";
import { bytes, table } from "./output.ts";
import { defineVerb } from "./verb.ts";

export const inspect = defineVerb({
  name: "inspect",
  summary: "Say what a WebAssembly module is to a Proxy-Wasm host, and what is wrong with it",
  args: {
    module: { type: "positional", required: true, description: "Path of a .wasm file" },
    functions: { type: "boolean", description: "List the largest functions; by name in a module of `selvedge build --debug`" },
  },
  async run({ args }) {
    const { capabilitiesOf, inspectModule } = await import("../build/inspect.ts");
    const { sha256 } = await import("../build/files.ts");
    const wasm = await readFile(args.module).catch((error: NodeJS.ErrnoException) => fail("module-missing", `${args.module} can't be read`, { found: error.code ?? error.message, fix: "`selvedge build` writes the modules to dist" }));
    const inspection = inspectModule(wasm, args.module);
    const { findings, ...rest } = inspection;
    const data = { file: args.module, sha256: sha256(wasm), capabilities: capabilitiesOf(inspection), ...rest };
    const { functions: _, ...withoutFunctions } = data;
    const text = [describe(inspection, data), ...(args.functions ? [largest(inspection)] : [])].join("\n\n");
    return { text, data: args.functions ? data : withoutFunctions, findings };
  },
});

const LISTED = 40;

function largest({ functions, sizes }: Inspection): string {
  const rows = functions.slice(0, LISTED).map(({ index, name, size }) => [String(size), `${((100 * size) / sizes.code).toFixed(1)} %`, name ?? `function ${index}`]);
  return table(["BYTES", "OF CODE", "FUNCTION"], rows, [0, 1]);
}

function describe(inspection: Inspection, { file, sha256 }: { file: string; sha256: string }): string {
  const { sizes, memory } = inspection;
  const list = (names: string[]): string => (names.length ? names.join("\n                ") : "none");
  const pages = (count: number): string => bytes(count * 65536);
  const rows: [string, string][] = [
    ["file", file],
    ["sha256", sha256],
    ["size", `${bytes(sizes.raw)} (${sizes.raw} bytes): code ${bytes(sizes.code)} in ${inspection.functionCount} functions, data ${bytes(sizes.data)}`],
    ["ABI", inspection.abi ?? "none: not a Proxy-Wasm module"],
    ["allocator", inspection.allocator ?? "none"],
    ["runs at load", [...(inspection.hasStartSection ? ["start section"] : []), ...inspection.initializers].join(", ") || "nothing"],
    ["memory", memory ? `${pages(memory.min)} at start, ${memory.max === null ? "no maximum" : `at most ${pages(memory.max)}`}` : "none"],
    ["names", inspection.hasNames ? "yes" : "stripped"],
    ["sections", inspection.customSections.map(({ name, size }) => `${name} (${bytes(size)})`).join(", ") || "no custom sections"],
    ["callbacks", list(inspection.callbacks)],
    ["host calls", list(inspection.hostCalls)],
    ["WASI", list(inspection.wasi)],
    ["unknown", list(inspection.unknownImports)],
  ];
  return rows.map(([title, value]) => `${title.padEnd(14)}  ${value}`).join("\n");
}

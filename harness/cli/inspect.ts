import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import type { Inspection } from "../build/index.ts";
import { fail, UsageError, type Finding } from "../errors.ts";
import { bytes, table } from "./output.ts";
import { defineVerb, type Outcome } from "./verb.ts";

export const inspect = defineVerb({
  name: "inspect",
  summary: "Say what a WebAssembly module is to a Proxy-Wasm host, and what is wrong with it",
  args: {
    module: { type: "positional", required: true, description: "Path of a .wasm file" },
    functions: { type: "boolean", description: "List the largest functions; by name in a module of `selvedge build --debug`" },
    offset: { type: "string", valueHint: "0xHEX", description: "Instead: function and place in the source of an offset in a backtrace; several with commas between" },
    symbolize: { type: "string", valueHint: "LOG", description: "Instead: print a log of Envoy, - for standard input, with the places in its backtraces" },
  },
  async run({ args }) {
    if (args.offset !== undefined || args.symbolize !== undefined) return symbolize(args.module, args.offset, args.symbolize);
    const { capabilitiesOf, inspectModule } = await import("../build/inspect.ts");
    const { sha256 } = await import("../build/files.ts");
    const wasm = await readModule(args.module);
    const inspection = inspectModule(wasm, args.module);
    const { findings, ...rest } = inspection;
    const data = { file: args.module, sha256: sha256(wasm), capabilities: capabilitiesOf(inspection), ...rest };
    const { functions: _, ...withoutFunctions } = data;
    const text = [describe(inspection, data), ...(args.functions ? [largest(inspection)] : [])].join("\n\n");
    return { text, data: args.functions ? data : withoutFunctions, findings };
  },
});

function readModule(file: string): Promise<Buffer> {
  return readFile(file).catch((error: NodeJS.ErrnoException) => fail("module-missing", `${file} can't be read`, { found: error.code ?? error.message, fix: "`selvedge build` writes the modules to dist" }));
}

/** Names the places that a backtrace has as offsets. */
async function symbolize(file: string, offsets: string | undefined, log: string | undefined): Promise<Outcome> {
  if (offsets !== undefined && log !== undefined) throw new UsageError("--offset and --symbolize are two questions: ask one");
  const numbers = offsets?.split(",").map((text) => (/^\s*(0x[0-9a-f]{1,8}|\d{1,10})\s*$/i.test(text) ? Number(text) : NaN));
  if (numbers?.some(Number.isNaN)) throw new UsageError(`--offset takes what a backtrace has, such as 0x44d, not ${offsets}`);
  const { Symbolizer, formatSymbol } = await import("../build/symbolize.ts");
  const symbolizer = new Symbolizer(await readModule(file), file);
  const findings: Finding[] = symbolizer.map === null ? [{ code: "source-map-missing", severity: "warning", message: "the module has no source map that can be read, so there are names at most, and no places", where: { file }, expected: `${file}.map, or where its section sourceMappingURL says` }] : [];
  if (log !== undefined) {
    const { symbolizeLog } = await import("../build/backtrace.ts");
    const text = log === "-" ? readFileSync(0, "utf8") : await readFile(log, "utf8").catch((error: NodeJS.ErrnoException) => fail("log-missing", `${log} can't be read`, { found: error.code ?? error.message }));
    const named = symbolizeLog(text, [symbolizer]);
    if (named === text && /Function: \w+ failed/.test(text)) findings.push({ code: "backtrace-missing", severity: "warning", message: "no backtrace in this log is of this module", found: text.includes("in-VM backtrace") ? "backtraces of another module, or of another build of it" : "none: Envoy prints them for modules with a function name only, as `selvedge build` makes them", fix: "take the very module that Envoy ran" });
    return { text: named, data: { log: named }, findings };
  }
  const frames = numbers!.map((offset) => ({ offset, ...symbolizer.symbolize(offset) }));
  for (const { offset, function: name } of frames) if (name === undefined) findings.push({ code: "offset-outside", severity: "error", message: `0x${offset.toString(16)} is in none of the module's functions`, where: { file }, fix: "take the module that the backtrace is of" });
  const text = frames.flatMap(({ offset, ...symbol }) => (symbol.function === undefined ? [] : `0x${offset.toString(16)}  ${formatSymbol({ ...symbol, function: symbol.function })}`)).join("\n");
  return { text, data: { frames }, findings };
}

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

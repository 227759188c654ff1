import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { instantiate } from "@assemblyscript/loader";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { buildAll, buildFilter, compileModule, packageRoot, readManifest, readWasm, releaseOptions } from "../../../harness/build/index.ts";
import { SelvedgeError } from "../../../harness/errors.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";

const scratch = temporaryDirectory("test");
afterAll(() => scratch.remove());

const SOURCE = `
  import { twice } from "./helper";
  export function proxy_abi_version_0_2_1(): void {}
  export function answer(value: i32): i32 { return twice(value) + 2; }`;

let directory: string;
let count = 0;
let entry: string;
let outDir: string;

beforeEach(() => {
  directory = join(scratch.path, `${count++}`);
  mkdirSync(join(directory, "small/assembly"), { recursive: true });
  entry = join(directory, "small/assembly/index.ts");
  outDir = join(directory, "dist");
  writeFileSync(entry, SOURCE);
  writeFileSync(join(directory, "small/assembly/helper.ts"), "export function twice(value: i32): i32 { return value * 2; }\n");
});

describe("buildFilter", () => {
  it("writes the module, its source map and the manifest", async () => {
    const result = await buildFilter({ entry, outDir });
    const wasm = readFileSync(join(outDir, "small.wasm"));
    expect(result).toMatchObject({ name: "small", path: join(outDir, "small.wasm"), cached: false, abi: "proxy_abi_version_0_2_1", sizes: { raw: wasm.length } });
    const map = JSON.parse(readFileSync(join(outDir, "small.wasm.map"), "utf8")) as { sources: string[] };
    expect(map.sources.some((source) => source === "assembly/helper.ts")).toBe(true);
    const { modules } = await readManifest(outDir);
    expect(modules).toEqual([{ name: "small", file: "small.wasm", sha256: result.sha256, sizes: result.sizes, abi: result.abi, imports: [], exports: ["proxy_abi_version_0_2_1", "answer", "memory", "_initialize"] }]);
    expect(existsSync(join(outDir, "small.debug.wasm"))).toBe(false);
  });

  it("gives the same bytes for the same sources", async () => {
    const first = await buildFilter({ entry, outDir });
    const again = await buildFilter({ entry, outDir: join(directory, "elsewhere") });
    expect(again.sha256).toBe(first.sha256);
    expect(readFileSync(again.map)).toEqual(readFileSync(first.map));
  });

  it("writes names into a debug module with the same code", async () => {
    const result = await buildFilter({ entry, outDir, debug: true });
    const [release, debug] = [result.path, result.debugPath!].map((path) => readWasm(readFileSync(path)));
    expect(release!.functionNames.size).toBe(0);
    expect([...debug!.functionNames.values()].some((name) => name.endsWith("/answer"))).toBe(true);
    expect(debug!.codeSize).toBe(release!.codeSize);
  });

  it("compiles again only when something that it read changed, or when forced", async () => {
    await buildFilter({ entry, outDir });
    expect((await buildFilter({ entry, outDir })).cached).toBe(true);
    writeFileSync(join(directory, "small/assembly/helper.ts"), "export function twice(value: i32): i32 { return value * 3; }\n");
    const changed = await buildFilter({ entry, outDir });
    expect(changed.cached).toBe(false);
    expect((await buildFilter({ entry, outDir, force: true })).cached).toBe(false);
    rmSync(changed.path);
    expect((await buildFilter({ entry, outDir })).cached).toBe(false);
    expect((await buildFilter({ entry, outDir, extraOptions: { optimizeLevel: 0 } })).cached).toBe(false);
    writeFileSync(join(outDir, ".build/small.json"), "{damaged");
    expect((await buildFilter({ entry, outDir })).cached).toBe(false);
  });

  it("reports every error of the compiler with file, line and column, and writes nothing", async () => {
    writeFileSync(entry, "export function a(): i32 {\n  return missing + 1;\n}\nexport function b(): string { return 3; }\n");
    const error = await buildFilter({ entry, outDir }).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(SelvedgeError);
    expect((error as SelvedgeError).findings).toMatchObject([
      { code: "AS2304", severity: "error", message: "Cannot find name 'missing'.", where: { line: 2, col: 10 } },
      { code: "AS2322", severity: "error", where: { line: 4, col: 38 } },
    ]);
    expect((error as SelvedgeError).findings[0]!.where!.file).toBe(entry);
    expect(existsSync(outDir)).toBe(false);
  });

  it("says which entry or import isn't there", async () => {
    await expect(buildFilter({ entry: join(directory, "none.ts"), outDir })).rejects.toThrow("build-entry-missing");
    writeFileSync(entry, 'import { gone } from "./gone"; export function a(): void { gone(); }');
    await expect(buildFilter({ entry, outDir })).rejects.toThrow(/index\.ts:1:\d+: error\[AS6054\]: File '.*gone\.ts' not found/);
  });
});

describe("buildAll", () => {
  it("builds every filter folder in order, and names the ones there are when asked for another", async () => {
    mkdirSync(join(directory, "another/assembly"), { recursive: true });
    mkdirSync(join(directory, "docs"));
    writeFileSync(join(directory, "another/assembly/index.ts"), "export function nothing(): void {}");
    const seen: string[] = [];
    const results = await buildAll({ outDir, filtersDir: directory, onFilter: (name, result) => seen.push(result ? `${name} built` : name) });
    expect(results.map(({ name }) => name)).toEqual(["another", "small"]);
    expect(seen).toEqual(["another", "another built", "small", "small built"]);
    expect((await readManifest(outDir)).modules.map(({ name }) => name)).toEqual(["another", "small"]);
    await expect(buildAll({ outDir, filtersDir: directory, only: ["smal"] })).rejects.toThrow("expected: one of another, small");
    expect(statSync(join(outDir, "another.wasm")).size).toBe(results[0]!.sizes.raw);
  });

  it("builds the others when one doesn't compile, and reports the errors of all, each once", async () => {
    writeFileSync(join(directory, "small/assembly/helper.ts"), "export function twice(value: i32): i32 { return nothing; }\n");
    for (const name of ["broken", "fine"]) mkdirSync(join(directory, name, "assembly"), { recursive: true });
    writeFileSync(join(directory, "broken/assembly/index.ts"), 'export { twice } from "../../small/assembly/helper";\nexport function other(): i32 { return missing; }\n');
    writeFileSync(join(directory, "fine/assembly/index.ts"), "export function nothing(): void {}");
    const error = (await buildAll({ outDir, filtersDir: directory }).catch((caught: unknown) => caught)) as SelvedgeError;
    expect(error.findings.map(({ message }) => message).sort()).toEqual(["Cannot find name 'missing'.", "Cannot find name 'nothing'."]);
    expect(existsSync(join(outDir, "fine.wasm"))).toBe(true);
  });
});

describe("compileModule", () => {
  it("compiles text that the loader can call with strings", async () => {
    const wasm = await compileModule({ source: "export function greet(name: string): string { return `hello ${name}`; }" });
    const { exports } = await instantiate(wasm);
    const { greet, __newString, __getString } = exports as unknown as { greet(name: number): number; __newString(text: string): number; __getString(address: number): string };
    expect(__getString(greet(__newString("wörld")))).toBe("hello wörld");
  });

  it("reports errors in the text with their place", async () => {
    await expect(compileModule({ source: "export const a: i32 = ;" })).rejects.toThrow(/inline\.ts:1:\d+: error\[AS/);
  });
});

it("asconfig.json says what the build does", () => {
  const { options, targets } = JSON.parse(readFileSync(join(packageRoot, "asconfig.json"), "utf8")) as { options: Record<string, unknown>; targets: Record<string, Record<string, unknown>> };
  const { transform, ...rest } = options;
  expect(rest).toEqual(releaseOptions);
  expect(transform).toEqual([expect.stringMatching(/harness\/build\/transform\.mjs$/)]);
  expect(targets.release).toEqual({ sourceMap: true });
});

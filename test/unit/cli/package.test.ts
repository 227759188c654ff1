/** The package as npm makes it: what a team gets that installs it into a project of its own. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot, packageVersion } from "../../../harness/build/index.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";

const scratch = temporaryDirectory("test");
afterAll(() => scratch.remove());
const project = join(scratch.path, "team");
const installed = join(project, "node_modules", "selvedge");

function run(program: string, args: string[], cwd = project): { code: number | null; stdout: string; stderr: string } {
  const result = spawnSync(program, args, { cwd, encoding: "utf8", maxBuffer: 1 << 26 });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

const write = (path: string, text: string): void => {
  mkdirSync(dirname(join(project, path)), { recursive: true });
  writeFileSync(join(project, path), text);
};

beforeAll(() => {
  const packed = run("npm", ["pack", "--pack-destination", scratch.path], packageRoot);
  expect(packed.code, packed.stderr).toBe(0);
  mkdirSync(installed, { recursive: true });
  expect(run("tar", ["xzf", join(scratch.path, `selvedge-${packageVersion()}.tgz`), "-C", installed, "--strip-components=1"]).code).toBe(0);
  // Its one dependency, with what that depends on.
  for (const name of ["assemblyscript", "binaryen", "long"]) symlinkSync(join(packageRoot, "node_modules", name), join(project, "node_modules", name));
  write("package.json", '{ "name": "team", "private": true, "type": "module" }');
}, 600_000);

const cli = (...args: string[]): ReturnType<typeof run> => run(process.execPath, [join(installed, "bin", "selvedge.mjs"), ...args]);

describe("the library", () => {
  const suite = `import { FakeClock, Host, loadFilter, SelvedgeError, type Filter, type FilterOptions } from "selvedge";
const options: FilterOptions = { config: { policies: [] }, clock: new FakeClock(0), workers: 2, clusters: { a: { status: 200 } } };
const filter: Filter = await loadFilter("node_modules/selvedge/dist/authz.wasm", options);
const { status } = await filter.http({ path: "/" });
const failure = await loadFilter("nothing.wasm").catch((error: unknown) => error);
const line: string = [status, filter.metrics.names().length > 0, failure instanceof SelvedgeError && failure.code, new Host().workers.length].join(" ");
// @ts-expect-error: types are there, so a typo is found
void loadFilter("x.wasm", { confg: {} });
// SUITE
`;

  it("runs", () => {
    const plain = suite.replace(/, type \w+/g, "").replace(/const (\w+): \w+/g, "const $1").replace("(error: unknown)", "(error)").replace(/^void.*/m, "").replace("// SUITE", "process.stdout.write(line);");
    write("suite.mjs", plain);
    expect(run(process.execPath, ["suite.mjs"])).toEqual({ code: 0, stdout: "200 true host-file 1", stderr: "" });
  });

  it.each([["nodenext", "nodenext"], ["esnext", "bundler"]])("has types that need nothing else, with module %s and moduleResolution %s", (module, moduleResolution) => {
    write("suite.ts", suite);
    // No library of the browser's, no @types/node, and nothing left unchecked.
    write("tsconfig.json", JSON.stringify({ compilerOptions: { module, moduleResolution, target: "es2022", lib: ["es2022"], types: [], strict: true, skipLibCheck: false, noEmit: true }, files: ["suite.ts"] }));
    expect(run(process.execPath, [join(packageRoot, "node_modules", "typescript", "bin", "tsc"), "-p", "."])).toMatchObject({ code: 0, stdout: "" });
  }, 240_000);
});

describe("the command", () => {
  beforeAll(() => {
    const readme = readFileSync(join(packageRoot, "filters", "sdk", "README.md"), "utf8");
    const source = /```ts\n\/\/ assembly\/index.ts\n([\s\S]*?)```/.exec(readme)![1]!;
    write("filters/keys/assembly/index.ts", source.replace("this.keys.accepted!.increment();", 'this.keys.accepted!.increment();\n    if (request.path == 0) return FilterHeadersStatusValues.Continue;\n    assertNoTrap();').replace("registerRootContext(", '// @ts-ignore: decorator\n@inline\nfunction assertNoTrap(): void {\n  if (request.headers.first(utf8("x-trap")) != ABSENT) unreachable();\n}\n\nregisterRootContext('));
    write("filters/keys/cases/keys.yaml", `filter: keys
config: { header: x-key }
cases:
  - { name: with a key, request: { headers: { x-key: a } }, expect: { status: 200, headers: { greeting: hello } } }
  - { name: without, expect: { status: 401, denied: no_api_key } }
  - { name: traps, request: { headers: { x-key: a, x-trap: b } }, expect: { status: 200 } }
`);
  });

  it("builds a filter of the project that its cases name, counts its lines, and says where it trapped", () => {
    const { code, stdout, stderr } = cli("test", "--coverage");
    expect(stdout, stderr).toContain("2 passed, 1 failed of 3");
    expect(stdout).toMatch(/\(filters\/keys\/assembly\/index\.ts:\d+:\d+\)/);
    expect(stdout).toContain("filters/keys/assembly");
    expect(code).toBe(1);
    // Paths from the project's root, and none of the package's.
    const files = readFileSync(join(project, "coverage", "lcov.info"), "utf8").match(/^SF:.*/gm);
    expect(files).toEqual(["SF:filters/keys/assembly/index.ts"]);
    expect(readFileSync(join(project, "dist", "coverage", "keys.wasm")).length).toBeGreaterThan(1000);
  }, 240_000);

  it("installs nothing and needs no checkout", () => {
    expect(cli("inspect", "node_modules/selvedge/dist/authz.wasm")).toMatchObject({ code: 0, stderr: "" });
  });
});

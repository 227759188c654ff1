import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, rmSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, it } from "vitest";
import { packageRoot } from "../../../harness/build/index.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";

const scratch = temporaryDirectory("test");
afterAll(() => scratch.remove());

let root: string;
let count = 0;

/** A package as it is published: the scripts, a bundle, no sources. */
beforeEach(() => {
  root = join(scratch.path, `${count++}`);
  cpSync(join(packageRoot, "bin"), join(root, "bin"), { recursive: true });
  writeManifest(">=20.19");
  mkdirSync(join(root, "dist"));
  writeFileSync(join(root, "dist/selvedge.mjs"), 'export async function main(argv) { console.log(argv.join(" ")); return argv[0] === "build" ? 0 : 7; }\n');
});

const writeManifest = (node: string): void => writeFileSync(join(root, "package.json"), JSON.stringify({ name: "selvedge", engines: { node } }));

function bin(name: string, args: string[] = [], env: NodeJS.ProcessEnv = {}): { code: number | null; stdout: string; stderr: string } {
  const result = spawnSync(process.execPath, [join(root, "bin", `${name}.mjs`), ...args], { cwd: scratch.path, encoding: "utf8", env: { ...process.env, ...env } });
  return { code: result.status, stdout: result.stdout, stderr: result.stderr };
}

/** An `npm` that only notes what it was asked. */
function fakeNpm(status: number): NodeJS.ProcessEnv {
  const folder = join(root, "fake");
  mkdirSync(folder);
  writeFileSync(join(folder, "npm"), `#!/bin/sh\necho "npm $*"\nmkdir -p node_modules\nexit ${status}\n`, { mode: 0o755 });
  return { PATH: `${folder}:${process.env.PATH}` };
}

describe("a published package", () => {
  it("runs its bundle with the arguments and exit code passed on, and installs nothing", () => {
    expect(bin("selvedge", ["inspect", "a b", "--json"])).toEqual({ code: 7, stdout: "inspect a b --json\n", stderr: "" });
  });

  it("starts the example: a build, then a run with the arguments passed on", () => {
    const { code, stdout } = bin("start", ["--once"]);
    expect(code).toBe(7);
    expect(stdout).toMatch(/^build --out .*dist\nrun .*envoy-configs\/edge --once\n$/);
  });

  it("says when Node is too old", () => {
    writeManifest(">=99.1");
    expect(bin("selvedge")).toEqual({ code: 1, stdout: "", stderr: `selvedge: Node 99.1 or newer is needed, this is ${process.versions.node}: https://nodejs.org/en/download\n` });
  });

  it("says when its bundle is missing", () => {
    rmSync(join(root, "dist"), { recursive: true });
    expect(bin("selvedge").stderr).toContain("selvedge.mjs is missing: install the package again");
  });
});

describe("a checkout", () => {
  const lock = { packages: { "": {}, "node_modules/a": { version: "1.0.0", integrity: "sha512-a" }, "node_modules/b": { version: "1.0.0", optional: true } } };

  beforeEach(() => {
    mkdirSync(join(root, "harness", "cli"), { recursive: true });
    writeFileSync(join(root, "package-lock.json"), JSON.stringify(lock));
    writeFileSync(join(root, "dist/index.mjs"), "");
    const future = new Date(Date.now() + 60_000);
    utimesSync(join(root, "dist/selvedge.mjs"), future, future); // newer than its sources: nothing to bundle
  });

  it("installs what is missing, once, and keeps npm's output off standard output", () => {
    const env = fakeNpm(0);
    const first = bin("selvedge", ["doctor"], env);
    expect(first.stdout).toBe("doctor\n");
    expect(first.stderr).toBe("selvedge: installing packages (npm ci)\nnpm ci --no-audit --no-fund\n");
    expect(bin("selvedge", ["doctor"], env).stderr).toBe("");
    writeFileSync(join(root, "package-lock.json"), JSON.stringify({ ...lock, changed: true }));
    expect(bin("selvedge", ["doctor"], env).stderr).toContain("npm ci");
  });

  it("installs nothing when npm did already, whatever is optional", () => {
    mkdirSync(join(root, "node_modules"));
    const installed = (version: string): void => writeFileSync(join(root, "node_modules/.package-lock.json"), JSON.stringify({ packages: { "node_modules/a": { ...lock.packages["node_modules/a"], version } } }));
    const env = fakeNpm(0);
    installed("1.0.0");
    expect(bin("selvedge", ["doctor"], env).stderr).toBe("");
    rmSync(join(root, "node_modules/.selvedge-lock"));
    installed("0.9.0");
    expect(bin("selvedge", ["doctor"], env).stderr).toContain("npm ci");
  });

  it("stops when npm fails", () => {
    const { code, stdout, stderr } = bin("selvedge", ["doctor"], fakeNpm(5));
    expect([code, stdout]).toEqual([5, ""]);
    expect(stderr).toContain("selvedge: npm ci failed, see above");
  });
});

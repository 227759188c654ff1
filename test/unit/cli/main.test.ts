import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { composeOptions } from "../../../harness/cli/policies.ts";
import { verbs } from "../../../harness/cli/verbs.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";
import { selvedge } from "../../support/cli.ts";
import { compileWat } from "../../support/wat.ts";

const scratch = temporaryDirectory("test");
afterAll(() => scratch.remove());

describe("selvedge", () => {
  it("lists every verb with its summary", async () => {
    const { code, stdout } = await selvedge("--help");
    expect(code).toBe(0);
    for (const { name, summary } of verbs) expect(stdout).toMatch(new RegExp(`^ {2}${name} +${summary}$`, "m"));
    expect(await selvedge()).toEqual({ code: 2, stdout, stderr: "" });
  });

  it("prints its version", async () => {
    const { version } = JSON.parse(readFileSync("package.json", "utf8")) as { version: string };
    expect(await selvedge("--version")).toEqual({ code: 0, stdout: `${version}\n`, stderr: "" });
  });

  it.each(verbs.map(({ name }) => name))("shows the options of %s, in plain text where no terminal reads it", async (name) => {
    const { code, stdout } = await selvedge(name, "--help");
    expect(code).toBe(0);
    for (const option of Object.keys(verbs.find((verb) => verb.name === name)!.args)) expect(stdout.toLowerCase()).toContain(option);
    expect((await selvedge("help", name)).stdout).toBe(stdout);
  });

  it.each([
    [["biuld"], "selvedge has no verb biuld; did you mean build?"],
    [["frobnicate"], "selvedge has no verb frobnicate; there are build, "],
    [["--force", "build"], "the verb comes first: build, "],
    [["build", "--degub"], "`selvedge build` has no option --degub; did you mean --debug?"],
    [["build", "--out"], "--out needs a value"],
    [["build", "--out", "--force"], "--out needs a value"],
    [["build", "-x"], "`selvedge build` has no option -x"],
    [["inspect"], "Missing required positional argument: MODULE"],
    [["inspect", "a.wasm", "b.wasm"], "`selvedge inspect` takes one argument; one too many: b.wasm"],
    [["doctor", "now"], "`selvedge doctor` takes no arguments; one too many: now"],
    [["compose", "policies", "--target", "nginx"], "Invalid value for argument: --target (nginx). Expected one of: envoy, istio, envoy-gateway."],
    [["compose", "policies", "--deny-status", "200"], "--deny-status must be from 400 to 599, not 200"],
    [["compose", "policies", "--trust-domain", "a/b"], '--trust-domain takes names without slashes and spaces, such as cluster.local, not "a/b"'],
    [["compose", "policies", "--trust-domain-aliases", "a,,b"], "--trust-domain-aliases takes names"],
    [["compose", "policies", "--admin-port", "http"], "--admin-port must be a whole number up to 65535, not http"],
  ])("%j is wrong usage: exit code 2", async (argv, message) => {
    const { code, stdout, stderr } = await selvedge(...argv);
    expect({ code, stdout }).toEqual({ code: 2, stdout: "" });
    expect(stderr).toContain(`selvedge: ${message}`);
    expect(stderr).toContain("`selvedge --help` lists the verbs");
  });

  it("hands the options on what denied clients get, and on whom to take for whom, to compose", () => {
    const options = { chain: "fused", modules: "dist" };
    expect(composeOptions({ ...options, "trust-domain-aliases": "old.example,older.example", "deny-status": "404", "deny-body": "no", "log-denials": true, "strict-paths": false })).toEqual({
      moduleDir: "dist", modules: "fused", trustDomainAliases: ["old.example", "older.example"], denial: { status: 404, body: "no" }, logDenials: true, strictPaths: false,
    });
    expect(composeOptions({ ...options, "strict-paths": true })).toEqual({ moduleDir: "dist", modules: "fused" });
  });

  it("reports wrong usage as JSON, too", async () => {
    const { code, stdout, stderr } = await selvedge("build", "--degub", "--json");
    expect([code, stderr]).toEqual([2, ""]);
    expect(JSON.parse(stdout)).toMatchObject({ ok: false, findings: [{ code: "usage", severity: "error" }] });
  });
});

describe("selvedge inspect", () => {
  it("describes a module, and exits with 1 when something is wrong with it", async () => {
    const path = join(scratch.path, "log.wasm");
    writeFileSync(path, await compileWat(`(module (import "env" "proxy_log" (func (param i32 i32 i32) (result i32))) (memory (export "memory") 1)
      (func (export "proxy_abi_version_0_2_1")) (func (export "malloc") (param i32) (result i32) i32.const 0) (func (export "proxy_on_log") (param i32)))`));
    const { code, stdout, stderr } = await selvedge("inspect", path);
    expect([code, stderr]).toEqual([0, ""]);
    expect(stdout).toMatch(/^ABI +proxy_abi_version_0_2_1$/m);
    expect(stdout).toMatch(/^host calls +proxy_log$/m);
    expect(stdout).toMatch(/^sha256 +[0-9a-f]{64}$/m);
    expect(JSON.parse((await selvedge("inspect", path, "--json")).stdout)).toMatchObject({ ok: true, capabilities: ["proxy_log", "proxy_on_log"], findings: [] });

    writeFileSync(path, await compileWat('(module (func (export "add")))'));
    const bad = await selvedge("inspect", path);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain(`${path}: error[proxy-wasm-marker]: this is not a Proxy-Wasm module`);
  });

  it("lists functions by size, with the names that a debug module has", async () => {
    const path = join(scratch.path, "named.wasm");
    writeFileSync(path, await compileWat('(module (func $small) (func $large (export "large") (drop (i32.const 1)) (drop (i32.const 2))))', { names: true }));
    const { stdout } = await selvedge("inspect", path, "--functions");
    expect(stdout).toMatch(/BYTES +OF CODE +FUNCTION\n +8 +[\d.]+ % +large\n +2 +[\d.]+ % +small\n/);
  });

  it.each([["no such file", null, "module-missing"], ["not WebAssembly", "hello", "wasm-not-wasm"]])("says what is wrong with %s", async (_, contents, code) => {
    const path = join(scratch.path, `${code}.wasm`);
    if (contents !== null) writeFileSync(path, contents);
    const result = await selvedge("inspect", path, "--json");
    expect(result.code).toBe(1);
    expect(JSON.parse(result.stdout)).toMatchObject({ ok: false, findings: [{ code }] });
  });
});

describe("selvedge build", () => {
  it("builds a file that it is given, says what came of it, and reports errors with their place", async () => {
    const folder = join(scratch.path, "tiny/assembly");
    mkdirSync(folder, { recursive: true });
    const entry = join(folder, "index.ts");
    writeFileSync(entry, "export function proxy_abi_version_0_2_1(): void {}\n");
    const out = join(scratch.path, "dist");
    const { code, stdout } = await selvedge("build", entry, "--out", out);
    expect(code).toBe(0);
    expect(stdout).toMatch(/tiny\.wasm +\d+ B .* built$/m);
    expect((await selvedge("build", entry, "-o", out)).stdout).toContain("unchanged");

    writeFileSync(entry, "export function broken(): i32 { return nothing; }\n");
    const bad = await selvedge("build", entry, "--out", out);
    expect(bad.code).toBe(1);
    expect(bad.stderr).toContain(`${entry}:1:40: error[AS2304]: Cannot find name 'nothing'.`);
  });

  it("names the filters that there are when asked for another", async () => {
    const { code, stderr } = await selvedge("build", "nonesuch", "--out", scratch.path);
    expect(code).toBe(1);
    expect(stderr).toContain("error[build-filter-unknown]: there is no filter named nonesuch");
  });
});

describe("selvedge doctor", () => {
  it("looks at everything, and fails where the main job can't work", async () => {
    const { code, stdout } = await selvedge("doctor", "--envoy", join(scratch.path, "none"), "--json");
    const { ok, checks } = JSON.parse(stdout) as { ok: boolean; checks: { id: string; status: string; detail: string; fix?: string }[] };
    expect([code, ok]).toEqual([1, false]);
    expect(checks.map(({ id }) => id)).toEqual(expect.arrayContaining(["node", "packages", "python", "envoy", "docker", "ports", "cache"]));
    expect(checks.find(({ id }) => id === "node")!.status).toBe("ok");
    expect(checks.find(({ id }) => id === "envoy")).toMatchObject({ status: "fail", detail: expect.stringContaining("can't be run as Envoy") as string });
  });
});

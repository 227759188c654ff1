import { mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { spawn } from "node:child_process";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeEach, describe, expect, it, onTestFinished } from "vitest";
import { DevelopmentBuilder } from "../../../harness/build/develop.ts";
import { FolderWatcher } from "../../../harness/cases/folders.ts";
import { Rerunner } from "../../../harness/cases/rerun.ts";
import { textReport } from "../../../harness/cases/report.ts";
import { SelvedgeError } from "../../../harness/errors.ts";
import { module } from "../host/support.ts";

const NOTHING = module("");
const root = mkdtempSync(join(tmpdir(), "selvedge-watched-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));
let folder: string;
let n = 0;
beforeEach(() => {
  folder = join(root, String(n++));
  mkdirSync(join(folder, "cases"), { recursive: true });
});

const until = async (holds: () => boolean): Promise<void> => {
  for (let i = 0; i < 1000 && !holds(); i++) await sleep(10);
  expect(holds()).toBe(true);
};

describe("a watch on folders", () => {
  it("sees files that are written, replaced, renamed and deleted, also in folders that come later", async () => {
    const seen = new Set<string>();
    const watcher = new FolderWatcher([folder], (path) => seen.add(path));
    onTestFinished(() => watcher.close());
    const expectChange = async (path: string, change: () => void): Promise<void> => {
      await sleep(20);
      seen.clear();
      change();
      await until(() => seen.has(path));
    };
    const file = join(folder, "cases", "a.yaml");
    await expectChange(file, () => writeFileSync(file, "1"));
    // As vim and others do, twice: what replaced the first must be watched as well.
    for (const text of ["2", "3"]) {
      await expectChange(file, () => {
        writeFileSync(`${file}~`, text);
        renameSync(`${file}~`, file);
      });
    }
    await expectChange(join(folder, "cases", "b.yaml"), () => renameSync(file, join(folder, "cases", "b.yaml")));
    await expectChange(join(folder, "cases", "b.yaml"), () => rmSync(join(folder, "cases", "b.yaml")));
    await expectChange(join(folder, "new"), () => mkdirSync(join(folder, "new")));
    await expectChange(join(folder, "new", "c.ts"), () => writeFileSync(join(folder, "new", "c.ts"), ""));
    rmSync(join(folder, "new"), { recursive: true });
    await expectChange(join(folder, "cases", "d.yaml"), () => writeFileSync(join(folder, "cases", "d.yaml"), ""));
  });
});

describe("running again", () => {
  const cases = (name: string): string => join(folder, "cases", `${name}.yaml`);
  const write = (name: string, status: number): void => writeFileSync(cases(name), `module: ../m.wasm\ncases: [{ name: ${name}, expect: { status: ${status} } }]`);
  const rerunner = (): Rerunner => new Rerunner({ paths: [join(folder, "cases")], engine: "host" }, join(folder, "built"));
  beforeEach(() => {
    writeFileSync(join(folder, "m.wasm"), NOTHING);
    write("a", 200);
    write("b", 200);
  });

  it("runs what changed, and reports everything", async () => {
    const again = rerunner();
    expect(await again.run()).toMatchObject({ ran: 2, changed: true });
    expect(await again.run()).toMatchObject({ ran: 0, changed: false });
    write("a", 201);
    const failed = await again.run();
    expect(failed).toMatchObject({ ran: 1, changed: true });
    expect(textReport(failed.run, false)).toContain("1 passed, 1 failed");
    // What fails goes on being told while something else changes.
    write("b", 202);
    expect(textReport((await again.run()).run, false)).toContain("2 failed");
  });

  it("takes files that come and go, findings and new modules", async () => {
    const again = rerunner();
    await again.run();
    write("c", 200);
    expect(await again.run()).toMatchObject({ ran: 1 });
    rmSync(cases("c"));
    expect(await again.run()).toMatchObject({ ran: 0, changed: true });
    writeFileSync(cases("b"), "cases: [");
    expect((await again.run()).run.findings).toMatchObject([{ code: "yaml-syntax" }]);
    rmSync(join(folder, "m.wasm"));
    expect((await again.run()).run.findings.map(({ code }) => code)).toContain("module-missing");
    writeFileSync(join(folder, "m.wasm"), NOTHING);
    write("b", 200);
    expect(textReport((await again.run()).run, false)).toContain("2 passed");
  });
});

describe("a build for watching", () => {
  it("compiles only what changed, survives errors, and leaves the release's modules alone", async () => {
    const sources = join(folder, "assembly");
    mkdirSync(sources);
    const entry = join(sources, "index.ts");
    const builder = new DevelopmentBuilder(join(folder, "built"));
    writeFileSync(join(sources, "part.ts"), "export const PART = 1;");
    writeFileSync(entry, 'import { PART } from "./part";\nexport function f(): i32 { return PART; }');
    expect(await builder.build({ name: "x", entry })).toMatchObject({ compiled: true });
    expect(await builder.build({ name: "x", entry })).toMatchObject({ compiled: false });
    writeFileSync(join(sources, "part.ts"), "export const PART = nothing;");
    await expect(builder.build({ name: "x", entry })).rejects.toThrow(SelvedgeError);
    writeFileSync(join(sources, "part.ts"), "export const PART = 2;");
    const { path, compiled } = await builder.build({ name: "x", entry });
    expect(compiled).toBe(true);
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(new Uint8Array(readFileSync(path))), {});
    expect((exports.f as () => number)()).toBe(2);
  });
});

it("selvedge test --watch runs again after a change, goes on after a bad one, and leaves nothing behind", async () => {
  const scratch = join(folder, "tmp");
  mkdirSync(scratch);
  writeFileSync(join(folder, "m.wasm"), NOTHING);
  const file = join(folder, "cases", "a.yaml");
  const write = (text: string): void => {
    writeFileSync(`${file}~`, text);
    renameSync(`${file}~`, file);
  };
  write("module: ../m.wasm\ncases: [{ name: a, expect: { status: 200 } }]");
  const child = spawn(process.execPath, ["bin/selvedge.mjs", "test", join(folder, "cases"), "--watch"], { env: { ...process.env, TMPDIR: scratch } });
  onTestFinished(() => void child.kill("SIGKILL"));
  let output = "";
  child.stdout.on("data", (chunk: Buffer) => (output += chunk.toString()));
  const next = async (change: () => void, text: string): Promise<void> => {
    output = "";
    change();
    await until(() => output.includes("Waiting for changes"));
    expect(output).toContain(text);
  };
  await next(() => undefined, "1 passed");
  await next(() => write("module: ../m.wasm\ncases: [{ name: a, expect: { status: 201 } }]"), "1 failed");
  await next(() => write("module: ../m.wasm\ncases: [{ nme: a }]"), "did you mean `name`?");
  await next(() => write("module: ../m.wasm\ncases: [{ name: a, expect: { status: 200 } }]"), "1 passed");
  const code = await new Promise((resolve) => {
    child.on("exit", resolve);
    child.kill("SIGINT");
  });
  expect(code).toBe(0);
  expect(readdirSync(scratch)).toEqual([]);
});

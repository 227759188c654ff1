import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import wabtInit from "wabt";
import { countCases, textReport } from "../../harness/cases/index.ts";
import { testFiles } from "../../harness/cases/session.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../harness/tempdir.ts";

/** Answers by itself when the stream is logged, which is too late: Envoy 1.40 doesn't survive it. */
const REPLIES_LATE = `(module
  (import "env" "proxy_send_local_response" (func $reply (param i32 i32 i32 i32 i32 i32 i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_log") (param i32)
    (drop (call $reply (i32.const 200) (i32.const 0) (i32.const 0) (i32.const 8) (i32.const 4) (i32.const 0) (i32.const 0) (i32.const -1)))))`;

let folder: TemporaryDirectory;
beforeAll(async () => {
  folder = temporaryDirectory("ended");
  const parsed = (await wabtInit()).parseWat("late.wat", REPLIES_LATE);
  writeFileSync(join(folder.path, "late.wasm"), parsed.toBinary({}).buffer);
  parsed.destroy();
  writeFileSync(join(folder.path, "late.yaml"), `module: late.wasm
cases:
  - { name: too late, request: { path: / }, expect: { status: 204 } }
  - { name: the next one, request: { path: /next }, expect: { status: 204 } }
  - { name: another configuration, config: { a: 1 }, expect: { configuration-error: nothing } }
`);
});
afterAll(() => folder.remove());

it("a case in which Envoy itself ends says so, and the next ones have an Envoy of their own", async () => {
  const run = await testFiles({ paths: [join(folder.path, "late.yaml")], engine: "envoy", modules: folder.path });
  const report = textReport(run, false);
  expect(report.split("Envoy itself ended in this case")).toHaveLength(3);
  expect(report).not.toContain("ECONNREFUSED");
  expect(countCases(run)).toMatchObject({ total: 3, failed: 3 });
}, 60_000);

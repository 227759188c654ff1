import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, beforeEach, describe, expect, it, vi } from "vitest";
import { countCases, hostEngine, jsonReport, junitReport, passed, readCases, runCases, textReport, type TestRun } from "../../../harness/cases/index.ts";
import { testFiles } from "../../../harness/cases/session.ts";
import type { TemporaryDirectory } from "../../../harness/tempdir.ts";
import { buildCaller, CALLER_CASES } from "../../support/caller.ts";
import { selvedge } from "../../support/cli.ts";

let modules: TemporaryDirectory;
beforeAll(async () => {
  modules = await buildCaller();
});
afterAll(() => modules.remove());

const run = (cases: string): Promise<TestRun> => runCases([readCases(join(modules.path, "t.yaml"), `filter: caller\n${cases}`, { modules: modules.path })], [hostEngine()]);
const complaints = async (expectation: string, request = "{ path: /both, headers: { x-token: t } }"): Promise<string[]> => {
  const { files, findings } = await run(`clusters: { auth: { headers: { x-user: u } }, audit: {}, directory: { grpc: { messages: ann } } }\ncases:\n  - name: x\n    request: ${request}\n    expect: ${expectation}\n`);
  expect(findings).toEqual([]);
  return files[0]!.cases[0]!.results[0]!.mismatches.map(({ what, expected, got }) => `${what}: ${expected} / ${got}`);
};

it("calls, trailers, HTTP/2, gRPC, pauses and breaks: every case of the fixture passes", async () => {
  const result = await testFiles({ paths: [CALLER_CASES], engine: "host", modules: modules.path });
  expect(passed(result), textReport(result, false)).toBe(true);
  expect(countCases(result).passed).toBeGreaterThan(30);
  expect(textReport(result, false)).toContain("4 cases on envoy only: the host has no parser of its own");
});

describe("expected calls", () => {
  it.each([
    ["{ calls: [] }", "calls: no call / POST /check to auth, POST /seen to audit"],
    ["{ calls: [{ cluster: auth }] }", "calls: a call to auth / POST /check to auth, POST /seen to audit"],
    ["{ calls: [{ cluster: audit }, { cluster: auth }] }", "calls.0.cluster: audit / auth"],
    ["{ calls: [{ method: GET }, { path: /x }] }", "calls.0.method: GET / POST"],
    ["{ calls: [{ headers: { x-token: u } }, {}] }", "calls.0.headers.x-token: u / t"],
    ["{ calls: [{ headers: { x-token: null } }, {}] }", "calls.0.headers.x-token: absent / t"],
    ["{ calls: [{ body: x }, {}] }", "calls.0.body: x / asked"],
    ["{ calls: [{ body-contains: x }, {}] }", "calls.0.body-contains: x / asked"],
    ["{ calls: [{ trailers: { a: b } }, {}] }", "calls.0.trailers.a: b / absent"],
    ["{ calls: [{ rpc: a.B/C }, {}] }", "calls.0.rpc: a.B/C / POST /check to auth"],
    ["{ calls: [{ count: 3 }] }", "calls: a call, a call, a call / POST /check to auth, POST /seen to audit"],
    ["{ calls: { any-order: [{ cluster: audit }, { cluster: other }] } }", "calls.any-order.1: a call to other / no such call; the others: POST /check to auth"],
    ["{ calls: { any-order: [{ cluster: audit }] } }", "calls.any-order: no other call / POST /check to auth"],
  ])("%s that don't come are reported", async (expectation, message) => {
    expect(await complaints(expectation)).toContain(message);
  });

  it("in gRPC are held against each message", async () => {
    const find = "{ path: /find }";
    expect(await complaints("{ calls: [{ messages: whom }] }", find)).toEqual(['calls.0.messages: ["whom"] / ["who"]']);
    expect(await complaints("{ calls: [{ rpc: test.Users/Lose }] }", find)).toEqual(["calls.0.rpc: test.Users/Lose / test.Users/Find"]);
    expect(await complaints('{ calls: [{ messages: { hex: "77686f" } }] }', find)).toEqual([]);
  });
});

describe("the answer", () => {
  it.each([
    ["{ trailers: { x-a: b } }", "{}", "trailers.x-a: b / absent"],
    ["{ complete: false }", "{}", "complete: false / the whole answer"],
    ["{ grpc: { status: 0 } }", "{}", "grpc.status: 0 / no grpc-status"],
    ["{ upstream: { trailers: { x-t: b } } }", "{ trailers: { x-t: a } }", "upstream.trailers.x-t: b / a"],
    ["{ upstream: { messages: b } }", "{ grpc: a }", 'upstream.messages: ["b"] / ["a"]'],
    ["{ upstream: { messages: b } }", "{ body: a }", `upstream.messages: ["b"] / a body that isn't gRPC: a`],
    ["{ complete: true }", "{ body: [a, { wait: 20ms }, b], abort: 5ms }", "complete: true / no answer"],
  ])("without what %s expects is reported", async (expectation, request, message) => {
    expect(await complaints(expectation, request)).toEqual([message]);
  });
});

describe("snapshots", () => {
  let folder: string;
  const cases = (): string => join(folder, "cases", "s.yaml");
  const stored = (): string => join(folder, "cases", "s.snapshot.yaml");
  const write = (body: string, name = "a"): void => writeFileSync(cases(), `filter: caller\ncases:\n  - name: ${name}\n    upstream: { body: ${body} }\n    expect: { snapshot: [response] }\n`);
  const test = (update = false): Promise<TestRun> => testFiles({ paths: [folder], engine: "host", modules: modules.path, updateSnapshots: update });
  beforeEach(() => {
    vi.stubEnv("CI", "");
    folder = join(modules.path, "snapshots");
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(join(folder, "cases"), { recursive: true });
    write("one");
    return () => vi.unstubAllEnvs();
  });

  it("are written the first time, and hold from then on", async () => {
    expect((await test()).snapshots).toEqual({ written: 1, updated: 0, removed: 0 });
    expect(readFileSync(stored(), "utf8")).toContain("body: one");
    const again = await test();
    expect([passed(again), again.snapshots.written]).toEqual([true, 0]);
  });

  it("that differ are shown line by line, and updated when asked", async () => {
    await test();
    write("two");
    const result = await test();
    expect(passed(result)).toBe(false);
    expect(textReport(result, false)).toMatch(/- +body: one|- body: one/);
    expect(textReport(result, false)).toMatch(/\+ +body: two|\+ body: two/);
    expect(junitReport(result)).toContain("body: two");
    expect(jsonReport(result)).toMatchObject({ files: [{ cases: [{ results: [{ mismatches: [{ what: "snapshot", diff: expect.stringContaining("body: two") as string }] }] }] }] });
    expect((await test(true)).snapshots.updated).toBe(1);
    expect(passed(await test())).toBe(true);
  });

  it("that are missing are a failure in CI, and nothing is written", async () => {
    vi.stubEnv("CI", "true");
    const result = await test();
    expect(passed(result)).toBe(false);
    expect(textReport(result, false)).toContain("none stored, and in CI none is written");
    expect(existsSync(stored())).toBe(false);
  });

  it("that no case asks for are named, and removed when asked", async () => {
    await test();
    write("one", "b");
    expect(textReport(await test(), false)).toContain('no case asks for the snapshot "a"');
    expect((await test(true)).snapshots).toEqual({ written: 0, updated: 0, removed: 1 });
    expect(readFileSync(stored(), "utf8")).not.toContain("a:");
    cpSync(stored(), join(folder, "cases", "gone.snapshot.yaml"));
    expect((await test()).findings).toMatchObject([{ code: "snapshot-obsolete", severity: "warning", where: { file: expect.stringContaining("gone.snapshot.yaml") as string } }]);
  });

  it("that aren't any are a finding", async () => {
    writeFileSync(stored(), "- a");
    expect((await test()).findings).toMatchObject([{ code: "snapshot-unreadable" }]);
  });

  it("leave out what differs from run to run", async () => {
    writeFileSync(cases(), "filter: caller\ncases:\n  - name: a\n    upstream: { headers: { date: x, x-at: \"2026-01-02T03:04:05.678Z\", x-request-id: r }, body: \"took 5 ms, id 5F0C0B5E-8a5e-4a8e-9c53-0f3e6f1f9f4e\" }\n    expect: { snapshot: { mask: ['took (\\d+) ms'] } }\n");
    await test();
    const text = readFileSync(stored(), "utf8");
    expect(text).toContain("body: took <…> ms, id <uuid>");
    expect(text).toContain("x-at: <time>");
    expect(text).toContain("x-request-id: <…>");
    expect(text).not.toContain("date:");
  });

  it("have an option of the command", async () => {
    await test();
    write("two");
    expect((await selvedge("test", folder, "--modules", modules.path)).code).toBe(1);
    expect((await selvedge("test", folder, "--modules", modules.path, "--update-snapshots")).code).toBe(0);
  });
});

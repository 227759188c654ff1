import { spawn } from "node:child_process";
import { existsSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../../harness/build/index.ts";
import { cleanup, onCleanup } from "../../../harness/cleanup.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";

const scratch = temporaryDirectory("test");
const program = join(scratch.path, "program.mjs");
const trace = join(scratch.path, "trace");

/** A process that holds two things and then does what its argument says. */
const SOURCE = `
  import { appendFileSync } from "node:fs";
  import { onCleanup, untilInterrupted } from ${JSON.stringify(join(packageRoot, "harness/cleanup.ts"))};
  import { temporaryDirectory } from ${JSON.stringify(join(packageRoot, "harness/tempdir.ts"))};
  const [, , trace, ending] = process.argv;
  const note = (text) => appendFileSync(trace, text + "\\n");
  note(temporaryDirectory("held").path);
  onCleanup({ name: "first", run: () => note("first orderly"), now: () => note("first now") });
  onCleanup({ name: "second", run: async () => { await new Promise((done) => setTimeout(done, 20)); note("second orderly"); }, now: () => note("second now") });
  if (ending === "throw") throw new Error("uncaught");
  if (ending === "exit") process.exit(3);
  console.log("ready");
  if (ending === "stay") { note(await untilInterrupted()); process.exit(0); }
  if (ending === "stuck") onCleanup({ name: "stuck", run: () => new Promise(() => {}), now: () => note("stuck now") });
  setInterval(() => {}, 1000);
`;

beforeAll(() => {
  writeFileSync(join(scratch.path, "program.ts"), SOURCE);
  buildSync({ entryPoints: [join(scratch.path, "program.ts")], outfile: program, bundle: true, platform: "node", format: "esm", packages: "external", logLevel: "error" });
});
afterAll(() => scratch.remove());

/** Runs it, sends signals one after another, and returns its exit code and what it noted after its directory's path. */
async function end(ending: string, ...signals: NodeJS.Signals[]): Promise<{ code: number | null; notes: string[]; held: string }> {
  rmSync(trace, { force: true });
  const child = spawn(process.execPath, [program, trace, ending], { stdio: ["ignore", "pipe", "ignore"] });
  const exited = new Promise<number | null>((resolve) => child.once("exit", resolve));
  if (signals.length) await new Promise((resolve) => child.stdout.once("data", resolve));
  for (const signal of signals) {
    child.kill(signal);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const code = await exited;
  const [held = "", ...notes] = readFileSync(trace, "utf8").trim().split("\n");
  return { code, notes, held };
}

describe("cleanup", () => {
  it.each([["SIGINT", 130], ["SIGTERM", 143], ["SIGHUP", 129]] as const)("releases in order, latest first, on %s", async (signal, exitCode) => {
    const { code, notes, held } = await end("wait", signal);
    expect({ code, notes, held: existsSync(held) }).toEqual({ code: exitCode, notes: ["second orderly", "first orderly"], held: false });
  });

  it.each([["throw", 1], ["exit", 3]] as const)("releases at once when the process ends by %s", async (ending, exitCode) => {
    const { code, notes, held } = await end(ending);
    expect({ code, notes, held: existsSync(held) }).toEqual({ code: exitCode, notes: ["second now", "first now"], held: false });
  });

  it("doesn't wait on a second signal for what is stuck", async () => {
    const { code, notes } = await end("stuck", "SIGINT", "SIGINT");
    expect({ code, notes }).toEqual({ code: 130, notes: ["stuck now", "second now", "first now"] });
  });

  it("lets a program take the first signal as its normal end", async () => {
    const { code, notes } = await end("stay", "SIGINT");
    expect({ code, notes }).toEqual({ code: 0, notes: ["SIGINT", "second now", "first now"] });
  });

  it("goes on when one release fails, and forgets what was taken back", async () => {
    const notes: string[] = [];
    onCleanup({ name: "a", run: () => void notes.push("a"), now: () => undefined });
    onCleanup({ name: "b", run: () => Promise.reject(new Error("no")), now: () => void notes.push("b now") });
    onCleanup({ name: "c", run: () => void notes.push("c"), now: () => undefined })();
    await cleanup();
    expect(notes).toEqual(["b now", "a"]);
  });
});

import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { buildFilter } from "../../harness/build/index.ts";
import { hostEngine, readCases, runCases, textReport, type Engine } from "../../harness/cases/index.ts";
import { envoyEngine } from "../../harness/cases/engines/envoy.ts";
import { findEnvoy, startEnvoy, validateConfig, watchTraps, modulesIn } from "../../harness/envoy/index.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../harness/tempdir.ts";
import { main } from "../../harness/cli/main.ts";
import { trapsBootstrap } from "./fixtures/traps/bootstrap.ts";

const WAYS = "test/envoy/fixtures/traps/assembly/ways.ts";
const INDEX = "test/envoy/fixtures/traps/assembly/index.ts";

/** Where in the source a marked line is: the fixture may be edited. */
const lineOf = (file: string, text: string): number => readFileSync(file, "utf8").split("\n").findIndex((line) => line.includes(text)) + 1;

/** What both engines must say: request (or configuration) → reason, and the innermost frames. */
const TABLE: { what: string; path?: string; config?: string; callback: string; reason: string; frames: [name: string, file: string, line: string][] }[] = [
  { what: "deep in calls", path: "/unreachable", callback: "proxy_on_request_headers", reason: "unreachable", frames: [["deep", WAYS, "  unreachable();"], ["deep", WAYS, "deep(levels - 1)"], ["deep", WAYS, "deep(levels - 1)"], ["deep", WAYS, "deep(levels - 1)"], ["Traps#onRequestHeaders", INDEX, "deep(3)"]] },
  { what: "out of bounds", path: "/bounds", callback: "proxy_on_request_headers", reason: "memory access out of bounds", frames: [["beyond", WAYS, "store<u64>"]] },
  { what: "division by zero", path: "/divide", callback: "proxy_on_request_headers", reason: "divide by zero", frames: [["divide", WAYS, "7 / (by - by)"]] },
  { what: "throw", path: "/abort", callback: "proxy_on_request_headers", reason: "unreachable", frames: [["selvedgeAbort", "filters/sdk/assembly/abi/abort.ts", "  unreachable();"], ["stop", WAYS, "throw new Error"], ["Traps#onRequestHeaders", INDEX, 'stop("on purpose")']] },
  { what: "throw while configured", config: "broken", callback: "proxy_on_configure", reason: "unreachable", frames: [["selvedgeAbort", "filters/sdk/assembly/abi/abort.ts", "  unreachable();"], ["stop", WAYS, "throw new Error"], ["TrapsRoot#onConfigure", INDEX, "stop(toString("]] },
];

let scratch: TemporaryDirectory;
beforeAll(async () => {
  scratch = temporaryDirectory("traps");
  // A release build: a source map, and no function names.
  await buildFilter({ entry: INDEX, name: "traps", outDir: scratch.path });
});
afterAll(() => scratch.remove());

const engines: Record<string, () => Promise<Engine>> = { host: () => Promise.resolve(hostEngine()), Envoy: async () => envoyEngine(await findEnvoy()) };

describe.each(Object.keys(engines))("a trap on %s", (name) => {
  it.each(TABLE)("is told by its source: $what", async ({ path = "/", config, callback, reason, frames }) => {
    const text = `module: traps.wasm\nroot-id: traps\ncases:\n  - { name: t, ${config === undefined ? "" : `config: ${config}, `}request: { path: ${path} }, expect: { status: 200 } }\n`;
    const run = await runCases([readCases(join(scratch.path, "t.yaml"), text)], [await engines[name]!()]);
    const result = run.files[0]!.cases[0]!.results[0]!;
    expect(result.outcome).toBe("failed");
    const lines = result.trap!.split("\n");
    expect(lines[0]).toBe(`Function: ${callback} failed: Uncaught RuntimeError: ${reason}`);
    frames.forEach(([fn, file, line], index) => expect(lines[index + 2]).toMatch(new RegExp(`- ${fn} \\((near )?${file}:${lineOf(file, line)}:\\d+\\)$`)));
    expect(textReport(run, false)).toContain(lines[2]);
  });
});

describe("Envoy's log", () => {
  it("is told as it comes, and can be read later", async () => {
    const path = join(scratch.path, "traps.wasm");
    const envoy = await startEnvoy({ envoy: await findEnvoy(), config: trapsBootstrap(path), concurrency: 1 });
    const told: string[] = [];
    const stop = watchTraps(envoy, modulesIn(trapsBootstrap(path)), (text) => told.push(text));
    try {
      await fetch(`http://127.0.0.1:${await envoy.port("test")}/divide`);
      await envoy.waitForLog(/in-VM backtrace/);
    } finally {
      await envoy.stop();
      stop();
    }
    const place = `divide (${WAYS}:${lineOf(WAYS, "7 / (by - by)")}:`;
    expect(told).toEqual([expect.stringContaining(place)]);
    // Envoy itself has no names.
    expect(envoy.log()).toMatch(/0: {2}0x[0-9a-f]+ - unknown\(function index:\d+\)/);

    const log = join(scratch.path, "envoy.log");
    writeFileSync(log, envoy.log());
    const printed = await output(() => main(["inspect", path, "--symbolize", log]));
    expect(printed).toContain(place);
    expect(printed.split("\n").length).toBe(envoy.log().trimEnd().split("\n").length + 1);
    const [, offset] = /0: {2}(0x[0-9a-f]+)/.exec(envoy.log())!;
    expect(await output(() => main(["inspect", path, "--offset", offset!]))).toContain(place);
  });

  it("explains a plugin that traps while it is configured", async () => {
    const [finding] = await validateConfig(trapsBootstrap(join(scratch.path, "traps.wasm"), "broken"), { envoy: await findEnvoy() });
    expect(finding).toMatchObject({ code: "envoy-wasm-refused", message: "plugin traps doesn't load: it trapped" });
    expect(finding!.found).toContain(`- stop (near ${WAYS}:${lineOf(WAYS, "throw new Error")}:`);
  });
});

async function output(work: () => Promise<number>): Promise<string> {
  const write = process.stdout.write.bind(process.stdout);
  let text = "";
  process.stdout.write = ((chunk: string) => Boolean((text += chunk))) as typeof process.stdout.write;
  try {
    expect(await work()).toBe(0);
  } finally {
    process.stdout.write = write;
  }
  return text;
}

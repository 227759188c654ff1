import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { countCases, passed, textReport } from "../../harness/cases/index.ts";
import { testFiles } from "../../harness/cases/session.ts";
import { findEnvoy, type EnvoyBinary } from "../../harness/envoy/index.ts";
import { temporaryDirectory, type TemporaryDirectory } from "../../harness/tempdir.ts";
import { runOnEnvoy } from "../conformance/on-envoy.ts";
import { runOnHost } from "../conformance/on-host.ts";
import type { Observations } from "../conformance/scenario.ts";
import { additional, expected, scenario } from "./program.ts";
import { buildPublished, PUBLISHED } from "./published.ts";
import { sources } from "./commands.ts";
import { findTinygo, removeTinygo } from "./tinygo.ts";
import { toolchains } from "./toolchains.ts";

/** Modules that are not of this project's making: built here from Rust, Go, TinyGo and C++, run on the Node host and in Envoy. */
const envoy: EnvoyBinary | undefined = await findEnvoy({ containers: false }).catch(() => undefined);

const sorted = (observations: Observations): Record<string, string[]> => Object.fromEntries([...observations].sort(([a], [b]) => (a < b ? -1 : 1)));

const compiler = findTinygo();
const all = toolchains(compiler);
afterAll(removeTinygo);
for (const { language, missing } of all) if (missing !== undefined) process.stdout.write(`skipped modules from ${language}: ${missing}\n`);

test.runIf(process.env.SELVEDGE_ALL_SUITES === "1")("this machine has a compiler that makes such modules", () => {
  expect(all.filter(({ missing }) => missing === undefined)).not.toEqual([]);
});

for (const toolchain of all) {
  const { language, missing } = toolchain;
  describe.skipIf(missing !== undefined)(`a module from ${language}`, () => {
    const run = scenario(language);
    let modules: Map<string, Uint8Array>;
    let onHost: Map<string, Observations>;

    beforeAll(async () => {
      const directory = temporaryDirectory(`foreign-${language}`);
      try {
        modules = new Map([[language, await toolchain.build(directory.path)]]);
      } finally {
        directory.remove();
      }
      onHost = await runOnHost([run], modules);
    });

    test("does on the host what it was written to do", () => {
      expect(sorted(onHost.get(language)!)).toEqual({ ...expected, ...additional[language] });
    });

    test.skipIf(envoy === undefined)("does the same in Envoy", async () => {
      const onEnvoy = await runOnEnvoy(envoy!, [run], modules, onHost);
      expect(sorted(onEnvoy.get(language)!)).toEqual({ ...expected, ...additional[language] });
    });
  });
}

describe.skipIf(compiler.missing !== undefined)("filters that others published", () => {
  let modules: TemporaryDirectory;
  beforeAll(async () => {
    modules = temporaryDirectory("published");
    await buildPublished(compiler, modules.path);
  });
  afterAll(() => modules.remove());

  const cases = (): string[] => PUBLISHED.map((name) => join(sources("published"), `${name}.yaml`));

  test("do on the host what their cases say", async () => {
    const result = await testFiles({ paths: cases(), engine: "host", modules: modules.path });
    expect(passed(result), textReport(result, false)).toBe(true);
  });

  test.skipIf(envoy === undefined)("do the same in Envoy", async () => {
    const result = await testFiles({ paths: cases(), engine: "both", envoy: envoy!.path, modules: modules.path });
    expect(passed(result), textReport(result, false)).toBe(true);
    expect(countCases(result)).toMatchObject({ failed: 0, differences: 0, skipped: 0 });
  });
});

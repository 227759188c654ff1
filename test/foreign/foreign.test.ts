import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findEnvoy, type EnvoyBinary } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { runOnEnvoy } from "../conformance/on-envoy.ts";
import { runOnHost } from "../conformance/on-host.ts";
import type { Observations } from "../conformance/scenario.ts";
import { additional, expected, scenario } from "./program.ts";
import { removeTinygo } from "./tinygo.ts";
import { toolchains } from "./toolchains.ts";

/** Modules that are not of this project's making: built here from Rust, Go, TinyGo and C++, run on the Node host and in Envoy. */
const envoy: EnvoyBinary | undefined = await findEnvoy({ containers: false }).catch(() => undefined);

const sorted = (observations: Observations): Record<string, string[]> => Object.fromEntries([...observations].sort(([a], [b]) => (a < b ? -1 : 1)));

const all = toolchains();
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

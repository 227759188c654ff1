import { writeFileSync } from "node:fs";
import { beforeAll, describe, expect, test } from "vitest";
import { findEnvoy, type EnvoyBinary } from "../../harness/envoy/index.ts";
import { compileProbes } from "./wat.ts";
import { runOnEnvoy } from "./on-envoy.ts";
import { runOnHost } from "./on-host.ts";
import type { Observations, Scenario } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";

const selected = process.env.CONFORMANCE_ONLY ? scenarios.filter((scenario) => process.env.CONFORMANCE_ONLY!.split(",").includes(scenario.id)) : scenarios;
const modules = await compileProbes([...new Set(selected.map((scenario) => scenario.probe ?? scenario.id))]);
const onHost = await runOnHost(selected, modules);

let reason = "";
const envoy: EnvoyBinary | undefined = await findEnvoy({ containers: false }).catch((error: Error) => {
  reason = error.message.split("\n")[0]!;
  return undefined;
});

/** A name that ends in "~" has a value that differs from run to run: only its status is compared. */
const comparable = (name: string, values: readonly string[]): string[] => (name.endsWith("~") ? values.map((value) => value.split("|")[0]!) : [...values]);

function differs(host: Observations, other: Observations): boolean {
  const names = new Set([...host.keys(), ...other.keys()]);
  return [...names].some((name) => JSON.stringify(comparable(name, host.get(name) ?? [])) !== JSON.stringify(comparable(name, other.get(name) ?? [])));
}

describe.skipIf(envoy === undefined)(`host and Envoy agree${envoy === undefined ? ` (skipped: ${reason})` : ""}`, () => {
  let onEnvoy: Map<string, Observations>;
  beforeAll(async () => {
    onEnvoy = await runOnEnvoy(envoy!, selected, modules, onHost);
    // A busy machine joins chunks and delays ticks: what differs is run again, with less beside it. A real difference stays.
    // Scenarios that share a VM see each other, so they are run again together.
    const vm = (scenario: Scenario): string => scenario.sharesVmWith ?? scenario.id;
    for (let repeat = 0; repeat < 3; repeat++) {
      const doubtful = new Set(selected.filter((scenario) => differs(onHost.get(scenario.id)!, onEnvoy.get(scenario.id)!)).map(vm));
      if (doubtful.size === 0) break;
      for (const [id, seen] of await runOnEnvoy(envoy!, selected.filter((scenario) => doubtful.has(vm(scenario))), modules, onHost)) onEnvoy.set(id, seen);
    }
    // For whoever looks into a difference: everything that both saw.
    const plain = (all: Map<string, Observations>) => Object.fromEntries([...all].map(([id, seen]) => [id, Object.fromEntries(seen)]));
    if (process.env.CONFORMANCE_DUMP) writeFileSync(process.env.CONFORMANCE_DUMP, JSON.stringify({ host: plain(onHost), envoy: plain(onEnvoy) }, null, 1));
  }, 120_000);

  for (const scenario of selected) {
    describe(scenario.id, () => {
      const host = onHost.get(scenario.id)!;
      for (const name of [...host.keys()].sort()) {
        test(name, () => {
          expect(comparable(name, host.get(name)!)).toEqual(comparable(name, onEnvoy.get(scenario.id)!.get(name) ?? []));
        });
      }
      test("nothing more was seen in Envoy", () => {
        expect([...onEnvoy.get(scenario.id)!.keys()].filter((name) => !host.has(name))).toEqual([]);
      });
    });
  }
});

import { beforeAll, describe, expect, test } from "vitest";
import { findEnvoy, type EnvoyBinary } from "../../harness/envoy/index.ts";
import { runOnEnvoy } from "./on-envoy.ts";
import { runOnHost } from "./on-host.ts";
import type { Observations } from "./scenario.ts";
import { scenarios } from "./scenarios.ts";
import { compileProbes } from "./wat.ts";

/** Scenarios whose outcome depends on how many threads there are: shared counts, queues, ticks of every thread. */
const selected = scenarios.filter(({ id }) => ["shared", "misc"].includes(id));
const WORKERS = 3;
const envoy: EnvoyBinary | undefined = await findEnvoy({ containers: false }).catch(() => undefined);

/** Threads take turns as they like: what was seen how often counts, not in which order. */
const unordered = (observations: Observations): Record<string, string[]> => Object.fromEntries([...observations].map(([name, values]) => [name, [...values].sort()] as const).sort(([a], [b]) => (a < b ? -1 : 1)));

describe.skipIf(envoy === undefined)(`host and Envoy agree with ${WORKERS} workers`, () => {
  let onHost: Map<string, Observations>;
  let onEnvoy: Map<string, Observations>;
  beforeAll(async () => {
    const modules = await compileProbes(selected.map(({ id, probe }) => probe ?? id));
    onHost = await runOnHost(selected, modules, WORKERS);
    onEnvoy = await runOnEnvoy(envoy!, selected, modules, onHost, WORKERS);
  }, 60_000);

  for (const { id } of selected) test(id, () => expect(unordered(onHost.get(id)!)).toEqual(unordered(onEnvoy.get(id)!)));
});

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

/** The thread that serves the request and the one that owns the queue read it at the same time: who gets which item is chance. */
const RACING = ["dequeue", "ready.item"];

/** Threads take turns as they like: what was seen how often counts, not in which order. */
function unordered(observations: Observations): Record<string, string[]> {
  const all = new Map<string, string[]>();
  for (const [name, values] of observations) {
    const key = RACING.includes(name) ? RACING.join(" or ") : name;
    all.set(key, [...(all.get(key) ?? []), ...values].sort());
  }
  return Object.fromEntries([...all].sort(([a], [b]) => (a < b ? -1 : 1)));
}

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

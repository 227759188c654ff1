import { bytes, table } from "../../harness/cli/output.ts";
import { fail } from "../../harness/errors.ts";
import { startEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { makeCertificates } from "./certificates.ts";
import { benchBootstrap } from "./envoy-config.ts";
import { Load } from "./load.ts";
import { sampleMemory, type MemorySample } from "./memory.ts";
import { pluginFilter, type FilterName, type Modules } from "./modules.ts";
import { configOf } from "./plugins.ts";
import { requestsOf } from "./requests.ts";
import { slope } from "./statistics.ts";

export interface SoakSample extends MemorySample {
  /** Since the load began. */
  seconds: number;
  requests: number;
}

export interface Growth {
  first: number;
  last: number;
  /** Bytes per minute, of a line through all samples. */
  perMinute: number;
}

export interface SoakResult {
  filter: FilterName;
  seconds: number;
  requests: number;
  /** Where growth begins to count: after a minute, or the first tenth of a shorter run. */
  settledAt: number;
  growth: { wasm: Growth | null; rss: Growth; allocated: Growth };
  samples: SoakSample[];
}

export interface SoakOptions {
  envoyPath: string;
  modules: Modules;
  filter: FilterName;
  seconds: number;
  progress?: (message: string) => void;
}

const SAMPLE_SECONDS = 5;
const SETTLING_SECONDS = 60;
const BURST = 2_048;
const USERS = 512;

/** Load on one filter for some time: what becomes of its memory. */
export async function soak({ envoyPath, modules, filter, seconds, progress }: SoakOptions): Promise<SoakResult> {
  const module = modules.filters[filter] ?? fail("bench-module-missing", `the soak test needs ${filter}.wasm`, { found: modules.missing.find(({ name }) => name === filter)?.reason });
  const directory = temporaryDirectory("bench");
  try {
    const certificates = await makeCertificates(directory.path);
    const filters = [pluginFilter(module, "soak", configOf(filter))];
    const envoy = await startEnvoy({ config: benchBootstrap({ listeners: [{ name: "soak", filters, routing: "arms" }], directory: directory.path }), envoy: { path: envoyPath }, concurrency: 1, logLevel: "error" });
    let load: Load | null = null;
    try {
      load = await Load.connect({ name: "soak", port: await envoy.port("soak"), certificates, requests: requestsOf(USERS) });
      const samples: SoakSample[] = [];
      const began = performance.now();
      const elapsed = (): number => (performance.now() - began) / 1000;
      for (let requests = 0, next = 0; (samples.at(-1)?.seconds ?? 0) < seconds; requests += BURST) {
        await load.send(BURST);
        if (elapsed() < Math.min(next, seconds)) continue;
        next = elapsed() + SAMPLE_SECONDS;
        const sample = { seconds: elapsed(), requests: requests + BURST, ...(await sampleMemory(envoy)) };
        samples.push(sample);
        progress?.(`${sample.seconds.toFixed(0)} s, ${sample.requests.toLocaleString("en")} requests, RSS ${bytes(sample.rss)}, wasm ${sample.wasm === null ? "unknown" : bytes(sample.wasm)}`);
      }
      return summarizeSoak(filter, samples);
    } finally {
      load?.close();
      await envoy.stop();
    }
  } finally {
    directory.remove();
  }
}

export function summarizeSoak(filter: FilterName, samples: readonly SoakSample[]): SoakResult {
  const last = samples.at(-1);
  if (!last) return fail("bench-soak-short", "the soak test ended before its first sample", { fix: "give it at least a few seconds" });
  const from = Math.min(SETTLING_SECONDS, last.seconds / 10);
  const settled = samples.filter((sample) => sample.seconds >= from);
  const growth = (key: "rss" | "allocated" | "wasm"): Growth => {
    const points = settled.map((sample) => ({ seconds: sample.seconds, value: sample[key] ?? 0 }));
    return { first: points[0]!.value, last: points.at(-1)!.value, perMinute: slope(points) * 60 };
  };
  const wasm = settled.every((sample) => sample.wasm !== null) ? growth("wasm") : null;
  return { filter, seconds: last.seconds, requests: last.requests, settledAt: from, growth: { wasm, rss: growth("rss"), allocated: growth("allocated") }, samples: [...samples] };
}

export function formatSoak({ filter, seconds, requests, settledAt, growth }: SoakResult): string {
  const row = (name: string, value: Growth | null): string[] =>
    value === null ? [name, "unknown", "", "", ""] : [name, bytes(value.first), bytes(value.last), bytes(Math.abs(value.last - value.first)), `${value.perMinute < 0 ? "-" : "+"}${bytes(Math.abs(Math.round(value.perMinute)))}`];
  const verdict = growth.wasm === null ? "wasm memory couldn't be told apart" : growth.wasm.last > growth.wasm.first ? "falls short: wasm memory grew" : "pass: wasm memory didn't grow";
  return [
    `${filter}.wasm under load for ${seconds.toFixed(0)} s, ${requests.toLocaleString("en")} requests; growth from ${settledAt.toFixed(0)} s on`,
    table(["", "FROM", "TO", "CHANGE", "A MINUTE"], [row("wasm linear memory", growth.wasm), row("resident set", growth.rss), row("Envoy's heap", growth.allocated)], [1, 2, 3, 4]),
    verdict,
  ].join("\n\n");
}

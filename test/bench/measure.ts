import { startEnvoy, type RunningEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { makeCertificates, type BenchCertificates } from "./certificates.ts";
import { cpuNanoseconds, cpuSource, type CpuSource } from "./cpu.ts";
import { benchBootstrap, CANARY, clusterName, STABLE, upstreamBootstrap } from "./envoy-config.ts";
import { Load } from "./load.ts";
import { probe } from "./probe.ts";
import { CALLER, FORBIDDEN_PATH, PATH, requestsOf } from "./requests.ts";
import { median, shuffle } from "./statistics.ts";
import type { Variant } from "./variants.ts";

export interface Measurement {
  /** Variant → CPU µs per request of the whole Envoy process, one value per round. */
  costs: Map<string, number[]>;
  source: CpuSource;
  /** Variant → share of its requests that went to the canary's backend, where there are backends. */
  canaryShares: Map<string, number>;
}

export interface MeasureOptions {
  envoyPath: string;
  variants: readonly Variant[];
  rounds: number;
  progress?: (message: string) => void;
}

const USERS = 64;
/** What one window should cost Envoy. Short windows and many rounds get along best with a busy machine. */
const WINDOW_US = 25_000;
const WARM_UP_US = 150_000;
/** Two connections' batches: a multiple of it leaves no batch half full. */
const UNIT = 64;
/** Everything is compared with a baseline, so its own noise matters most. */
const BASELINE_REPEATS = 3;

/** Measures all variants on one Envoy with one worker, round by round, each round in another order. */
export async function measure(options: MeasureOptions): Promise<Measurement> {
  const present = options.variants.filter((variant) => variant.listener);
  const directory = temporaryDirectory("bench");
  const started: RunningEnvoy[] = [];
  const lanes: Lane[] = [];
  const start = async (config: Parameters<typeof startEnvoy>[0]["config"]): Promise<RunningEnvoy> => {
    const envoy = await startEnvoy({ config, envoy: { path: options.envoyPath }, concurrency: 1, logLevel: "error", readyTimeoutMs: 120_000 });
    started.push(envoy);
    return envoy;
  };
  try {
    const certificates = await makeCertificates(directory.path);
    const listeners = present.map((variant) => variant.listener!);
    const needsUpstream = listeners.some(({ routing }) => routing !== "direct" && routing !== "arms");
    const upstreamPort = needsUpstream ? await (await start(upstreamBootstrap())).port("upstream") : undefined;
    options.progress?.(`starting Envoy with ${listeners.length} listeners`);
    const envoy = await start(benchBootstrap({ listeners, directory: directory.path, upstreamPort }));
    const ports = new Map((await envoy.admin.listeners()).map(({ name, port }) => [name, port]));
    options.progress?.("warming up");
    for (const variant of present) lanes.push(await openLane(variant, ports.get(variant.id)!, certificates, envoy.pid));
    const costs = await runRounds(lanes, envoy.pid, options);
    for (const { variant, port } of lanes) await checkAnswers(variant, port, certificates);
    return { costs, source: cpuSource(), canaryShares: await canaryShares(envoy, present) };
  } finally {
    for (const { load } of lanes) load.close();
    for (const envoy of started) await envoy.stop();
    directory.remove();
  }
}

interface Lane {
  variant: Variant;
  port: number;
  load: Load;
  /** Requests in one window. */
  window: number;
}

/** Connects, checks that the variant does what it should, warms it up and finds out how many requests make a window. */
async function openLane(variant: Variant, port: number, certificates: BenchCertificates, pid: number): Promise<Lane> {
  await checkAnswers(variant, port, certificates);
  const load = await Load.connect({ name: variant.id, port, certificates, requests: requestsOf(USERS) });
  await load.send(UNIT);
  const estimate = await window(load, pid, UNIT * 2);
  await load.send(units(WARM_UP_US / estimate, 40));
  return { variant, port, load, window: units(WINDOW_US / (await window(load, pid, UNIT * 2)), 16) };
}

const units = (requests: number, most: number): number => UNIT * Math.min(most, Math.max(1, Math.round(requests / UNIT)));

/** CPU µs per request of one window. */
async function window(load: Load, pid: number, requests: number): Promise<number> {
  const before = cpuNanoseconds(pid);
  await load.send(requests);
  return (cpuNanoseconds(pid) - before) / requests / 1000;
}

async function runRounds(lanes: readonly Lane[], pid: number, { rounds, progress }: MeasureOptions): Promise<Map<string, number[]>> {
  const costs = new Map<string, number[]>(lanes.map(({ variant }) => [variant.id, []]));
  const baselines = lanes.filter(({ variant }) => variant.baseline === null);
  for (let round = 0; round < rounds; round++) {
    if (round % 10 === 0) progress?.(`round ${round + 1} of ${rounds}`);
    const samples = new Map<string, number[]>(lanes.map(({ variant }) => [variant.id, []]));
    for (const { variant, load, window: requests } of roundOrder(lanes, baselines, round)) {
      await load.send(UNIT); // its code and data back into the caches, which another variant had
      samples.get(variant.id)!.push(await window(load, pid, requests));
    }
    for (const [id, values] of samples) costs.get(id)!.push(median(values));
  }
  return costs;
}

/**
 * Every variant once and the baselines three times, in another order each round: what a variant leaves in the caches
 * costs the next one, and must not always cost the same one.
 */
export function roundOrder<T>(lanes: readonly T[], baselines: readonly T[], round: number): T[] {
  const again = Array.from({ length: BASELINE_REPEATS - 1 }, () => baselines).flat();
  return shuffle([...lanes, ...again], round + 1);
}

/** The caller is let in, and where a policy decides, not everywhere. A variant that does something else isn't worth measuring. */
async function checkAnswers(variant: Variant, port: number, certificates: BenchCertificates): Promise<void> {
  await probe({ name: variant.id, port, certificates, path: PATH, expect: 200 });
  await probe({ name: variant.id, port, certificates, path: FORBIDDEN_PATH, expect: variant.denies ? 403 : 200, what: `${CALLER.serviceAccount} on a path that ${variant.denies ? "no policy allows" : "nobody forbids"}` });
}

async function canaryShares(envoy: RunningEnvoy, variants: readonly Variant[]): Promise<Map<string, number>> {
  const stats = await envoy.admin.stats("upstream_rq_completed");
  const requests = (id: string, arm: string): number => stats.get(`cluster.${clusterName(id, arm)}.upstream_rq_completed`) ?? 0;
  return new Map(
    variants.flatMap(({ id, listener }) => {
      if (listener?.routing === "cluster") return [];
      const [stable, canary] = [requests(id, STABLE), requests(id, CANARY)];
      return stable + canary > 0 ? [[id, canary / (stable + canary)] as const] : [];
    }),
  );
}


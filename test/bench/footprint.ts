import { startEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import type { Config } from "../../harness/compose/emit/config.ts";
import { makeCertificates, type BenchCertificates } from "./certificates.ts";
import { cpuNanoseconds } from "./cpu.ts";
import { benchBootstrap } from "./envoy-config.ts";
import { Load } from "./load.ts";
import { sampleMemory, type MemorySample } from "./memory.ts";
import { pluginFilter, type Modules } from "./modules.ts";
import { authzConfig, canaryConfig, edgeConfig, signedConfig, telemetryConfig } from "./plugins.ts";
import { requestsOf } from "./requests.ts";
import { median } from "./statistics.ts";

/** What a filter costs before and beside its requests. Sizes in bytes. */
export interface FootprintRow {
  id: string;
  title: string;
  /** From the start of the process until the first request is answered; and the CPU time it took. */
  startMs: number;
  startCpuMs: number;
  /** With one worker, after load. */
  rss: number;
  allocated: number;
  /** What a second worker adds. */
  rssPerWorker: number;
  allocatedPerWorker: number;
  /** The linear memory of its VMs; null where it has none or they can't be told apart. */
  wasmPerWorker: number | null;
}

export interface Footprint {
  rows: FootprintRow[];
  /** CPU time that authz takes to read 5,000 policies, in each VM. */
  configureMs?: number;
  /** The same of a signed bundle. */
  configureSignedMs?: number;
}

export interface FootprintOptions {
  envoyPath: string;
  modules: Modules;
  progress?: (message: string) => void;
  /** Which rows, by id; default: all. */
  only?: (id: string) => boolean;
}

const STARTS = 3;
const MANY = 5_000;
const REQUESTS = 4_000;
/** Enough that every worker gets some: the kernel spreads connections over their sockets. */
const CONNECTIONS = 16;
/** `on_configure` runs once in a trial VM, once on the main thread, and once in each worker. */
const CONFIGURED = 3;

interface Candidate {
  id: string;
  title: string;
  filters: Config[];
}

interface Start extends MemorySample {
  startMs: number;
  startCpuMs: number;
}

export async function measureFootprint({ envoyPath, modules, progress, only = () => true }: FootprintOptions): Promise<Footprint> {
  const directory = temporaryDirectory("bench");
  try {
    const certificates = await makeCertificates(directory.path);
    const rows: FootprintRow[] = [];
    for (const candidate of candidates(modules).filter(({ id }) => only(id))) {
      progress?.(`starting Envoy with ${candidate.title}`);
      const start = (concurrency: number): Promise<Start> => startOnce({ envoyPath, directory: directory.path, certificates, filters: candidate.filters, concurrency });
      const ones: Start[] = [];
      const twos: Start[] = [];
      for (let round = 0; round < STARTS; round++) {
        ones.push(await start(1));
        twos.push(await start(2));
      }
      const of = (starts: readonly Start[], key: keyof Omit<Start, "wasm">): number => median(starts.map((each) => each[key]));
      rows.push({
        id: candidate.id, title: candidate.title, startMs: of(ones, "startMs"), startCpuMs: of(ones, "startCpuMs"), rss: of(ones, "rss"), allocated: of(ones, "allocated"),
        rssPerWorker: of(twos, "rss") - of(ones, "rss"), allocatedPerWorker: of(twos, "allocated") - of(ones, "allocated"),
        wasmPerWorker: ones[0]!.wasm === null || twos[0]!.wasm === null ? null : twos[0]!.wasm - ones[0]!.wasm,
      });
    }
    return { rows, configureMs: configureMs(rows), configureSignedMs: configureMs(rows, "signed") };
  } finally {
    directory.remove();
  }
}

/**
 * What the configuration costs is what authz takes longer with 5,000 policies than with 10, less what an empty module
 * does that is given the same two texts and reads neither: loading them is Envoy's work.
 */
export function configureMs(rows: readonly Pick<FootprintRow, "id" | "startCpuMs">[], what: "authz" | "signed" = "authz"): number | undefined {
  const [many, few, emptyMany, emptyFew] = [`${what}/${MANY}`, `${what}/10`, `empty/${what}/${MANY}`, `empty/${what}/10`].map((id) => rows.find((row) => row.id === id)?.startCpuMs);
  if (many === undefined || few === undefined || emptyMany === undefined || emptyFew === undefined) return undefined;
  return (many - few - (emptyMany - emptyFew)) / CONFIGURED;
}

function candidates({ filters, empty }: Modules): Candidate[] {
  const list: Candidate[] = [{ id: "none", title: "no filter", filters: [] }];
  const add = (id: string, title: string, module: Modules["filters"]["authz"], config: object): void => {
    if (module) list.push({ id, title, filters: [pluginFilter(module, id.replaceAll("/", "-"), config)] });
  };
  for (const count of [10, MANY]) {
    add(`empty/authz/${count}`, `empty module, ${count} policies unread`, empty.authz, authzConfig(count));
    add(`authz/${count}`, `authz, ${count} policies`, filters.authz, authzConfig(count));
    add(`empty/signed/${count}`, `empty module, ${count} signed policies unread`, empty.authz, signedConfig(count));
    add(`signed/${count}`, `authz, ${count} signed policies`, filters.authz, signedConfig(count));
  }
  add("canary", "canary", filters.canary, canaryConfig());
  add("telemetry", "telemetry", filters.telemetry, telemetryConfig());
  add("edge", "edge", filters.edge, edgeConfig(10));
  return list;
}

interface StartRequest {
  envoyPath: string;
  directory: string;
  certificates: BenchCertificates;
  filters: Config[];
  concurrency: number;
}

async function startOnce({ envoyPath, directory, certificates, filters, concurrency }: StartRequest): Promise<Start> {
  const config = benchBootstrap({ listeners: [{ name: "footprint", filters, routing: "direct" }], directory });
  const began = performance.now();
  const envoy = await startEnvoy({ config, envoy: { path: envoyPath }, concurrency, logLevel: "error", readyTimeoutMs: 60_000 });
  let load: Load | null = null;
  try {
    load = await Load.connect({ name: "footprint", port: await envoy.port("footprint"), certificates, requests: requestsOf(1) }, CONNECTIONS);
    await load.send(CONNECTIONS);
    const startMs = performance.now() - began;
    const startCpuMs = cpuNanoseconds(envoy.pid) / 1e6;
    await load.send(REQUESTS);
    return { startMs, startCpuMs, ...(await sampleMemory(envoy)) };
  } finally {
    load?.close();
    await envoy.stop();
  }
}

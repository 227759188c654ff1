import { cpus, release } from "node:os";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail } from "../../harness/errors.ts";
import { packageRoot } from "../../harness/build/index.ts";
import { findEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import type { CpuSource } from "./cpu.ts";
import { measureFootprint, type Footprint } from "./footprint.ts";
import { measureHost, type HostRate } from "./host.ts";
import { measure } from "./measure.ts";
import { FILTERS, findModules, type FilterName, type Module } from "./modules.ts";
import { formatHost, formatReport } from "./report.ts";
import { checkLimits, noise, summarizeVariants, type LimitResult, type VariantResult } from "./results.ts";
import { measureShapes, printShapes, type ShapeResult } from "./shapes.ts";
import { formatSoak, soak, type SoakResult } from "./soak.ts";
import { makeVariants, POLICY_COUNTS, selectVariants } from "./variants.ts";

export interface BenchOptions {
  /** Ids of variants, or the part before the slash; all unless given. */
  only?: string[];
  rounds?: number;
  /** Less of everything, under a minute: does it still work, is nothing wildly off? */
  quick?: boolean;
  /** Instead of comparing: load on edge, or the one filter that `only` names, for this many seconds, and what becomes of its memory. */
  soakSeconds?: number;
  /** Instead: what a decision costs as policies of several shapes grow; on Node's WebAssembly, without Envoy. */
  shapes?: boolean;
  /** Where the filters are; `dist` of the package unless given. */
  dist?: string;
  /** Path of an Envoy, as for `--envoy`. */
  envoy?: string;
  /** Also writes the result there, as JSON. */
  jsonFile?: string;
  progress?: (message: string) => void;
}

export interface BenchResult {
  machine: { cpu: string; cores: number; kernel: string; node: string };
  envoy: { path: string; version: string };
  source: CpuSource;
  rounds: number;
  /** Interquartile range over median of a request without any filter. */
  noise: number;
  variants: VariantResult[];
  limits: LimitResult[];
  modules: Pick<Module, "name" | "sizes" | "callbacks">[];
  /** Not with `quick` or `only`. */
  footprint?: Footprint;
  /** The Node host; not with an `only` that doesn't name it. */
  host?: HostRate[];
}

export interface BenchOutcome {
  /** The report for a person. */
  text: string;
  data: BenchResult | Pick<Required<BenchResult>, "machine" | "rounds" | "host"> | { soak: SoakResult } | { shapes: ShapeResult[] };
}

const ROUNDS = 31;
const QUICK_ROUNDS = 3;
/** `only` for the Node host, which needs no Envoy. */
const HOST = "host";
const QUICK_COUNTS = [10, 1_000];

/**
 * `npm run bench`: what the filters cost on a real Envoy, next to empty modules and Envoy's own filters. A limit that
 * is missed is a line in the report and no error.
 *
 * @throws SelvedgeError no Envoy, no /proc, an unknown variant, a filter that answers wrongly
 */
export async function runBench(options: BenchOptions = {}): Promise<BenchOutcome> {
  const { progress } = options;
  if (options.shapes) {
    const shapes = await measureShapes(options.quick ? QUICK_COUNTS : undefined);
    return finish({ text: printShapes(shapes), data: { shapes } }, options);
  }
  const dist = options.dist ?? join(packageRoot, "dist");
  const rounds = options.rounds ?? (options.quick ? QUICK_ROUNDS : ROUNDS);
  const machine = { cpu: cpus()[0]?.model ?? "unknown", cores: cpus().length, kernel: release(), node: process.version };
  if (options.only?.length === 1 && options.only[0] === HOST && options.soakSeconds === undefined) {
    const host = await measureHost(dist, rounds);
    return finish({ text: formatHost(host), data: { machine, rounds, host } }, options);
  }
  const envoy = await findEnvoy({ flag: options.envoy, onProgress: progress });
  const directory = temporaryDirectory("bench-modules");
  try {
    const modules = await findModules(dist, directory.path);
    if (options.soakSeconds !== undefined) {
      const result = await soak({ envoyPath: envoy.path, modules, filter: soakFilter(options.only), seconds: options.soakSeconds, progress });
      return finish({ text: formatSoak(result), data: { soak: result } }, options);
    }
    const all = makeVariants(modules, options.quick ? QUICK_COUNTS : POLICY_COUNTS);
    const variants = options.only?.length ? selectVariants(all, options.only) : all;
    if (!variants.length) fail("bench-variant-unknown", `there is no variant named ${options.only?.join(", ")}`, { expected: [...all.map(({ id }) => id), HOST].join(", ") });
    const { costs, source, canaryShares } = await measure({ envoyPath: envoy.path, variants, rounds, progress });
    const whole = !options.quick && !options.only?.length;
    const result: BenchResult = {
      machine,
      envoy: { path: envoy.path, version: envoy.version },
      source,
      rounds,
      noise: noise(costs),
      variants: summarizeVariants(variants, costs, canaryShares),
      limits: checkLimits(costs),
      modules: Object.values(modules.filters).map(({ name, sizes, callbacks }) => ({ name, sizes, callbacks })),
      footprint: whole ? await measureFootprint({ envoyPath: envoy.path, modules, progress }) : undefined,
      host: !options.only?.length || options.only.includes(HOST) ? await measureHost(dist, rounds) : undefined,
    };
    return finish({ text: formatReport(result), data: result }, options);
  } finally {
    directory.remove();
  }
}

function soakFilter(only: string[] = ["edge"]): FilterName {
  const filter = FILTERS.find((name) => name === only[0]);
  return filter && only.length === 1 ? filter : fail("bench-variant-unknown", `a soak test takes one filter, not ${only.join(", ")}`, { expected: FILTERS.join(", ") });
}

function finish(outcome: BenchOutcome, { jsonFile }: BenchOptions): BenchOutcome {
  if (jsonFile !== undefined) writeFileSync(jsonFile, `${JSON.stringify(outcome.data, null, 2)}\n`);
  return outcome;
}

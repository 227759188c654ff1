import { bytes, table } from "../../harness/cli/output.ts";
import type { Footprint } from "./footprint.ts";
import type { BenchResult } from "./index.ts";
import type { HostRate } from "./host.ts";
import type { LimitResult, VariantResult } from "./results.ts";

/** Above this the machine was too busy for small differences. */
const NOISY = 0.1;
const CONFIGURE_LIMIT_MS = 150;

/** The whole result for a person. */
export function formatReport(result: BenchResult): string {
  const { machine, envoy, rounds, variants, limits, modules, footprint, noise, host } = result;
  const sections = [
    `CPU per request of the Envoy process: Envoy ${envoy.version}, one worker, HTTP/2 over mutual TLS, ${rounds} interleaved rounds\n${machine.cpu} × ${machine.cores}, ${machine.kernel}, CPU time from ${result.source}`,
    variantTable(variants),
    `Limits, on cost above the baseline\n${limitTable(limits)}`,
  ];
  if (noise > NOISY) sections.push(`The machine was busy: a request without any filter varied by ${percent(noise)} (interquartile range). Repeat on an idle one before trusting small differences.`);
  if (modules.length) sections.push(`Modules\n${table(["MODULE", "SIZE", "GZIP", "CALLBACKS"], modules.map(({ name, sizes, callbacks }) => [name, bytes(sizes.raw), bytes(sizes.gzip), callbacks.map((callback) => callback.replace(/^proxy_(on_)?/, "")).join(" ")]), [1, 2])}`);
  if (footprint) sections.push(`Start and memory\n${footprintTable(footprint)}`);
  if (host) sections.push(formatHost(host));
  return sections.join("\n\n");
}

/** The Node host, in times per second of this process's CPU. */
export function formatHost(rates: readonly HostRate[]): string {
  const count = (value: number): string => Math.round(value).toLocaleString("en");
  const rows = rates.map(({ id, what, perSecond, atLeast, verdict }) => [id, what, count(perSecond.median), `${count(perSecond.low)} … ${count(perSecond.high)}`, atLeast === undefined ? "" : `≥ ${count(atLeast)}`, verdict ?? ""]);
  return `The Node host, on Node's WebAssembly, time limit on\n${table(["", "", "A CPU SECOND", "QUARTILES", "LIMIT", ""], rows, [2, 3, 4])}`;
}

function variantTable(variants: readonly VariantResult[]): string {
  const rows = variants.map(({ id, title, total, above, quiet, missing, canaryShare }) => {
    if (!total) return [id, title, "", "", "", missing === undefined ? "not measured" : `missing: ${missing}`];
    const share = canaryShare === undefined ? "" : `, ${percent(canaryShare)} to the canary`;
    return [id, title + share, micros(total.median), above ? signedMicros(above.median) : "", quiet === undefined ? "" : signedMicros(quiet), above ? `${micros(above.low)} … ${micros(above.high)}` : `(itself ${micros(total.low)} … ${micros(total.high)})`];
  });
  return table(["VARIANT", "", "µs", "ABOVE", "QUIET", "QUARTILES OF ABOVE"], rows, [2, 3, 4]);
}

function limitTable(limits: readonly LimitResult[]): string {
  const rows = limits.map(({ what, factor, ratio, verdict }) => [what, ratio ? factorText(ratio.value) : "", `≤ ${factorText(factor)}`, ratio ? `${factorText(ratio.low)} … ${factorText(ratio.high)}` : "", verdict + (ratio && ratio.low <= factor && factor < ratio.high ? ", within the noise" : "")]);
  return table(["", "RATIO", "LIMIT", "90 % INTERVAL", ""], rows, [1, 2]);
}

function footprintTable({ rows, configureMs, configureSignedMs }: Footprint): string {
  const cells = rows.map(({ title, startMs, startCpuMs, rss, allocated, rssPerWorker, allocatedPerWorker, wasmPerWorker }) => [
    title, startMs.toFixed(0), startCpuMs.toFixed(0), bytes(rss), bytes(allocated), signedBytes(rssPerWorker), signedBytes(allocatedPerWorker), wasmPerWorker === null ? "" : bytes(wasmPerWorker),
  ]);
  const line = (what: string, ms: number | undefined): string =>
    `configuring 5,000 ${what}: ${ms === undefined ? "not measured" : `${ms.toFixed(0)} ms of CPU in each VM, limit ${CONFIGURE_LIMIT_MS} ms: ${ms <= CONFIGURE_LIMIT_MS ? "pass" : "falls short"}`}`;
  const configure = `${line("policies", configureMs)}\n${line("policies in a signed bundle", configureSignedMs)}`;
  return `${table(["", "START MS", "CPU MS", "RSS", "HEAP", "RSS A WORKER", "HEAP A WORKER", "WASM A WORKER"], cells, [1, 2, 3, 4, 5, 6, 7])}\n${configure}`;
}

const micros = (value: number): string => value.toFixed(value < 100 ? 2 : 0);
const signedMicros = (value: number): string => `${value < 0 ? "" : "+"}${micros(value)}`;
const factorText = (value: number): string => value.toFixed(value < 0.5 ? 3 : 2);
const percent = (value: number): string => `${(value * 100).toFixed(1)} %`;
const signedBytes = (value: number): string => (value < 0 ? `-${bytes(-value)}` : `+${bytes(value)}`);

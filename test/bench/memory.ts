import { readFileSync } from "node:fs";
import type { RunningEnvoy } from "../../harness/envoy/index.ts";

/** Bytes at one moment. */
export interface MemorySample {
  /** Resident set of the process. */
  rss: number;
  /** What Envoy's allocator has handed out, and what it holds. */
  allocated: number;
  heap: number;
  /** Linear memories of all WebAssembly VMs together; null where they can't be told apart. */
  wasm: number | null;
}

export async function sampleMemory(envoy: RunningEnvoy): Promise<MemorySample> {
  const { allocated, heapSize } = await envoy.admin.memory();
  return { rss: residentBytes(readFileSync(`/proc/${envoy.pid}/status`, "utf8")), allocated, heap: heapSize, wasm: wasmBytes(readFileSync(`/proc/${envoy.pid}/maps`, "utf8")) };
}

/** @param status of /proc/PID/status */
export function residentBytes(status: string): number {
  return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)?.[1]) * 1024;
}

/** V8 reserves 8 GiB of address space for a 32-bit linear memory, of which Envoy lets a module use 1 GiB at most. */
const GUARD = 7 * 2 ** 30;

/**
 * Size of the WebAssembly linear memories, from /proc/PID/maps: read-write mappings followed directly by V8's guard
 * region, which traps accesses beyond the end. Envoy has no statistic for it.
 */
export function wasmBytes(maps: string): number | null {
  const regions = maps.trim().split("\n").map((line) => {
    const [range = "", permissions = ""] = line.split(" ", 2);
    const [start = 0, end = 0] = range.split("-").map((part) => Number.parseInt(part, 16));
    return { start, end, permissions, size: end - start };
  });
  let sum: number | null = null;
  regions.forEach((region, index) => {
    const guard = regions[index + 1];
    if (region.permissions !== "rw-p" || guard?.start !== region.end || guard.permissions !== "---p" || guard.size < GUARD) return;
    sum = (sum ?? 0) + region.size;
  });
  return sum;
}

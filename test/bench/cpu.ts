import { readdirSync, readFileSync } from "node:fs";
import { fail } from "../../harness/errors.ts";

/** Where the numbers come from: the scheduler's nanoseconds, or clock ticks (10 ms) on a kernel without them. */
export type CpuSource = "schedstat" | "stat";

const NANOSECONDS_PER_TICK = 10_000_000; // USER_HZ is 100 on every Linux architecture that Envoy runs on

/** CPU time that a process has used so far, all its threads together, in nanoseconds. Linux only. */
export function cpuNanoseconds(pid: number, source: CpuSource = cpuSource()): number {
  return source === "schedstat" ? fromSchedstat(pid) : fromStat(pid);
}

/** The finer of the two that this kernel has. */
export function cpuSource(): CpuSource {
  try {
    if (parseSchedstat(readFileSync("/proc/self/schedstat", "utf8")) > 0) return "schedstat";
  } catch {
    // No CONFIG_SCHED_INFO.
  }
  try {
    readFileSync("/proc/self/stat");
    return "stat";
  } catch {
    return fail("bench-no-proc", "the benchmark reads CPU time from /proc, which this system doesn't have", { fix: "run it on Linux" });
  }
}

/** First field: time on the CPU in nanoseconds; then time waiting for it, and slices run. */
export function parseSchedstat(text: string): number {
  return Number(text.split(" ", 1)[0]);
}

/** utime + stime. The command name before them may hold spaces and parentheses. */
export function parseStat(text: string): number {
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return (Number(fields[11]) + Number(fields[12])) * NANOSECONDS_PER_TICK;
}

/** `/proc/PID/schedstat` is the main thread's alone, so the threads are added up. */
function fromSchedstat(pid: number): number {
  let sum = 0;
  for (const thread of readdirSync(`/proc/${pid}/task`)) {
    try {
      sum += parseSchedstat(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, "utf8"));
    } catch {
      // The thread ended in between.
    }
  }
  return sum;
}

function fromStat(pid: number): number {
  return parseStat(readFileSync(`/proc/${pid}/stat`, "utf8"));
}

/** What a running Envoy costs, from /proc: Linux only. */
import { readFileSync } from "node:fs";

/** Clock ticks of utime and stime; 100 on every Linux that Node runs on (sysconf(_SC_CLK_TCK)). */
const TICKS_PER_SECOND = 100;

export interface ProcessUsage {
  /** Bytes. */
  residentBytes: number;
  /** User and system time since the process began. */
  cpuSeconds: number;
}

/** Undefined where there is no such process, or no /proc. */
export function processUsage(pid: number): ProcessUsage | undefined {
  try {
    // The command, in parentheses, may hold blanks; what follows it counts from field 3.
    const fields = readFileSync(`/proc/${pid}/stat`, "utf8").replace(/^.*\) /s, "").split(" ");
    const resident = /^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
    if (resident === undefined) return undefined;
    return { residentBytes: Number(resident) * 1024, cpuSeconds: (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND };
  } catch {
    return undefined;
  }
}

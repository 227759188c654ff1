/**
 * Clocks and timers. The fake clock moves only when a test moves it; timers that fall due run in the order of their
 * time, then of their creation. The real clock serves traffic.
 */

import { fail } from "../errors.ts";

export interface Timer {
  cancel(): void;
}

export interface Clock {
  /** Wall time in nanoseconds since the Unix epoch (what a module reads). */
  wallNs(): bigint;
  /** Monotonic time in nanoseconds (what timers follow). */
  monotonicNs(): bigint;
  /** Runs `task` once, `delayMs` from now; never inside this call. */
  after(delayMs: number, task: () => void): Timer;
}

/** More tasks at one instant are taken for an endless loop. */
const MAX_TASKS_AT_ONCE = 1_000_000;

interface Entry {
  due: number;
  order: number;
  task: (() => void) | undefined;
}

/** 2026-01-01T00:00:00Z, where a fake clock starts unless told otherwise. */
export const DEFAULT_EPOCH_MS = Date.UTC(2026, 0, 1);

/** What a fake clock's monotonic time starts at, as if the machine had been up for an hour: Go refuses to start at 0. */
const UPTIME_NS = 3_600_000_000_000n;

/**
 * A clock that a test drives.
 * @example
 * const clock = new FakeClock();
 * clock.after(100, () => console.log("due"));
 * clock.advance(100); // prints "due"
 */
export class FakeClock implements Clock {
  /** Elapsed monotonic time in milliseconds (fractions allowed). */
  private elapsed = 0;
  /** What to add to elapsed time to get wall time, in milliseconds. */
  private offset: number;
  private order = 0;
  private advancing = false;
  private readonly queue: Entry[] = [];
  private cachedWall: bigint | undefined;
  private cachedMonotonic: bigint | undefined;

  constructor(startMs: number = DEFAULT_EPOCH_MS) {
    this.offset = startMs;
  }

  wallNs(): bigint {
    this.cachedWall ??= toNs(this.offset) + toNs(this.elapsed);
    return this.cachedWall;
  }

  monotonicNs(): bigint {
    this.cachedMonotonic ??= UPTIME_NS + toNs(this.elapsed);
    return this.cachedMonotonic;
  }

  /** Wall time in milliseconds. */
  nowMs(): number {
    return this.offset + this.elapsed;
  }

  after(delayMs: number, task: () => void): Timer {
    const entry: Entry = { due: this.elapsed + Math.max(0, delayMs), order: this.order++, task };
    let at = this.queue.length;
    while (at > 0 && this.queue[at - 1]!.due > entry.due) at--;
    this.queue.splice(at, 0, entry);
    return { cancel: () => (entry.task = undefined) };
  }

  /** Moves time forward by `ms`, running every timer that falls due on the way, each at its own time. */
  advance(ms: number): void {
    const nested = this.advancing;
    this.advancing = true;
    try {
      this.runUntil(this.elapsed + ms);
    } finally {
      this.advancing = nested;
    }
  }

  private runUntil(target: number): void {
    let tasksNow = 0;
    for (;;) {
      const next = this.queue[0];
      if (next === undefined || next.due > target) break;
      this.queue.shift();
      if (next.due > this.elapsed) {
        this.moveTo(next.due);
        tasksNow = 0;
      } else if (++tasksNow > MAX_TASKS_AT_ONCE) {
        fail("host-busy-loop", `${MAX_TASKS_AT_ONCE} tasks have run without time passing: they make each other without end`);
      }
      next.task?.();
    }
    if (target > this.elapsed) this.moveTo(target);
  }

  /** Runs what is due now without moving time. */
  runDue(): void {
    // While time moves, the loop that moves it runs what falls due.
    if (!this.advancing && this.queue.length > 0 && this.queue[0]!.due <= this.elapsed) this.advance(0);
  }

  /** Milliseconds until the next timer, or undefined when none is set. */
  untilNext(): number | undefined {
    while (this.queue.length > 0 && this.queue[0]!.task === undefined) this.queue.shift();
    return this.queue.length === 0 ? undefined : Math.max(0, this.queue[0]!.due - this.elapsed);
  }

  /** Fault: the wall clock jumps (an NTP step, either way); monotonic time and timers are not touched. */
  step(ms: number): void {
    this.offset += ms;
    this.cachedWall = undefined;
  }

  private moveTo(elapsed: number): void {
    this.elapsed = elapsed;
    this.cachedWall = undefined;
    this.cachedMonotonic = undefined;
  }
}

/** The machine's clock. Timers don't keep the process alive. */
export class RealClock implements Clock {
  private readonly startWall = BigInt(Date.now()) * 1_000_000n;
  private readonly startMonotonic = process.hrtime.bigint();

  wallNs(): bigint {
    return this.startWall + (process.hrtime.bigint() - this.startMonotonic);
  }

  monotonicNs(): bigint {
    return process.hrtime.bigint();
  }

  after(delayMs: number, task: () => void): Timer {
    const handle = setTimeout(task, delayMs);
    handle.unref();
    return { cancel: () => clearTimeout(handle) };
  }
}

function toNs(ms: number): bigint {
  const whole = Math.floor(ms);
  return BigInt(whole) * 1_000_000n + BigInt(Math.round((ms - whole) * 1_000_000));
}

export type RandomSource = (target: Uint8Array) => void;

/** A small deterministic generator (sfc32), so that a test run can be repeated. Not for secrets. */
export function seededRandom(seed = 1): RandomSource {
  let a = 0x9e3779b9 ^ seed;
  let b = 0x243f6a88;
  let c = 0xb7e15162;
  let counter = 1;
  const next = () => {
    const t = (((a + b) | 0) + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = (c << 21) | (c >>> 11);
    c = (c + t) | 0;
    return t >>> 0;
  };
  for (let i = 0; i < 12; i++) next();
  return (target) => {
    for (let i = 0; i < target.length; i++) target[i] = next() & 255;
  };
}

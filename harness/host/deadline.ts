import { performance } from "node:perf_hooks";
import { ROUNDS_PER_SLICE } from "./rewrite.ts";

/** `(import "h" "f" (func (result i32))) (export "f" (func 0))`: a table takes only functions that a module exports. */
const WRAPPER = Uint8Array.from([
  0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 5, 1, 0x60, 0, 1, 0x7f, 2, 7, 1, 1, 0x68, 1, 0x66, 0, 0, 7, 5, 1, 1, 0x66, 0, 0,
]);
let wrapper: WebAssembly.Module | undefined;

/**
 * The end of a callback's time. A module that was made stoppable asks every so many rounds; callbacks that end sooner
 * never touch the clock. A machine that sleeps or stalls between two questions uses up a quarter of the limit at most.
 */
export class Deadline {
  readonly limitMs: number;
  /** True when the module has been told to stop. */
  passed = false;
  private fresh = true;
  private usedMs = 0;
  private lastMs = 0;

  constructor(limitMs: number) {
    this.limitMs = limitMs;
  }

  /** A callback begins. */
  restart(): void {
    this.fresh = true;
  }

  /** Another slice of rounds, or 0: stop. Also for host calls that take long by themselves. */
  readonly ask = (): number => {
    if (this.passed) return 0;
    const now = performance.now();
    this.usedMs = this.fresh ? 0 : this.usedMs + Math.min(now - this.lastMs, this.limitMs / 4);
    this.fresh = false;
    this.lastMs = now;
    this.passed = this.usedMs >= this.limitMs;
    return this.passed ? 0 : ROUNDS_PER_SLICE;
  };

  /** Lets a module ask: its exported table, as `rewriteModule` has made it. */
  connect(table: WebAssembly.Table): void {
    wrapper ??= new WebAssembly.Module(WRAPPER);
    table.set(0, new WebAssembly.Instance(wrapper, { h: { f: this.ask } }).exports.f as never);
  }
}

import { allocators, callbacks, envoyCallbacks, envoyExtras, hostCalls, hostCalls010, wasiFunctions } from "../build/abi.ts";
import { SelvedgeError } from "../errors.ts";
import { Status } from "./types.ts";

/**
 * Trouble that a test causes on purpose. Counts start at 1 and go over all VMs of the filter; without `nth` every
 * call is hit.
 */
export type Fault =
  /** The module traps when this callback is called. */
  | { kind: "trap"; callback: string; nth?: number }
  /** The module traps inside of this host call. */
  | { kind: "trap"; hostCall: string; nth?: number }
  /** A host call answers with a status, without doing anything. */
  | { kind: "status"; hostCall: string; status: keyof typeof Status | number; nth?: number }
  /** The module's allocator gives the host nothing. */
  | { kind: "outOfMemory"; nth?: number };

interface Armed {
  fault: Fault;
  seen: number;
}

const CALLBACKS = Object.keys({ ...callbacks, ...envoyCallbacks, ...allocators });
const HOST_CALLS = Object.keys({ ...hostCalls, ...hostCalls010, ...envoyExtras, ...wasiFunctions });

function requireKnown(what: string, name: string, known: readonly string[]): void {
  if (!known.includes(name)) throw new SelvedgeError({ code: "host-fault", severity: "error", message: `there is no ${what} named ${name}`, expected: `one of ${known.join(", ")}` });
}

/** The faults that are armed for a filter; see `Filter.inject`. */
export class Faults {
  private readonly armed: Armed[] = [];

  /** @throws SelvedgeError for what can never happen: a test would believe that its filter has stood it */
  add(fault: Fault): void {
    if ("callback" in fault) requireKnown("callback", fault.callback, CALLBACKS);
    if ("hostCall" in fault) requireKnown("host call", fault.hostCall, HOST_CALLS);
    if ("status" in fault && typeof fault.status === "string" && !(fault.status in Status)) {
      throw new SelvedgeError({ code: "host-fault", severity: "error", message: `no host call answers with ${fault.status}`, expected: Object.keys(Status).join(", ") });
    }
    this.armed.push({ fault, seen: 0 });
  }

  clear(): void {
    this.armed.length = 0;
  }

  get active(): boolean {
    return this.armed.length > 0;
  }

  private hits(entry: Armed): boolean {
    entry.seen++;
    return entry.fault.nth === undefined || entry.fault.nth === entry.seen;
  }

  beforeCallback(name: string): void {
    for (const entry of this.armed) {
      if (entry.fault.kind === "trap" && "callback" in entry.fault && entry.fault.callback === name && this.hits(entry)) {
        throw new Error(`injected fault: trap in ${name}`);
      }
    }
  }

  /** A status to answer at once, or -1. */
  beforeHostCall(name: string): number {
    for (const entry of this.armed) {
      const { fault } = entry;
      if (!("hostCall" in fault) || fault.hostCall !== name || !this.hits(entry)) continue;
      if (fault.kind === "trap") throw new Error(`injected fault: trap in ${name}`);
      return typeof fault.status === "number" ? fault.status : Status[fault.status];
    }
    return -1;
  }

  refuseAllocation(_size: number): boolean {
    return this.armed.some((entry) => entry.fault.kind === "outOfMemory" && this.hits(entry));
  }
}

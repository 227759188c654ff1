/** One rollout as configured: its arms and what makes a client stick to one of them. Pure. */
import { View, address, size, view } from "../../sdk/assembly/bytes";
import { xxh64 } from "../../sdk/assembly/hash/xxh64";
import { allocateForCallback } from "../../sdk/assembly/memory";
import { NO_METRIC } from "../../sdk/assembly/metrics";
import { Split } from "./split";

/** Where a stickiness key comes from. */
export enum KeySource { Header, Cookie, Principal, SourceIP }

export class Rollout {
  /** Name of the Envoy route whose requests are split. */
  route: View = 0;
  id: View = 0;
  readonly split: Split = new Split();
  readonly arms: View[] = [];
  /** Metric ids of the arms; `NO_METRIC` until the first use. */
  readonly counters: u32[] = [];
  readonly sources: KeySource[] = [];
  /** Header or cookie name of each source; unused for the other two. */
  readonly sourceNames: View[] = [];
  sticky: bool = false;
  /** The salt and a NUL: what a key is hashed behind, so that each rollout has other first clients. */
  prefix: View = 0;

  addArm(name: View, weight: u32): void {
    this.arms.push(name);
    this.counters.push(NO_METRIC);
    this.split.add(weight);
  }

  addSource(source: KeySource, name: View): void {
    this.sources.push(source);
    this.sourceNames.push(name);
  }

  /** The arm of everyone with this key, the same on every node and at any time until the weights change. */
  armOf(key: View): i32 {
    return this.split.pick(stickyHash(this.prefix, key));
  }
}

/** XXH64, seed 0, over prefix and key. */
export function stickyHash(prefix: View, key: View): u64 {
  const n = size(prefix) + size(key);
  const buffer = allocateForCallback(n);
  memory.copy(buffer, address(prefix), size(prefix));
  memory.copy(buffer + size(prefix), address(key), size(key));
  return xxh64(buffer, n);
}

/** `1.2.3.4:5` → `1.2.3.4`, `[2001:db8::1]:5` → `2001:db8::1`; anything else (a Unix socket's path) stays as it is. */
export function withoutPort(endpoint: View): View {
  const at = address(endpoint);
  let n = size(endpoint);
  let digits: u32 = 0;
  while (digits < n && <u32>load<u8>(at + n - 1 - digits) - 48 < 10) digits++;
  if (digits == 0 || digits == n || load<u8>(at + n - 1 - digits) != 58) return endpoint;
  n -= digits + 1;
  return n >= 2 && load<u8>(at) == 91 && load<u8>(at + n - 1) == 93 ? view(at + 1, n - 2) : view(at, n);
}

/**
 * The series that exist, by what tells them apart. Envoy never forgets a stat, so their number has a bound; past it a
 * request is counted in one of six overflow series, one for each class of status. Pure.
 */
import { NO_METRIC } from "../../sdk/assembly/metrics";

/** Metrics of one series: requests, duration, request bytes, response bytes. */
export const METRICS: u32 = 4;

/** Packs what tells series apart; never 0. Sources and destinations are indexes below 2^24, methods below 2^4, statuses below 2^10. */
// @ts-ignore: decorator
@inline
export function seriesKey(source: i32, destination: i32, method: u32, status: u32): u64 {
  return (<u64>(<u32>source + 1) << 38) | (<u64>(<u32>destination) << 14) | (<u64>method << 10) | <u64>status;
}

/** The overflow series that a status belongs to: 0 for "0", else its first digit. */
export function statusClass(status: u32): u32 {
  return status / 100;
}

export class SeriesTable {
  count: u32 = 0;
  private mask: u32 = 63;
  /** 0 is a free slot. */
  private keys: StaticArray<u64> = new StaticArray<u64>(64);
  /** Of each slot, the ids of its {@link METRICS}. */
  private ids: StaticArray<u32> = new StaticArray<u32>(64 * METRICS);

  /** @param limit how many series there may be */
  constructor(readonly limit: u32) {}

  /** Where the metric ids of this key are, or 0 where it has none. Valid until the next {@link add}. */
  find(key: u64): usize {
    const slot = this.slotOf(key);
    return unchecked(this.keys[slot]) == key ? this.idsAt(slot) : 0;
  }

  /** Makes room for a key that isn't there yet: where its ids go, or 0 where the table has as many as it may. */
  add(key: u64): usize {
    if (this.count >= this.limit) return 0;
    if (this.count * 2 > this.mask) this.grow();
    this.count++;
    const slot = this.slotOf(key);
    unchecked((this.keys[slot] = key));
    return this.idsAt(slot);
  }

  private slotOf(key: u64): u32 {
    let slot = <u32>((key * 0x9e3779b97f4a7c15) >> 40) & this.mask;
    for (let found = unchecked(this.keys[slot]); found != key && found != 0; found = unchecked(this.keys[slot])) {
      slot = (slot + 1) & this.mask;
    }
    return slot;
  }

  private idsAt(slot: u32): usize {
    return changetype<usize>(this.ids) + <usize>slot * (METRICS << 2);
  }

  private grow(): void {
    const keys = this.keys;
    const ids = changetype<usize>(this.ids);
    const old = this.ids; // keeps what `ids` points into
    this.mask = this.mask * 2 + 1;
    this.keys = new StaticArray<u64>(this.mask + 1);
    this.ids = new StaticArray<u32>((this.mask + 1) * METRICS);
    for (let i = 0; i < keys.length; i++) {
      const key = unchecked(keys[i]);
      if (key == 0) continue;
      const slot = this.slotOf(key);
      unchecked((this.keys[slot] = key));
      memory.copy(this.idsAt(slot), ids + <usize>i * (METRICS << 2), METRICS << 2);
    }
  }
}

/** Ids of the six overflow series, made when they are first needed. */
export class OverflowSeries {
  private readonly ids: StaticArray<u32> = new StaticArray<u32>(6 * METRICS).fill(NO_METRIC);

  at(statusClass: u32): usize {
    return changetype<usize>(this.ids) + <usize>statusClass * (METRICS << 2);
  }
}

/** What telemetry remembers of one stream, from its request headers to its end. Reused from stream to stream. Pure. */

/** Not known yet: the end of the stream finds out. */
export const UNSET: i32 = -1;
/** More of a kind than `maxSeries` allows. */
export const OVERFLOW: i32 = -2;

export class StreamRecord {
  /** Were the request headers seen? Not where a filter ahead of this one answered the request. */
  begun: bool = false;
  /** Wall clock, ns. */
  startedAt: u64 = 0;
  source: i32 = UNSET;
  destination: i32 = UNSET;
  method: u32 = 0;
  /** As declared; 0 without a body, -1 where there is one of unknown size. */
  requestBytes: i64 = 0;

  reset(): void {
    this.begun = false;
    this.startedAt = 0;
    this.source = UNSET;
    this.destination = UNSET;
    this.method = 0;
    this.requestBytes = 0;
  }
}

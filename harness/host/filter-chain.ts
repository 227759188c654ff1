import { ByteBuffer } from "./byte-buffer.ts";
import type { HeaderMap } from "./header-map.ts";
import { DataAction, HeadersAction, TrailersAction } from "./types.ts";

/** Where a filter has left the iteration of one direction. */
const RUNNING = 0;
const STOPPED = 1;
const STOPPED_ALL_BUFFER = 2;
const STOPPED_ALL_WATERMARK = 3;

/** One filter's end of one direction. */
export class ChainEntry {
  iteration = RUNNING;
  headersContinued = false;
  fromCurrent = false;
  endStream = false;
  /** How often it was continued from outside of the iteration. */
  resumed = 0;
  readonly index: number;

  constructor(index: number) {
    this.index = index;
  }
}

/** What a chain needs from its stream; request and response directions differ only in this. */
export interface ChainDriver {
  headers(index: number, map: HeaderMap, endStream: boolean): number;
  data(index: number, data: ByteBuffer, endStream: boolean): number;
  trailers(index: number, map: HeaderMap): number;
  /** The far end: the router, or the client. */
  sinkHeaders(map: HeaderMap, endStream: boolean): void;
  sinkData(data: ByteBuffer, endStream: boolean): void;
  sinkTrailers(map: HeaderMap): void;
  /** A filter's local reply waits for its callback to return. */
  runPreparedReply(): void;
  /** A callback continued the stream and let it go on as well. */
  continuedTwice(index: number): void;
  /** More than the limit has been buffered for a filter that wants it whole. */
  tooLarge(): void;
  /** True when the stream is over or this direction must not go on. */
  stopped(): boolean;
  /** The buffer has room again. */
  drained(): void;
}

/**
 * Iterates filters over headers, data and trailers in one direction, with Envoy's rules for stopping, buffering and
 * continuing. Source of the rules: Envoy `source/common/http/filter_manager.cc`.
 */
export class FilterChain {
  readonly entries: ChainEntry[];
  headersMap: HeaderMap | undefined;
  trailersMap: HeaderMap | undefined;
  buffered: ByteBuffer | undefined;
  observedEnd = false;
  aborted = false;
  /** Depth of filter callbacks that run now in this direction. */
  running = 0;
  /** True while a callback of trailers runs (data that is added then goes on at once). */
  private streaming = false;
  /** A filter that streams has more than the limit: the peer should stop sending. */
  aboveWatermark = false;
  private readonly driver: ChainDriver;
  /** Bytes; a filter may set another one for its stream. */
  limit: number;

  constructor(count: number, driver: ChainDriver, limit: number) {
    this.entries = [];
    for (let i = 0; i < count; i++) this.entries.push(new ChainEntry(i));
    this.driver = driver;
    this.limit = limit;
  }

  /** True when some filter holds the iteration up. */
  get paused(): boolean {
    return this.entries.some((entry) => entry.iteration !== RUNNING);
  }

  /** Headers from the filter at `from` on. */
  headers(from: number, map: HeaderMap, endStream: boolean): void {
    for (let i = from; i < this.entries.length; i++) {
      const entry = this.entries[i]!;
      entry.endStream = endStream;
      const { resumed } = entry;
      this.running++;
      let action = this.driver.headers(i, map, endStream);
      this.running--;
      if (this.aborted) {
        this.driver.runPreparedReply();
        action = HeadersAction.StopIteration;
      }
      if (!this.afterHeaders(entry, action)) return;
      if (entry.resumed !== resumed) this.driver.continuedTwice(i);
      if (this.driver.stopped()) return;
    }
    this.driver.sinkHeaders(map, endStream);
  }

  private afterHeaders(entry: ChainEntry, action: number): boolean {
    switch (action) {
      case HeadersAction.StopIteration:
        entry.iteration = STOPPED;
        return false;
      case HeadersAction.StopAllIterationAndBuffer:
        entry.iteration = STOPPED_ALL_BUFFER;
        return false;
      case HeadersAction.StopAllIterationAndWatermark:
        entry.iteration = STOPPED_ALL_WATERMARK;
        return false;
      default:
        entry.headersContinued = true;
        return true;
    }
  }

  /** A piece of body from the filter at `from` on. */
  data(from: number, data: ByteBuffer, endStream: boolean): void {
    if (this.aborted || this.driver.stopped()) return;
    const hadTrailers = this.trailersMap !== undefined;
    let trailersAddedAt = -1;
    let i = from;
    for (; i < this.entries.length; i++) {
      const entry = this.entries[i]!;
      if (entry.iteration >= STOPPED_ALL_BUFFER) {
        this.streaming = entry.iteration === STOPPED_ALL_WATERMARK;
        this.buffer(data);
        return;
      }
      if (entry.endStream) return;
      entry.endStream = endStream && this.trailersMap === undefined;
      this.running++;
      const action = this.driver.data(i, data, entry.endStream);
      this.running--;
      if (this.aborted) {
        this.driver.runPreparedReply();
        return;
      }
      if (this.driver.stopped()) return;
      if (!hadTrailers && this.trailersMap !== undefined && trailersAddedAt < 0) {
        endStream = false;
        trailersAddedAt = i;
      }
      if (!this.afterData(entry, action, data)) break;
    }
    if (i === this.entries.length) this.driver.sinkData(data, endStream);
    if (trailersAddedAt >= 0 && !this.driver.stopped()) this.trailers(trailersAddedAt + 1, this.trailersMap!);
  }

  private afterData(entry: ChainEntry, action: number, data: ByteBuffer): boolean {
    if (action === DataAction.Continue) {
      if (entry.iteration !== STOPPED) return true;
      this.buffer(data);
      this.resume(entry.index);
      return false;
    }
    entry.iteration = STOPPED;
    if (action === DataAction.StopIterationAndBuffer || action === DataAction.StopIterationAndWatermark) {
      this.streaming = action === DataAction.StopIterationAndWatermark;
      this.buffer(data);
    } else if (entry.endStream && this.trailersMap === undefined && this.buffered === undefined) {
      // So that continuing later still ends the stream.
      this.buffered = new ByteBuffer();
    }
    return false;
  }

  /** Keeps data for later; over the limit a streaming filter slows the sender down, any other ends the stream. */
  private buffer(data: ByteBuffer): void {
    if (this.buffered !== data) (this.buffered ??= new ByteBuffer()).move(data);
    if (this.buffered.length <= this.limit) return;
    if (this.streaming) this.aboveWatermark = true;
    else this.driver.tooLarge();
  }

  /** Adds to the buffer on behalf of a filter that buffers (Envoy's `addDecodedData`). */
  addBuffered(data: ByteBuffer): void {
    this.streaming = false;
    this.buffer(data);
  }

  trailers(from: number, map: HeaderMap): void {
    if (this.aborted || this.driver.stopped()) return;
    for (let i = from; i < this.entries.length; i++) {
      const entry = this.entries[i]!;
      if (entry.iteration >= STOPPED_ALL_BUFFER) return;
      const { resumed } = entry;
      this.running++;
      const action = this.driver.trailers(i, map);
      this.running--;
      entry.endStream = true; // no body after them, not even what it had buffered
      if (this.aborted) {
        this.driver.runPreparedReply();
        return;
      }
      if (action === TrailersAction.Continue && entry.resumed !== resumed) this.driver.continuedTwice(i);
      if (this.driver.stopped()) return;
      if (action === TrailersAction.Continue) {
        if (entry.iteration === STOPPED) {
          this.resume(i);
          return;
        }
      } else {
        if (entry.iteration === RUNNING) entry.iteration = STOPPED;
        return;
      }
    }
    this.driver.sinkTrailers(map);
  }

  /** Goes on after the filter at `index` (Envoy's `commonContinue`). */
  resume(index: number): void {
    // Continuing a response that has not begun crashes Envoy; here it does nothing.
    if (this.aborted || this.driver.stopped() || this.headersMap === undefined) return;
    const entry = this.entries[index]!;
    entry.resumed++;
    if (entry.iteration >= STOPPED_ALL_BUFFER) entry.fromCurrent = true;
    entry.iteration = RUNNING;
    if (!entry.headersContinued) {
      entry.headersContinued = true;
      this.headers(index + 1, this.headersMap!, this.observedEnd && this.buffered === undefined && this.trailersMap === undefined);
    }
    const from = entry.fromCurrent ? index : index + 1;
    const hadTrailers = this.trailersMap !== undefined;
    if (this.buffered !== undefined) this.data(from, this.buffered, this.observedEnd && !hadTrailers);
    if (hadTrailers) this.trailers(from, this.trailersMap!);
    entry.fromCurrent = false;
    if (this.aboveWatermark && (this.buffered?.length ?? 0) <= this.limit) {
      this.aboveWatermark = false;
      this.driver.drained();
    }
  }
}

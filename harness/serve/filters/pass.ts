/** A filter of the proxy's own, beside those in modules: lets everything by unless it overrides that. */
import type { Clock, HeaderMap, Host } from "../../host/index.ts";
import type { ByteBuffer } from "../../host/byte-buffer.ts";
import type { HttpStream } from "../../host/http-stream.ts";
import type { StreamFilter } from "../../host/stream-context.ts";
import { DataAction, HeadersAction, TrailersAction } from "../../host/types.ts";

export abstract class PassFilter implements StreamFilter {
  protected stream!: HttpStream;
  protected index = 0;
  readonly #host: Host<Clock>;

  constructor(host: Host<Clock>) {
    this.#host = host;
  }

  attach(stream: HttpStream, index: number): void {
    this.stream = stream;
    this.index = index;
  }

  abstract decodeHeaders(map: HeaderMap, endStream: boolean): number;

  decodeData(_data: ByteBuffer, _endStream: boolean): number {
    return DataAction.Continue;
  }

  decodeTrailers(_map: HeaderMap): number {
    return TrailersAction.Continue;
  }

  encodeHeaders(_map: HeaderMap, _endStream: boolean): number {
    return HeadersAction.Continue;
  }

  encodeData(_data: ByteBuffer, _endStream: boolean): number {
    return DataAction.Continue;
  }

  encodeTrailers(_map: HeaderMap): number {
    return TrailersAction.Continue;
  }

  log(): void {}

  destroy(): void {}

  /** What happens outside of a callback happens as a step of the proxy. */
  protected later(action: () => void): void {
    this.#host.step(() => {
      if (!this.stream.ended) action();
    });
  }

  /** The request goes on, after a callback that held it. */
  protected resume(): void {
    this.later(() => this.stream.decode.resume(this.index));
  }
}

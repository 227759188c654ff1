/** One try of a request at one endpoint, whatever the protocol. */
import type { HeaderMap } from "../../host/index.ts";

/** Why there is no answer, or no more of it. */
export interface Failure {
  kind: "connect" | "connect-timeout" | "reset" | "protocol" | "refused-stream" | "overflow" | "no-host";
  /** What the transport said. */
  reason?: string;
}

export interface UpstreamEvents {
  /** A connection carries the request now. */
  connected(): void;
  headers(headers: HeaderMap, endStream: boolean): void;
  data(data: Uint8Array, endStream: boolean): void;
  trailers(trailers: HeaderMap): void;
  /** At most once, and nothing comes after it. */
  failed(failure: Failure): void;
  /** After a `write` that answered false. */
  drained(): void;
}

/** A request under way; nothing is told about it once it is aborted. */
export interface UpstreamCall {
  /** False: wait for `drained`. */
  write(data: Uint8Array): boolean;
  end(trailers?: HeaderMap): void;
  abort(): void;
  pause(): void;
  resume(): void;
}

export interface Endpoint {
  host: string;
  port: number;
  /** Requests under way. */
  active: number;
}

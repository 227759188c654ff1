/** One whole request of the proxy's own to a cluster, and the whole answer. */
import type { HeaderMap } from "../../host/index.ts";
import type { Cluster } from "./cluster.ts";
import type { UpstreamEvents } from "./request.ts";

export interface Message {
  headers: HeaderMap;
  body: Buffer;
  trailers?: HeaderMap;
}

export interface MessageOptions {
  body?: Uint8Array;
  timeoutMs: number;
  /** A longer answer is none. */
  mostBytes: number;
}

/**
 * @param done once, never within this call; undefined: no whole answer, for whatever reason
 * @returns gives it up; `done` isn't called then
 */
export function sendMessage(cluster: Cluster, headers: HeaderMap, { body, timeoutMs, mostBytes }: MessageOptions, done: (answer: Message | undefined) => void): () => void {
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let received: HeaderMap | undefined;
  let over = false;
  let abort = (): void => {};
  const finish = (answer?: Message): void => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    setImmediate(done, answer);
  };
  const timer = setTimeout(() => {
    finish();
    abort();
  }, timeoutMs);
  const whole = (trailers?: HeaderMap): void => finish({ headers: received!, body: Buffer.concat(chunks), ...(trailers && { trailers }) });
  const events: UpstreamEvents = {
    connected: () => {},
    drained: () => {},
    headers(map, end) {
      received = map;
      if (end) whole();
    },
    data(data, end) {
      bytes += data.length;
      if (bytes > mostBytes) {
        finish();
        return abort();
      }
      chunks.push(Buffer.from(data));
      if (end) whole();
    },
    trailers: whole,
    failed: () => finish(),
  };
  const started = cluster.start(headers, body === undefined, events);
  if (started === undefined || started === "overflow") finish();
  else {
    abort = () => started.call.abort();
    if (over) abort();
    else if (body !== undefined) {
      started.call.write(body);
      started.call.end();
    }
  }
  return () => {
    if (over) return;
    over = true;
    clearTimeout(timer);
    abort();
  };
}

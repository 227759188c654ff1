/** Keys that are fetched: ahead of requests, again before they are old, and for a request that comes before they are there. */
import { HeaderMap } from "../../host/index.ts";
import type { Counters } from "../report/counters.ts";
import { milliseconds } from "../schema/common.ts";
import type { RemoteKeysConfig } from "../schema/jwt.ts";
import type { Cluster } from "../upstream/cluster.ts";
import { sendMessage } from "../upstream/message.ts";
import { readKeys, type KeySet } from "./keys.ts";

const MOST_BYTES = 1024 * 1024;
/** So long before they are old they are fetched again. */
const AHEAD_MS = 5_000;
const BACKOFF_MS = 25;

export class RemoteKeys {
  /** What was fetched last is kept while the host can't be reached. */
  keys: KeySet | undefined;
  readonly #config: RemoteKeysConfig;
  readonly #cluster: Cluster;
  readonly #counters: Counters;
  #waiting: ((keys: KeySet | undefined) => void)[] | undefined;
  #timer: NodeJS.Timeout | undefined;
  #giveUp: (() => void) | undefined;
  #closed = false;

  constructor(config: RemoteKeysConfig, cluster: Cluster, counters: Counters) {
    this.#config = config;
    this.#cluster = cluster;
    this.#counters = counters;
  }

  /** Fetches now, and from then on by itself. */
  start(): void {
    this.fetch(() => {});
  }

  /** @param done with what was fetched; undefined: nothing that is a key set */
  fetch(done: (keys: KeySet | undefined) => void): void {
    if (this.#waiting) return void this.#waiting.push(done);
    this.#waiting = [done];
    clearTimeout(this.#timer);
    this.#try(0);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#giveUp?.();
  }

  #try(number: number): void {
    if (this.#closed) return;
    const { uri, timeout } = this.#config.http_uri;
    const url = new URL(uri);
    const headers = HeaderMap.fromPairs([[":authority", url.host], [":path", `${url.pathname}${url.search}`], [":method", "GET"], [":scheme", url.protocol.slice(0, -1)]], "request");
    this.#giveUp = sendMessage(this.#cluster, headers, { timeoutMs: milliseconds(timeout), mostBytes: MOST_BYTES }, (answer) => {
      const status = answer?.headers.get(":status") ?? "503";
      if (status.startsWith("5") && number < this.#config.retry_policy.num_retries) {
        this.#timer = setTimeout(() => this.#try(number + 1), Math.random() * BACKOFF_MS * (2 ** (number + 1) - 1));
        return;
      }
      this.#finish(answer && status === "200" ? readKeys(answer.body.toString()) : undefined);
    });
  }

  #finish(keys: KeySet | undefined): void {
    if (this.#closed) return;
    this.keys = keys ?? this.keys;
    this.#counters.add(`jwt_authn.jwks_fetch_${keys ? "success" : "failed"}`);
    const { cache_duration, async_fetch } = this.#config;
    const again = keys ? Math.max(milliseconds(cache_duration) - AHEAD_MS, AHEAD_MS) : milliseconds(async_fetch.failed_refetch_duration);
    this.#timer = setTimeout(() => this.start(), again);
    this.#timer.unref();
    const waiting = this.#waiting ?? [];
    this.#waiting = undefined;
    for (const done of waiting) done(keys);
  }
}

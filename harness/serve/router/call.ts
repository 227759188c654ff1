/** Envoy's router for one request: tries, time limits, retries, mirrors. */
import type { HeaderMap } from "../../host/index.ts";
import type { Chain } from "../chain.ts";
import type { Flag } from "../flags.ts";
import { milliseconds } from "../schema/common.ts";
import type { Retry } from "../schema/routes.ts";
import type { ServedStream } from "../stream.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { Endpoint, Failure, UpstreamCall, UpstreamEvents } from "../upstream/request.ts";
import type { ServedRoute } from "./match.ts";
import { Mirrors } from "./mirror.ts";
import { routeTimeout } from "./rewrite.ts";

const DEFAULT_BACKOFF_MS = 25;
/** Envoy's words for the reason. */
const REASONS: Record<Failure["kind"], string> = {
  connect: "remote connection failure",
  "connect-timeout": "connection timeout",
  reset: "connection termination",
  protocol: "protocol error",
  "refused-stream": "remote refused stream reset",
  overflow: "overflow",
  "no-host": "no healthy upstream",
};
const FLAG: Record<Failure["kind"], Flag> = {
  connect: "upstreamConnectionFailure",
  "connect-timeout": "upstreamConnectionFailure",
  reset: "upstreamConnectionTermination",
  protocol: "upstreamProtocolError",
  "refused-stream": "upstreamConnectionTermination",
  overflow: "upstreamOverflow",
  "no-host": "noHealthyUpstream",
};

export class RouterCall {
  readonly #stream: ServedStream;
  readonly #chain: Chain;
  readonly #route: ServedRoute;
  readonly #headers: HeaderMap;
  readonly #cluster: Cluster;
  readonly #retry: Retry | undefined;
  readonly #mirrors: Mirrors | undefined;
  /** The request as far as it has come, for another try; undefined once it is too big for that. */
  #kept: Uint8Array[] | undefined;
  #keptBytes = 0;
  #trailers: HeaderMap | undefined;
  #complete: boolean;
  #tries = 0;
  #call: UpstreamCall | undefined;
  #endpoint: Endpoint | undefined;
  #answering = false;
  #held = false;
  #closed = false;
  #total: NodeJS.Timeout | undefined;
  #perTry: NodeJS.Timeout | undefined;
  #backoff: NodeJS.Timeout | undefined;
  #releaseRetry: (() => void) | undefined;

  constructor(stream: ServedStream, chain: Chain, route: ServedRoute, headers: HeaderMap, endStream: boolean) {
    this.#stream = stream;
    this.#chain = chain;
    this.#route = route;
    this.#headers = headers;
    this.#complete = endStream;
    const action = route.config.route!;
    this.#cluster = chain.cluster(action.cluster);
    this.#retry = action.retry_policy;
    this.#kept = this.#retry ? [] : undefined;
    const mirrored = (action.request_mirror_policies ?? []).filter(({ runtime_fraction: { default_value } }) => Math.random() * 1_000_000 < default_value.numerator);
    if (mirrored.length > 0) this.#mirrors = new Mirrors(mirrored.map(({ cluster }) => chain.cluster(cluster)), headers, chain.bufferLimit);
  }

  start(): void {
    if (this.#complete) this.requestComplete();
    this.#try();
    if (this.#complete) this.#mirrors?.send();
  }

  /** The client has sent everything: from here on the route's time runs. */
  requestComplete(): void {
    const timeout = routeTimeout(this.#route.config);
    if (timeout === 0 || this.#total || this.#closed) return;
    this.#total = setTimeout(() => this.#stream.failed(504, "upstream request timeout", "response_timeout", "upstreamTimeout"), timeout);
  }

  /** False: the endpoint wants no more for now. */
  data(data: Uint8Array, endStream: boolean): boolean {
    this.#mirrors?.data(data);
    if (this.#kept) {
      this.#keptBytes += data.length;
      if (this.#keptBytes > this.#chain.bufferLimit) this.#kept = undefined;
      else if (data.length > 0) this.#kept.push(data);
    }
    const room = data.length === 0 || this.#call === undefined || this.#call.write(data);
    if (endStream) this.#end();
    return room;
  }

  trailers(trailers: HeaderMap): void {
    this.#trailers = trailers;
    this.#end();
  }

  #end(): void {
    this.#complete = true;
    this.#call?.end(this.#trailers);
    this.#mirrors?.send();
  }

  hold(held: boolean): void {
    if (held === this.#held) return;
    this.#held = held;
    if (held) this.#call?.pause();
    else this.#call?.resume();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#total);
    clearTimeout(this.#perTry);
    clearTimeout(this.#backoff);
    this.#releaseRetry?.();
    this.#call?.abort();
    this.#call = undefined;
  }

  #try(): void {
    this.#tries++;
    const { info } = this.#stream.http;
    info.attemptCount = this.#tries;
    info.upstreamSentNs = this.#chain.host.clock.monotonicNs();
    const whole = this.#complete && (this.#kept?.length ?? 0) === 0 && this.#trailers === undefined;
    const number = this.#tries;
    const started = this.#cluster.start(this.#headers, whole, this.#events(() => !this.#closed && this.#tries === number), this.#endpoint);
    if (started === undefined || started === "overflow") {
      // Never within the filters' own callback: what it leads to runs them again.
      this.#fail({ kind: started ?? "no-host" });
      return;
    }
    this.#call = started.call;
    this.#endpoint = started.endpoint;
    info.upstream = { address: started.endpoint.host, port: started.endpoint.port };
    const perTry = this.#retry?.per_try_timeout;
    if (perTry !== undefined) this.#perTry = setTimeout(() => this.#timedOut(), milliseconds(perTry));
    if (this.#held) this.#call.pause();
    if (whole || number === 1) return;
    for (const chunk of this.#kept ?? []) this.#call.write(chunk);
    if (this.#complete) this.#call.end(this.#trailers);
  }

  #events(current: () => boolean): UpstreamEvents {
    return {
      connected: () => {},
      drained: () => current() && this.#stream.upstreamDrained(),
      headers: (headers, end) => {
        if (!current()) return;
        const status = Number(headers.get(":status"));
        if (this.#retry?.retriable_status_codes?.includes(status) && this.#again()) return;
        clearTimeout(this.#perTry);
        this.#answering = true;
        if (end) this.#done();
        this.#stream.response(this.#route, headers, end);
      },
      data: (data, end) => {
        if (!current()) return;
        if (end) this.#done();
        this.#stream.responseData(data, end);
      },
      trailers: (trailers) => {
        if (!current()) return;
        this.#done();
        this.#stream.responseTrailers(trailers);
      },
      failed: (failure) => current() && this.#failedTry(failure),
    };
  }

  /** The answer has come whole: there is nothing left to abort. */
  #done(): void {
    if (this.#complete) this.#call = undefined;
    clearTimeout(this.#total);
    this.#releaseRetry?.();
  }

  #timedOut(): void {
    if (this.#again()) return;
    this.#stream.failed(504, "upstream request timeout", "upstream_per_try_timeout", "upstreamTimeout");
  }

  #failedTry(failure: Failure): void {
    this.#call = undefined;
    this.#fail(failure);
  }

  #fail(failure: Failure): void {
    const retried = this.#tries > 1;
    if (failure.kind !== "overflow" && failure.kind !== "no-host" && !this.#answering && this.#again()) return;
    if (this.#retry && retried) this.#stream.flag("retryLimit");
    if (failure.kind === "no-host") return this.#stream.failed(503, "no healthy upstream", "no_healthy_upstream", "noHealthyUpstream");
    const reason = REASONS[failure.kind];
    const when = retried ? "retried and the latest reset reason" : "reset reason";
    const words = this.#answering ? "upstream_reset_after_response_started" : "upstream_reset_before_response_started";
    this.#stream.failed(failure.kind === "protocol" ? 502 : 503, `upstream connect error or disconnect/reset before headers. ${when}: ${reason}`, `${words}{${reason.replaceAll(" ", "_")}}`, FLAG[failure.kind]);
  }

  /** Another try after a pause, where the policy, the budget and the kept request allow it. */
  #again(): boolean {
    const policy = this.#retry;
    if (!policy || this.#closed || this.#answering || this.#kept === undefined || this.#tries > policy.num_retries) return false;
    this.#releaseRetry?.();
    const release = this.#cluster.takeRetry();
    if (!release) return false;
    this.#releaseRetry = release;
    clearTimeout(this.#perTry);
    this.#call?.abort();
    this.#call = undefined;
    const base = policy.retry_back_off ? milliseconds(policy.retry_back_off.base_interval) : DEFAULT_BACKOFF_MS;
    const most = policy.retry_back_off ? milliseconds(policy.retry_back_off.max_interval) : base * 10;
    const pause = Math.random() * Math.min(base * (2 ** this.#tries - 1), most);
    this.#backoff = setTimeout(() => !this.#closed && this.#try(), pause);
    return true;
  }
}

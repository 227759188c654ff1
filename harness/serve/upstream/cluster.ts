/** A cluster: its endpoints, its connections, its limits. */
import { milliseconds } from "../schema/common.ts";
import { PROTOCOL_OPTIONS, type ClusterConfig } from "../schema/node.ts";
import type { HeaderMap } from "../../host/index.ts";
import type { Counters } from "../report/counters.ts";
import type { Socket } from "node:net";
import { connector, type Connector } from "./connect.ts";
import { callHttp1, PoolAgent } from "./http1.ts";
import { callHttp2, Http2Pool } from "./http2.ts";
import type { Endpoint, Failure, UpstreamCall, UpstreamEvents } from "./request.ts";

export interface StartedCall {
  call: UpstreamCall;
  endpoint: Endpoint;
}

type Limits = NonNullable<ClusterConfig["circuit_breakers"]>["thresholds"][0];

/** Envoy's own; it limits retries without a budget to three. */
const DEFAULT_LIMITS: Limits = { max_connections: 1024, max_pending_requests: 1024, max_requests: 1024, retry_budget: { budget_percent: { value: 0 }, min_retry_concurrency: 3 } };
const DEFAULT_PROTOCOL = { common_http_protocol_options: { idle_timeout: "3600s" }, explicit_http_config: { http_protocol_options: {} } };

export class Cluster {
  readonly name: string;
  /** As it stands in names of statistics. */
  readonly statName: string;
  readonly endpoints: Endpoint[];
  readonly #limits: Limits;
  readonly #connect: Connector;
  #connections = 0;
  readonly #counters: Counters;
  readonly #http1: PoolAgent | undefined;
  readonly #http2: Http2Pool | undefined;
  #active = 0;
  #retrying = 0;

  constructor(config: ClusterConfig, counters: Counters) {
    this.#counters = counters;
    this.name = config.name;
    this.statName = `cluster.${config.alt_stat_name ?? config.name}`;
    this.endpoints = config.load_assignment.endpoints[0].lb_endpoints.map(({ endpoint: { address } }) => ({ host: address.socket_address.address, port: address.socket_address.port_value, active: 0 }));
    const { common_http_protocol_options: common, explicit_http_config: explicit } = config.typed_extension_protocol_options?.[PROTOCOL_OPTIONS] ?? DEFAULT_PROTOCOL;
    this.#limits = config.circuit_breakers?.thresholds[0] ?? DEFAULT_LIMITS;
    const idleMs = milliseconds(common.idle_timeout);
    const connect = connector(config);
    this.#connect = connect;
    const counted: typeof connect = (host, port, done) => {
      this.#count("upstream_cx_total");
      return connect(host, port, (error, socket) => {
        if (error) this.#count("upstream_cx_connect_fail");
        done(error, socket);
      });
    };
    if ("http2_protocol_options" in explicit) this.#http2 = new Http2Pool(counted, explicit.http2_protocol_options, idleMs);
    else this.#http1 = new PoolAgent(counted, this.#limits.max_connections, idleMs);
  }

  get speaksHttp2(): boolean {
    return this.#http2 !== undefined;
  }

  /** Starts a request; undefined where there is no endpoint, "overflow" where there are too many requests already. */
  start(headers: HeaderMap, endStream: boolean, events: UpstreamEvents, tried?: Endpoint): StartedCall | "overflow" | undefined {
    const endpoint = this.#pick(tried);
    if (endpoint === undefined) {
      this.#count("upstream_cx_none_healthy");
      return undefined;
    }
    const { max_requests, max_connections, max_pending_requests } = this.#limits;
    const most = this.#http2 ? max_requests : Math.min(max_requests, max_connections + max_pending_requests);
    if (this.#active >= most) {
      this.#count("upstream_rq_pending_overflow");
      return "overflow";
    }
    this.#count("upstream_rq_total");
    this.#change(endpoint, 1);
    let open = true;
    const released = (): void => {
      if (!open) return;
      open = false;
      this.#change(endpoint, -1);
    };
    const watched: UpstreamEvents = {
      connected: () => events.connected(),
      drained: () => events.drained(),
      headers: (map, end) => {
        this.#status(map.get(":status") ?? "");
        if (end) released();
        events.headers(map, end);
      },
      data: (data, end) => {
        if (end) released();
        events.data(data, end);
      },
      trailers: (map) => {
        released();
        events.trailers(map);
      },
      failed: (failure) => {
        released();
        events.failed(failure);
      },
    };
    const call = this.#call(endpoint, headers, endStream, watched);
    return {
      endpoint,
      call: {
        ...call,
        abort: () => {
          released();
          call.abort();
        },
      },
    };
  }

  /**
   * A connection of its own, for tcp_proxy.
   *
   * @param done once, never within this call
   * @returns gives the place among the cluster's connections back
   */
  connect(done: (failure: Failure["kind"] | undefined, socket?: Socket, endpoint?: Endpoint) => void): () => void {
    const endpoint = this.#pick(undefined);
    const failure = endpoint === undefined ? "no-host" : this.#connections >= this.#limits.max_connections ? "overflow" : undefined;
    if (endpoint === undefined || failure !== undefined) {
      this.#count(failure === "overflow" ? "upstream_cx_overflow" : "upstream_cx_none_healthy");
      setImmediate(done, failure);
      return () => {};
    }
    this.#connections++;
    endpoint.active++;
    this.#count("upstream_cx_total");
    let held = true;
    const release = (): void => {
      if (!held) return;
      held = false;
      this.#connections--;
      endpoint.active--;
      this.#counters.set(`${this.statName}.upstream_cx_active`, this.#connections);
    };
    this.#counters.set(`${this.statName}.upstream_cx_active`, this.#connections);
    this.#connect(endpoint.host, endpoint.port, (error, socket) => {
      if (!error) return done(undefined, socket, endpoint);
      this.#count("upstream_cx_connect_fail");
      release();
      done(error.failure.kind, undefined, endpoint);
    });
    return release;
  }

  /** What Node won't write at all, the way an endpoint's refusal comes. */
  #call(endpoint: Endpoint, headers: HeaderMap, endStream: boolean, events: UpstreamEvents): UpstreamCall {
    try {
      return this.#http2 ? callHttp2(this.#http2, endpoint, headers, endStream, events) : callHttp1(this.#http1!, endpoint, headers, endStream, events);
    } catch (error) {
      let over = false;
      setImmediate(() => !over && events.failed({ kind: "reset", reason: (error as Error).message }));
      const nothing = (): void => {};
      return { write: () => true, end: nothing, abort: () => void (over = true), pause: nothing, resume: nothing };
    }
  }

  /** Envoy's retry budget: a share of the requests under way, and a few in any case. */
  takeRetry(): (() => void) | undefined {
    const { budget_percent, min_retry_concurrency } = this.#limits.retry_budget;
    if (this.#retrying >= Math.max(min_retry_concurrency, Math.floor((this.#active * budget_percent.value) / 100))) {
      this.#count("upstream_rq_retry_overflow");
      return undefined;
    }
    this.#retrying++;
    this.#count("upstream_rq_retry");
    let held = true;
    return () => {
      if (held) this.#retrying--;
      held = false;
    };
  }

  close(): void {
    this.#http1?.destroy();
    this.#http2?.close();
  }

  /** Two at random, the less busy of them; for a retry another one than before where there is one. */
  #pick(tried: Endpoint | undefined): Endpoint | undefined {
    const candidates = this.endpoints.length > 1 && tried ? this.endpoints.filter((each) => each !== tried) : this.endpoints;
    const random = (): Endpoint | undefined => candidates[Math.floor(Math.random() * candidates.length)];
    const [a, b] = [random(), random()];
    return a === undefined || b === undefined || a.active <= b.active ? a : b;
  }

  #change(endpoint: Endpoint, by: number): void {
    endpoint.active += by;
    this.#active += by;
    this.#counters.set(`${this.statName}.upstream_rq_active`, this.#active);
  }

  #status(status: string): void {
    this.#count(`upstream_rq_${status}`);
    this.#count(`upstream_rq_${status[0]}xx`);
  }

  #count(name: string): void {
    this.#counters.add(`${this.statName}.${name}`);
  }
}

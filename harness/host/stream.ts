import { EMPTY_BYTES, fromByteString, toBytes, toText } from "./bytes.ts";
import type { Filter } from "./filter.ts";
import { HeaderMap } from "./header-map.ts";
import { DEFAULT_BUFFER_LIMIT, HttpStream } from "./http-stream.ts";
import type { LocalReply } from "./local-reply.ts";
import type { Fit } from "./message.ts";
import type { Json } from "./proto.ts";
import { Connection, DEFAULT_UPSTREAM, FilterState, StreamInfo, type ConnectionInit, type FilterStateInit, type Route, type UpstreamInfo } from "./stream-info.ts";
import type { HeadersInit } from "./types.ts";
import { propertyValue, type PropertyInit } from "./values.ts";

/** Body as people write it: one piece, or the chunks in which it arrives. */
export type BodyInit = string | Uint8Array | readonly (string | Uint8Array)[];

/** Chooses the route of a request. Return undefined for "no route" (a 404), a name, or a route with details. */
export type RouteFunction = (headers: Record<string, string>, filterState: Record<string, string>) => string | Route | undefined;

export interface StreamOptions extends ConnectionInit {
  /** A connection that earlier streams used; `source`, `destination` and `tls` then come from it. */
  connection?: Connection;
  /**
   * Called for each request, and again when a filter has changed its headers or called `clear_route_cache`. A name or a
   * route is one of prefix "/". Default: one named "default".
   */
  routes?: RouteFunction | string | Route;
  /**
   * Values for properties that the stream model does not give (or to override it): "request.time", "metadata.a",
   * path segments joined by "." (or by NUL, when a segment contains dots).
   */
  properties?: Readonly<Record<string, PropertyInit>>;
  /** Dynamic metadata by namespace. */
  metadata?: Readonly<Record<string, Json>>;
  /** Filter state that Envoy itself has set, e.g. by its `set_filter_state` filter. */
  filterState?: Readonly<Record<string, FilterStateInit>>;
  /** Upstream host of the stream, for `upstream.*`; known to filters once the request is on its way there. */
  upstream?: UpstreamInfo;
  /** "HTTP/1.1" (default), "HTTP/2", "HTTP/3", "HTTP/1.0". */
  protocol?: string;
  /** Worker that serves the stream; default 0. */
  worker?: number;
  /** Bytes that may be buffered before Envoy answers 413 (or 500); default 1 MiB. */
  bufferLimit?: number;
  /** Adds what Envoy's connection manager adds before the first filter: x-forwarded-proto and x-request-id. */
  proxyHeaders?: boolean;
}

export interface RequestInit {
  headers: HeadersInit | HeaderMap;
  body?: BodyInit;
  trailers?: HeadersInit;
  /** False: more body follows through `sendBody`. */
  end?: boolean;
}

export interface ResponseInit {
  status?: number;
  headers?: HeadersInit | HeaderMap;
  body?: BodyInit;
  trailers?: HeadersInit;
  /** False: more body follows through `sendResponseBody`. */
  end?: boolean;
}

/** What became of a message: it went on, Envoy answered itself, a filter holds it, or the stream broke. */
export type Action = "continue" | "localReply" | "paused" | "reset";

/** A local reply as the client sees it. */
export interface LocalReplyView {
  status: number;
  headers: [string, string][];
  body: string;
  details: string;
  grpcStatus: number | undefined;
}

/** What the filters decided. Read lazily: what a test does not look at costs nothing. */
export class Decision {
  readonly action: Action;
  private readonly stream: HttpStream;
  private readonly side: "upstream" | "downstream";

  /** @internal */
  constructor(stream: HttpStream, side: "upstream" | "downstream", action: Action) {
    this.stream = stream;
    this.side = side;
    this.action = action;
  }

  /** Headers as the far end sees them (upstream for a request, client for a response); empty when none arrived. */
  get headers(): [string, string][] {
    return this.stream[this.side].headers?.toList() ?? [];
  }

  /** First value of a header, or undefined. */
  header(name: string): string | undefined {
    const value = this.stream[this.side].headers?.get(name.toLowerCase());
    return value === undefined ? undefined : fromByteString(value);
  }

  get body(): string {
    return toText(this.bodyBytes);
  }

  get bodyBytes(): Uint8Array {
    return this.stream[this.side].body.bytes();
  }

  get trailers(): [string, string][] | undefined {
    return this.stream[this.side].trailers?.toList();
  }

  /** Whether the whole message arrived. */
  get complete(): boolean {
    return this.stream[this.side].complete;
  }

  get localReply(): LocalReplyView | undefined {
    return localReplyView(this.stream);
  }

  /** Name of the route that the stream takes; undefined: none. */
  get route(): string | undefined {
    return this.stream.route()?.name;
  }

  /** Filter state as text, by key: modules' entries are `wasm.<name>`. */
  get filterState(): Record<string, string> {
    return this.stream.info.filterState.toObject();
  }
}

function localReplyView(stream: HttpStream): LocalReplyView | undefined {
  const reply: LocalReply | undefined = stream.localReply;
  if (reply === undefined) return undefined;
  return {
    status: reply.status,
    headers: stream.downstream.headers?.toList() ?? [],
    body: toText(stream.downstream.body.bytes()),
    details: reply.details,
    grpcStatus: reply.grpcStatus,
  };
}

const defaultRoute: Route = { name: "default", cluster: "default" };
/** A table of one route, with the prefix "/". */
const only = (route: Route) => (headers: HeaderMap): Route | undefined => (headers.get(":path")?.startsWith("/") === false ? undefined : route);
const defaultRouteFunction = only(defaultRoute);

/** Puts a property path into the form that modules use. */
const propertyPath = (path: string): string => (path.includes("\0") ? path : path.replaceAll(".", "\0"));

/** One HTTP stream through one filter or several; see `Filter.stream`. */
export class Stream {
  /** @internal */
  readonly http: HttpStream;
  readonly connection: Connection;
  /** @internal */
  readonly info: StreamInfo;
  private readonly filter: Filter;
  private readonly options: StreamOptions;
  /** Input that waits for a filter with a full buffer to take it. */
  private readonly waiting: (() => void)[] = [];
  private readonly endWaiters: (() => void)[] = [];
  /** Runs when the request has reached the upstream as a whole. @internal */
  onUpstreamRequest: (() => void) | undefined;

  /** @internal */
  constructor(filter: Filter, filters: readonly Filter[], options: StreamOptions) {
    const { host } = filter;
    this.filter = filter;
    this.options = options;
    this.connection = options.connection ?? new Connection(options, host.nextConnectionId++);
    this.info = new StreamInfo(this.connection, options.protocol ?? "HTTP/1.1", host.clock.wallNs(), host.clock.monotonicNs());
    const { info } = this;
    if (options.metadata !== undefined) info.metadata = { ...options.metadata };
    if (options.filterState !== undefined) for (const [key, value] of Object.entries(options.filterState)) info.filterState.set(key, FilterState.objectOf(value));
    if (options.properties !== undefined) info.overrides = new Map(Object.entries(options.properties).map(([path, value]) => [propertyPath(path), propertyValue(value)]));
    const thread = host.worker(options.worker ?? 0);
    const made = [];
    for (const one of filters) {
      const streamFilter = one.pluginConfig.createFilter(thread);
      if (streamFilter !== undefined) made.push(streamFilter);
    }
    this.http = new HttpStream(made, info, {
      bufferLimit: options.bufferLimit ?? DEFAULT_BUFFER_LIMIT,
      route: this.routeFunction(),
      upstream: { ...DEFAULT_UPSTREAM, ...options.upstream },
      onUpstreamRequest: () => this.onUpstreamRequest?.(),
      onMisframed: (side, fit, what) => this.misframed(side, fit, what),
      onDrained: () => host.post(() => this.feedWaiting()),
      onUpstreamEnd: () => (info.upstreamReceivedNs = host.clock.monotonicNs()),
      onEnd: () => {
        info.endNs = host.clock.monotonicNs();
        for (const resolve of this.endWaiters.splice(0)) resolve();
      },
    });
  }

  /** Says so, since Envoy doesn't; an HTTP/1 upstream answers 400 to what follows a request and is none. */
  private misframed(side: "request" | "response", fit: Fit, what: string): void {
    const { host, pluginConfig } = this.filter;
    host.log("warn", `the ${side}'s body ${what}: a filter that changes a body removes content-length, or sets it`, pluginConfig.plugin, host.worker(this.options.worker ?? 0).name, "host");
    if (side === "request" && fit === "long" && this.options.upstream?.protocol !== "HTTP/2")
      host.clock.after(0, () => {
        if (this.ended) return;
        this.responseSync({ status: 400, end: false });
        void this.sendResponseBody("", true);
      });
  }

  private routeFunction(): (headers: HeaderMap, info: StreamInfo) => Route | undefined {
    const { routes } = this.options;
    if (routes === undefined) return defaultRouteFunction;
    if (typeof routes !== "function") {
      return only(typeof routes === "string" ? { name: routes } : routes);
    }
    return (headers, info) => {
      const route = routes(headers.toObject(), info.filterState.toObject());
      return typeof route === "string" ? { name: route } : route;
    };
  }

  /** Resolves when the stream has ended (on a real clock; a fake one has to be moved for that). */
  whenEnded(): Promise<void> {
    if (this.http.ended) return Promise.resolve();
    return new Promise((resolve) => this.endWaiters.push(resolve));
  }

  /** True when the response (or the stream) has ended and on_log, on_done and on_delete have run. */
  get ended(): boolean {
    return this.http.ended;
  }

  /** Sends the request and gives what the filters did with it; waits for asynchronous upstreams of callouts. */
  async request(init: RequestInit): Promise<Decision> {
    this.requestSync(init);
    await this.filter.host.settle();
    return this.requestDecision();
  }

  /** The same without waiting: callouts with an asynchronous upstream are still open afterwards. */
  requestSync(init: RequestInit): Decision {
    const headers = HeaderMap.from(init.headers, "request");
    if (this.options.proxyHeaders) this.addProxyHeaders(headers);
    this.step(() => {
      const http = this.http;
      http.decode.headersMap = headers;
      http.requestHeaders = headers;
      http.route();
      const pieces = chunks(init.body);
      const end = init.end ?? true;
      const bodyless = pieces.length === 0 && init.trailers === undefined && end;
      http.requestStart(headers, bodyless);
      if (!bodyless) this.feed("request", pieces, init.trailers, end);
    });
    return this.requestDecision();
  }

  /** More of a request whose `end` was false. */
  async sendBody(body: BodyInit, end = false): Promise<Decision> {
    this.step(() => this.feed("request", chunks(body), undefined, end));
    await this.filter.host.settle();
    return this.requestDecision();
  }

  /** Ends a request with trailers. */
  async sendTrailers(trailers: HeadersInit): Promise<Decision> {
    this.step(() => this.feed("request", [], trailers, true));
    await this.filter.host.settle();
    return this.requestDecision();
  }

  /** The upstream answers. */
  async response(init: ResponseInit): Promise<Decision> {
    this.responseSync(init);
    await this.filter.host.settle();
    return this.responseDecision();
  }

  responseSync(init: ResponseInit): Decision {
    let headers = HeaderMap.from(init.headers, "response");
    if (headers.get(":status") === undefined) {
      const rest = headers;
      headers = HeaderMap.fromPairs([[":status", String(init.status ?? 200)]], "response");
      for (let i = 0; i < rest.entries.length; i += 2) headers.add(rest.entries[i]!, rest.entries[i + 1]!);
    }
    this.step(() => {
      const pieces = chunks(init.body);
      const end = init.end ?? true;
      const bodyless = pieces.length === 0 && init.trailers === undefined && end;
      this.http.responseStart(headers, bodyless);
      if (!bodyless) this.feed("response", pieces, init.trailers, end);
    });
    return this.responseDecision();
  }

  /** More of a response whose `end` was false. */
  async sendResponseBody(body: BodyInit, end = false): Promise<Decision> {
    this.step(() => this.feed("response", chunks(body), undefined, end));
    await this.filter.host.settle();
    return this.responseDecision();
  }

  /** The client goes away. */
  reset(): void {
    this.step(() => this.http.reset("client"));
  }

  /** The upstream breaks off: a 503 when nothing has been answered yet, else a reset. */
  resetUpstream(): void {
    this.step(() => this.http.upstreamReset());
  }

  /** Ends the stream as it is, if it has not ended yet: on_log, on_done, on_delete. */
  close(): void {
    this.step(() => this.http.finish());
  }

  /** What became of the request up to now. */
  requestDecision(): Decision {
    const { http } = this;
    const action: Action = http.localReply !== undefined ? "localReply" : http.resetBy !== undefined ? "reset" : http.upstream.complete || !http.decode.paused ? "continue" : "paused";
    return new Decision(http, "upstream", action);
  }

  /** What became of the response up to now. */
  responseDecision(): Decision {
    const { http } = this;
    const passed = http.downstream.complete || !http.encode.paused;
    const action: Action = http.resetBy !== undefined ? "reset" : !passed ? "paused" : http.localReply !== undefined ? "localReply" : "continue";
    return new Decision(http, "downstream", action);
  }

  private step(op: () => void): void {
    this.filter.host.step(op);
    if (this.waiting.length > 0) this.feedWaiting();
  }

  private feedWaiting(): void {
    while (this.waiting.length > 0 && !this.http.decode.aboveWatermark && !this.http.encode.aboveWatermark) {
      const next = this.waiting.shift()!;
      this.filter.host.step(next);
    }
  }

  /** Feeds a body; HTTP/1 ends it with an empty piece of its own, as Envoy's codec does. */
  private feed(side: "request" | "response", pieces: readonly Uint8Array[], trailers: HeadersInit | undefined, end: boolean): void {
    const { http } = this;
    const data = (bytes: Uint8Array, last: boolean) => (side === "request" ? http.requestData(bytes, last) : http.responseData(bytes, last));
    const separate = this.info.protocol.startsWith("HTTP/1");
    const tasks = pieces.map((bytes, i) => () => data(bytes, end && trailers === undefined && !separate && i === pieces.length - 1));
    if (trailers !== undefined) {
      const map = HeaderMap.from(trailers, side === "request" ? "other" : "responseTrailers");
      tasks.push(() => (side === "request" ? http.requestTrailers(map) : http.responseEnd(map)));
    } else if (end && (separate || pieces.length === 0)) tasks.push(() => data(EMPTY_BYTES, true));
    const chain = side === "request" ? http.decode : http.encode;
    for (const task of tasks) {
      if (chain.aboveWatermark || this.waiting.length > 0) this.waiting.push(task);
      else task();
    }
  }

  private addProxyHeaders(headers: HeaderMap): void {
    if (headers.get("x-forwarded-proto") === undefined) headers.add("x-forwarded-proto", this.connection.tls === undefined ? "http" : "https");
    if (headers.get("x-request-id") === undefined) {
      const bytes = new Uint8Array(16);
      this.filter.host.random(bytes);
      const hex = Buffer.from(bytes).toString("hex");
      headers.add("x-request-id", `${hex.slice(0, 8)}-${hex.slice(8, 12)}-4${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20)}`);
    }
  }
}

function chunks(body: BodyInit | undefined): Uint8Array[] {
  if (body === undefined) return [];
  if (typeof body === "string" || body instanceof Uint8Array) return body.length === 0 ? [] : [toBytes(body)];
  return body.map(toBytes);
}


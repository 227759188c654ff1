/** One request on its way: from the client through the filters to an endpoint, and back. */
import type { HeaderMap } from "../host/index.ts";
import { HttpStream, type StreamSink } from "../host/http-stream.ts";
import { StreamInfo, type Connection } from "../host/stream-info.ts";
import { upgradeOf, type RawRequest, type Refusal } from "./admit.ts";
import type { Chain } from "./chain.ts";
import { FLAGS, flagLetters, type Flag } from "./flags.ts";
import { RouterCall } from "./router/call.ts";
import { finalizeRequest, finalizeResponse, redirectTo, unfitHeader } from "./router/rewrite.ts";
import type { ServedRoute } from "./router/match.ts";

/** A client's end of one request, whatever the protocol. */
export interface ClientSide {
  respond(headers: HeaderMap, endStream: boolean): void;
  /** False: `ServedStream.clientDrained` tells when there is room again. */
  write(data: Uint8Array): boolean;
  end(trailers?: HeaderMap): void;
  /** Breaks off; before an answer began the client sees none. */
  reset(): void;
  pause(): void;
  resume(): void;
}

const EMPTY = new Uint8Array(0);

export class ServedStream implements StreamSink {
  readonly http: HttpStream;
  readonly #chain: Chain;
  readonly #client: ClientSide;
  readonly #startMs = Date.now();
  #router: RouterCall | undefined;
  #requestComplete = false;
  #clientHeld = false;
  #upstreamHeld = false;

  constructor(chain: Chain, connection: Connection, protocol: string, client: ClientSide) {
    this.#chain = chain;
    this.#client = client;
    const { host, bufferLimit } = chain;
    const info = new StreamInfo(connection, protocol, host.clock.wallNs(), host.clock.monotonicNs());
    this.http = new HttpStream(chain.createFilters(), info, {
      sink: this,
      bufferLimit,
      route: (headers, { filterState }) => chain.routes(headers, filterState),
      upstream: {},
      finishReply: (headers) => info.route && finalizeResponse(info.route as ServedRoute, headers),
      onDrained: () => host.post(() => this.#flow()),
      onUpstreamEnd: () => (info.upstreamReceivedNs = host.clock.monotonicNs()),
      onEnd: () => this.#ended(),
    });
    chain.streams.add(this);
  }

  /** The client has the answer's headers. */
  get answering(): boolean {
    return this.http.downstream.headers !== undefined;
  }

  get requestComplete(): boolean {
    return this.#requestComplete;
  }

  // --- from the client ------------------------------------------------------------------------------------------

  request(headers: HeaderMap, endStream: boolean, raw: RawRequest): void {
    this.#requestComplete = endStream;
    this.#step(() => {
      this.http.requestHeaders = headers;
      this.http.decode.headersMap = headers;
      const route = this.http.route() as ServedRoute | undefined;
      const upgrade = upgradeOf(raw);
      if (upgrade !== undefined && !mayUpgrade(route, upgrade)) return this.#reply(403, "", "upgrade_failed");
      this.#chain.capture(this.http);
      this.http.requestStart(headers, endStream);
    });
  }

  /** An answer without the filters having seen a request. */
  refuse({ status, body, details, headers }: Refusal, seen?: HeaderMap): void {
    this.http.requestHeaders = seen;
    this.#step(() => this.#reply(status, body, details, undefined, headers));
  }

  data(bytes: Uint8Array): void {
    this.#step(() => this.http.requestData(bytes, false));
  }

  end(trailers?: HeaderMap): void {
    this.#requestComplete = true;
    this.#step(() => (trailers ? this.http.requestTrailers(trailers) : this.http.requestData(EMPTY, true)));
    this.#router?.requestComplete();
  }

  /** The client is gone. */
  aborted(): void {
    if (this.http.ended) return;
    this.flag("downstreamTermination");
    this.http.info.responseCodeDetails = "downstream_remote_disconnect";
    this.#step(() => this.http.reset("client"));
  }

  idle(): void {
    this.flag("idleTimeout");
    this.#step(() => this.#reply(this.#requestComplete ? 504 : 408, "stream timeout", "stream_idle_timeout"));
  }

  clientDrained(): void {
    this.#upstreamHeld = false;
    this.#flow();
  }

  /** The upstream has room again. */
  upstreamDrained(): void {
    this.#clientHeld = false;
    this.#flow();
  }

  // --- the filters' far ends --------------------------------------------------------------------------------------

  upstreamHeaders(headers: HeaderMap, endStream: boolean): void {
    const route = this.http.route() as ServedRoute | undefined;
    if (route === undefined) return this.#reply(404, "", "route_not_found", "noRoute");
    const { redirect, direct_response: direct } = route.config;
    if (redirect) {
      const { status, location } = redirectTo(route, redirect, headers);
      return this.#reply(status, "", "direct_response", undefined, ["location", location]);
    }
    if (direct) return this.#reply(direct.status, "", "direct_response");
    finalizeRequest(route, headers, this.#chain.removedHeaders);
    const unfit = unfitHeader(headers);
    if (unfit !== undefined) return this.#reply(503, unfit, `filter_removed_required_request_headers{${unfit.replaceAll(" ", "_")}}`);
    // Envoy sends it as it is, and leaves it to the upstream to make something of it.
    if (!/^[\x21-\x7e]+$/.test(headers.get(":path") ?? "")) return this.#reply(400, "", "path_that_no_message_carries");
    this.http.upstream.headers = headers;
    this.http.info.upstream = {};
    this.#router = new RouterCall(this, this.#chain, route, headers, endStream);
    this.#router.start();
  }

  upstreamData(data: Uint8Array, endStream: boolean): void {
    if (this.#router?.data(data, endStream) === false) this.#clientHeld = true;
  }

  upstreamTrailers(trailers: HeaderMap): void {
    this.#router?.trailers(trailers);
  }

  clientHeaders(headers: HeaderMap, endStream: boolean): void {
    const switching = headers.get(":status") === "101";
    for (const name of ["keep-alive", "proxy-connection", "transfer-encoding", ...(switching ? [] : ["connection"])]) headers.remove(name);
    if (headers.get("date") === undefined) headers.add("date", new Date().toUTCString());
    this.#chain.answered(headers.get(":status") ?? "");
    this.#client.respond(headers, endStream);
  }

  clientData(data: Uint8Array, endStream: boolean): void {
    if (data.length > 0 && !this.#client.write(data)) this.#upstreamHeld = true;
    if (endStream) this.#client.end();
  }

  clientTrailers(trailers: HeaderMap): void {
    this.#client.end(trailers);
  }

  // --- for the router ---------------------------------------------------------------------------------------------

  /** The upstream's answer begins. */
  response(route: ServedRoute, headers: HeaderMap, endStream: boolean): void {
    finalizeResponse(route, headers);
    this.#step(() => this.http.responseStart(headers, endStream));
  }

  responseData(data: Uint8Array, endStream: boolean): void {
    this.#step(() => this.http.responseData(data, endStream));
  }

  responseTrailers(trailers: HeaderMap): void {
    this.#step(() => this.http.responseEnd(trailers));
  }

  /** No answer came: Envoy's own, or a broken stream where one had begun. */
  failed(status: number, body: string, details: string, flag: Flag): void {
    this.flag(flag);
    this.#step(() => {
      if (this.http.responseHeaders !== undefined) {
        this.http.info.responseCodeDetails = details;
        this.http.reset("upstream");
      } else this.#reply(status, body, details);
    });
  }

  flag(flag: Flag): void {
    this.http.info.responseFlags |= FLAGS[flag][0];
  }

  // ------------------------------------------------------------------------------------------------------------------

  #reply(status: number, body: string, details: string, flag?: Flag, headers: readonly string[] = []): void {
    if (flag) this.flag(flag);
    this.http.sendLocalReply({ status, body: Buffer.from(body), headers, grpcStatus: -1, details });
  }

  /** A step of the proxy. */
  #step(op: () => void): void {
    if (this.http.ended) return;
    this.#chain.host.step(op);
    this.#flow();
  }

  /** Holds whoever sends more than the other side takes. */
  #flow(): void {
    if (this.#clientHeld || this.http.decode.aboveWatermark) this.#client.pause();
    else this.#client.resume();
    this.#router?.hold(this.#upstreamHeld || this.http.encode.aboveWatermark);
  }

  #ended(): void {
    const { info, resetBy } = this.http;
    info.endNs = this.#chain.host.clock.monotonicNs();
    this.#router?.close();
    this.#chain.streams.delete(this);
    if (resetBy !== undefined && resetBy !== "client") this.#client.reset();
    const durationMs = Number(info.endNs - info.startMonotonicNs) / 1e6;
    const status = resetBy === undefined || this.http.downstream.headers ? (info.responseCode ?? 0) : 0;
    this.#chain.log({ info, requestHeaders: this.http.requestHeaders, status, startMs: this.#startMs, durationMs, flags: flagLetters(info.responseFlags) });
  }
}

function mayUpgrade(route: ServedRoute | undefined, upgrade: string): boolean {
  return (route?.config.route?.upgrade_configs ?? []).some(({ upgrade_type }) => upgrade_type === upgrade.toLowerCase());
}

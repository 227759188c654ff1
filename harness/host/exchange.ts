import { fail } from "../errors.ts";
import { toText } from "./bytes.ts";
import { streamThrough, type Filter } from "./filter.ts";
import type { BodyInit, LocalReplyView, ResponseInit, Stream, StreamOptions } from "./stream.ts";
import type { PeerInit } from "./stream-info.ts";
import { FakeClock } from "./time.ts";
import type { HeadersInit } from "./types.ts";

/** A request in short form. */
export interface ExchangeRequest {
  method?: string;
  path?: string;
  authority?: string;
  scheme?: string;
  headers?: HeadersInit;
  body?: BodyInit;
  trailers?: HeadersInit;
  /** Who sends it: address, port, certificate. */
  peer?: PeerInit;
}

/** A request as the upstream sees it. */
export interface UpstreamRequest {
  headers: [string, string][];
  header(name: string): string | undefined;
  body: string;
  trailers: [string, string][] | undefined;
  route: string | undefined;
  /** False: it broke off, or a filter holds the rest. */
  complete: boolean;
}

/** What the upstream does: a response (after `delayMs` of the clock), a break, or silence. */
export type UpstreamAnswer = (ResponseInit & { delayMs?: number }) | "reset" | "silent";
export type ExchangeUpstream = UpstreamAnswer | ((request: UpstreamRequest) => UpstreamAnswer | Promise<UpstreamAnswer>);

/** What came of an exchange. */
export interface ExchangeOutcome {
  /** "response": from the upstream; "paused": still open when time was up. */
  action: "response" | "localReply" | "reset" | "paused";
  /** Status that the client got; undefined: none. */
  status: number | undefined;
  headers: [string, string][];
  header(name: string): string | undefined;
  body: string;
  trailers: [string, string][] | undefined;
  localReply: LocalReplyView | undefined;
  /** The request as the upstream got it; undefined: it did not get there. */
  upstream: UpstreamRequest | undefined;
  route: string | undefined;
  filterState: Record<string, string>;
  /** Clock time that the exchange took. */
  elapsedMs: number;
}

/** How an exchange goes. */
export interface ExchangeOptions {
  /** Default: status 200, at once. */
  upstream?: ExchangeUpstream;
  stream?: StreamOptions;
  /** Clock time after which the exchange is left as it is; default one minute. */
  maxMs?: number;
  /** The client goes away when it has no answer after this clock time (and the filter sees the stream end). */
  giveUpMs?: number;
}

/** How long an exchange may wait, in clock time, for callouts and upstreams. */
const DEFAULT_MAX_MS = 60_000;

/** Runs one exchange through filters: see `Filter.http`. */
export async function runExchange(
  filters: readonly Filter[],
  request: ExchangeRequest,
  options: ExchangeOptions = {},
): Promise<ExchangeOutcome> {
  const { host } = filters[0] ?? fail("host-no-filter", "an exchange needs at least one filter");
  const stream = streamThrough(filters, { ...options.stream, ...(request.peer && { source: request.peer }) });
  const startNs = host.clock.monotonicNs();
  stream.onUpstreamRequest = () => {
    stream.info.upstreamSentNs = host.clock.monotonicNs();
    answerLater(stream, host, options.upstream ?? { status: 200 });
  };
  await stream.request({ headers: requestHeaders(request), body: request.body, trailers: request.trailers });
  if (host.clock instanceof FakeClock) {
    const limit = host.clock.nowMs() + (options.giveUpMs ?? options.maxMs ?? DEFAULT_MAX_MS);
    for (;;) {
      await host.settle();
      if (stream.ended) break;
      const next = host.clock.untilNext();
      if (next === undefined || host.clock.nowMs() + next > limit) break;
      host.clock.advance(next);
    }
  }
  if (!(host.clock instanceof FakeClock)) {
    await host.settle();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => (timer = setTimeout(resolve, options.giveUpMs ?? options.maxMs ?? DEFAULT_MAX_MS)));
    await Promise.race([stream.whenEnded(), late]);
    clearTimeout(timer);
  }
  const result = outcome(stream, Number(host.clock.monotonicNs() - startNs) / 1e6);
  if (options.giveUpMs !== undefined && !stream.ended) {
    if (host.clock instanceof FakeClock) host.clock.advance(Math.max(0, options.giveUpMs - result.elapsedMs));
    stream.reset();
  }
  return result;
}

function requestHeaders(request: ExchangeRequest): [string, string][] {
  const headers: [string, string][] = [
    [":authority", request.authority ?? "example.test"],
    [":path", request.path ?? "/"],
    [":method", request.method ?? "GET"],
    [":scheme", request.scheme ?? "http"],
  ];
  const given = Array.isArray(request.headers) ? (request.headers as [string, string][]) : Object.entries(request.headers ?? {}).flatMap(([name, value]) => (Array.isArray(value) ? value.map((one) => [name, one] as [string, string]) : [[name, value as string] as [string, string]]));
  for (const [name, value] of given) {
    const at = headers.findIndex(([known]) => known === name.toLowerCase() && known.startsWith(":"));
    if (at >= 0) headers[at] = [name.toLowerCase(), value];
    else headers.push([name, value]);
  }
  return headers;
}

function upstreamRequest(stream: Stream): UpstreamRequest {
  const { upstream } = stream.http;
  return {
    headers: upstream.headers?.toList() ?? [],
    header: (name) => upstream.headers?.get(name.toLowerCase()),
    body: toText(upstream.body.bytes()),
    trailers: upstream.trailers?.toList(),
    route: stream.http.route()?.name,
    complete: upstream.complete,
  };
}

function answerLater(stream: Stream, host: Filter["host"], upstream: ExchangeUpstream): void {
  const answer = typeof upstream === "function" ? upstream(upstreamRequest(stream)) : upstream;
  const deliver = (given: UpstreamAnswer) => {
    if (given === "silent") return;
    const delay = given === "reset" ? 0 : (given.delayMs ?? 0);
    host.clock.after(delay, () => {
      if (stream.ended) return;
      if (given === "reset") stream.resetUpstream();
      else stream.responseSync(given);
    });
  };
  if (answer instanceof Promise) host.waitFor(answer.then(deliver));
  else deliver(answer);
}

function outcome(stream: Stream, elapsedMs: number): ExchangeOutcome {
  const { http } = stream;
  const { downstream } = http;
  const action = http.resetBy !== undefined ? "reset" : !downstream.complete ? "paused" : http.localReply !== undefined ? "localReply" : "response";
  const status = downstream.headers?.get(":status");
  return {
    action,
    status: status === undefined ? undefined : Number(status),
    headers: downstream.headers?.toList() ?? [],
    header: (name) => downstream.headers?.get(name.toLowerCase()),
    body: toText(downstream.body.bytes()),
    trailers: downstream.trailers?.toList(),
    localReply: stream.requestDecision().localReply,
    upstream: http.upstream.headers === undefined ? undefined : upstreamRequest(stream),
    route: http.route()?.name,
    filterState: stream.info.filterState.toObject(),
    elapsedMs,
  };
}

/** One request through a filter on the host: chunks, pauses, answers and breaks, by the fake clock. */
import { HeaderMap, type Filter, type FakeClock, type PropertyInit, type Stream, type StreamOptions } from "../../../host/index.ts";
import { PEER_KEY } from "../../../compose/emit/listener.ts";
import { isBytes, type AnswerPlan, type Chunk, type HeaderPairs } from "../../messages.ts";
import type { CasePlan, Exchange, RequestPlan, UpstreamPlan } from "../../plan.ts";
import { ARM_STATE, CLUSTERS, DIRECT_KEY, replyDetails, SUBJECT } from "../common.ts";
import { framed, type Sent } from "./framing.ts";
import { proxied, type OwnAnswer } from "./proxy.ts";

/** How long an exchange may wait, in clock time. */
const MAX_MS = 60_000;

/** Sends a request and lets time pass until it is answered. Gives what came of it, and how long it took on the clock. */
export async function exchange(plan: CasePlan, request: RequestPlan, upstream: UpstreamPlan, filter: Filter, clock: FakeClock): Promise<{ exchange: Exchange; elapsedMs: number }> {
  const started = clock.nowMs();
  const { own, headers } = proxied(request);
  if (own && own.status === undefined) return { exchange: { ...NO_ANSWER, details: own.details }, elapsedMs: 0 };
  const stream = filter.stream(streamOptions(plan, request, upstream));
  if (own) answerItself(stream, filter, headers, own);
  else {
    stream.onUpstreamRequest = () => {
      if (!asked(stream, upstream).complete) return; // it waits for the rest for ever
      stream.info.upstreamSentNs = clock.monotonicNs();
      clock.after(upstream.delayMs, () => answer(stream, filter, clock, upstream, request.method === "HEAD"));
    };
    sendRequest(stream, clock, request, headers);
    if (request.abortMs !== undefined) clock.after(request.abortMs, () => (stream.ended ? undefined : stream.reset()));
  }
  for (const limit = started + MAX_MS; ; ) {
    await filter.host.settle();
    const next = stream.ended ? undefined : clock.untilNext();
    if (next === undefined || clock.nowMs() + next > limit) break;
    clock.advance(next);
  }
  const done = exchangeOf(request, upstream, stream);
  // What Envoy answers itself takes no route.
  return { exchange: own ? { ...done, route: undefined } : done, elapsedMs: clock.nowMs() - started };
}

const NO_ANSWER: Exchange = { status: undefined, headers: [], body: new Uint8Array(0), trailers: [], complete: false, details: undefined, route: undefined, upstream: undefined };

/** Pieces that come together, and the pauses before those that don't. */
function segments(body: readonly Chunk[]): { pieces: Uint8Array[]; afterMs: number; reset: boolean }[] {
  const all = [{ pieces: [] as Uint8Array[], afterMs: 0, reset: false }];
  for (const chunk of body) {
    const last = all.at(-1)!;
    if (isBytes(chunk)) last.pieces.push(chunk);
    else if (chunk === "reset") {
      last.reset = true;
      break;
    } else all.push({ pieces: [], afterMs: last.afterMs + chunk.waitMs, reset: false });
  }
  return all;
}

function sendRequest(stream: Stream, clock: FakeClock, { body, trailers }: RequestPlan, headers: HeaderPairs): void {
  const [first, ...rest] = segments(body);
  const end = rest.length === 0;
  stream.requestSync({ headers, body: first!.pieces, end, ...(end && trailers.length > 0 && { trailers }) });
  rest.forEach(({ pieces, afterMs }, index) => {
    clock.after(afterMs, () => {
      if (stream.ended) return;
      const last = index === rest.length - 1;
      if (pieces.length > 0 || (last && trailers.length === 0)) void stream.sendBody(pieces, last && trailers.length === 0);
      if (last && trailers.length > 0 && !stream.ended) void stream.sendTrailers(trailers);
    });
  });
}

function answer(stream: Stream, filter: Filter, clock: FakeClock, { status, headers, body, trailers, reset }: AnswerPlan, head: boolean): void {
  if (stream.ended) return;
  if (reset) return stream.resetUpstream();
  const [first, ...rest] = segments(head ? [] : body);
  const whole = rest.length === 0 && !first!.reset;
  const ending = head ? [] : trailers;
  stream.responseSync({ status, headers, body: first!.pieces, end: whole, ...(whole && ending.length > 0 && { trailers: ending }) });
  if (first!.reset) stream.resetUpstream();
  rest.forEach(({ pieces, afterMs, reset: breaks }, index) => {
    clock.after(afterMs, () => {
      if (stream.ended) return;
      const last = index === rest.length - 1 && !breaks;
      if (pieces.length > 0 || (last && ending.length === 0)) void stream.sendResponseBody(pieces, last && ending.length === 0);
      if (last && ending.length > 0) filter.host.step(() => stream.http.responseEnd(HeaderMap.from(ending, "responseTrailers")));
      if (breaks && !stream.ended) stream.resetUpstream();
    });
  });
}

/** Envoy answers before any filter gets the request; they still see the answer, and the end. */
function answerItself(stream: Stream, filter: Filter, headers: HeaderPairs, { status = 400, details, headers: added }: OwnAnswer): void {
  filter.host.step(() => {
    stream.http.requestHeaders = HeaderMap.from(headers, "request");
    stream.http.sendLocalReply({ status, details, body: new Uint8Array(0), headers: added.flat(), grpcStatus: -1 });
  });
}

function streamOptions(plan: CasePlan, { tls, sni, peer, source, direct, destination, route, metadata, properties, protocol }: RequestPlan, upstream: UpstreamPlan): StreamOptions {
  const arms = (route !== null && plan.routes[route]?.arms) || [];
  return {
    routes: (_, state) => {
      if (route === null) return undefined;
      const arm = state[ARM_STATE];
      return { name: arm !== undefined && arms.includes(arm) ? `${route}/${arm}` : route, cluster: CLUSTERS[upstream.protocol] };
    },
    protocol: protocol === "http2" ? "HTTP/2" : "HTTP/1.1",
    ...(upstream.protocol === "http2" && { upstream: { protocol: "HTTP/2" } }),
    tls: tls ? { serverName: sni ?? "" } : false,
    source: { address: source, port: 40_000, uriSans: peer?.uriSans ?? [], ...(peer && { subject: SUBJECT }) },
    ...(destination && { destination }),
    ...(metadata && { metadata: metadata as NonNullable<StreamOptions["metadata"]> }),
    filterState: { [DIRECT_KEY]: direct, ...(tls && { [PEER_KEY]: peer?.uriSans.join(",") || "-" }) },
    properties: properties as Record<string, PropertyInit>,
  };
}

const regular = (map: HeaderMap | undefined): HeaderPairs => (map?.toList() ?? []).filter(([name]) => !name.startsWith(":"));

function sent({ headers, body, trailers, headersOnly, complete }: Stream["http"]["upstream"]): Sent {
  return { headers: regular(headers), body: body.bytes(), trailers: regular(trailers), headersOnly, complete };
}

/** The request as its upstream reads it. */
function asked({ http: { upstream } }: Stream, { protocol }: UpstreamPlan): Sent {
  return protocol === "http2" ? sent(upstream) : framed(sent(upstream), { method: upstream.headers?.get(":method") ?? "" });
}

/** The answer as the client reads it. */
function answered({ http: { downstream } }: Stream, { protocol, method }: RequestPlan): Sent & { status: number | undefined } {
  const status = downstream.headers?.get(":status");
  if (status === undefined) return { ...sent(downstream), status };
  return { ...(protocol === "http2" ? sent(downstream) : framed(sent(downstream), { method, status: Number(status) })), status: Number(status) };
}

function exchangeOf(request: RequestPlan, plan: UpstreamPlan, stream: Stream): Exchange {
  const { upstream, localReply } = stream.http;
  const pseudo = (name: string): string => upstream.headers?.get(name) ?? "";
  const { status, headers, body, trailers, complete } = answered(stream, request);
  const seen = asked(stream, plan);
  return {
    status,
    headers,
    body,
    trailers,
    complete,
    details: localReply?.details ?? replyDetails(stream.info.responseCodeDetails),
    route: request.route === null ? undefined : stream.http.route()?.name,
    // The upstream knows a request once it is whole.
    upstream: seen.complete ? { method: pseudo(":method"), path: pseudo(":path"), headers: seen.headers, body: seen.body, trailers: seen.trailers } : undefined,
  };
}

/** HTTP/2 from clients. */
import { constants, performServerHandshake, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { Connection, HeaderMap } from "../../host/index.ts";
import type { RawRequest } from "../admit.ts";
import type { Chain } from "../chain.ts";
import { ServedStream, type ClientSide } from "../stream.ts";
import { fromFlat, grouped } from "../upstream/http2.ts";

/** More than any limit on headers: the checks that come later refuse, with an answer. */
const MOST_PAIRS = 1000;

export function serveHttp2(chain: Chain, socket: Duplex, connection: Connection): ServerHttp2Session {
  const { max_concurrent_streams, initial_stream_window_size, initial_connection_window_size } = chain.http2;
  const session = performServerHandshake(socket, {
    maxHeaderListPairs: MOST_PAIRS,
    settings: { maxConcurrentStreams: max_concurrent_streams, initialWindowSize: initial_stream_window_size, maxHeaderListSize: chain.limits.headerBytes, enableConnectProtocol: false },
  } as never);
  session.setLocalWindowSize(initial_connection_window_size);
  session.setTimeout(chain.limits.idleMs, () => session.close());
  session.on("error", () => {}); // its streams say it
  session.on("stream", (stream: ServerHttp2Stream, _: unknown, flags: number, flat?: string[]) => serveStream(chain, connection, stream, (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0, flat ?? []));
  return session;
}

function serveStream(chain: Chain, connection: Connection, http2: ServerHttp2Stream, endStream: boolean, flat: readonly string[]): void {
  const raw = rawRequest(flat);
  const admission = chain.admit(raw, connection);
  http2.on("error", () => {}); // "close" follows
  if (admission.refusal?.reset) return http2.close(constants.NGHTTP2_PROTOCOL_ERROR);
  const client = new Http2Client(http2);
  const stream = new ServedStream(chain, connection, raw.protocol, client);
  http2.on("drain", () => stream.clientDrained());
  http2.on("close", () => {
    clearTimeout(late);
    stream.aborted();
  });
  http2.setTimeout(chain.limits.streamIdleMs, () => stream.idle());
  const late = setTimeout(() => !stream.requestComplete && stream.refuse({ status: 408, body: "request timeout", details: "request_overall_timeout", headers: [] }), chain.limits.requestMs);
  late.unref();
  if (admission.refusal) return stream.refuse(admission.refusal, admission.headers);
  if (raw.pairs.some(([name, value]) => name === "expect" && /^100-continue$/i.test(value))) http2.additionalHeaders({ ":status": 100 });
  if (!endStream) {
    let trailers: HeaderMap | undefined;
    http2.on("trailers", (_: unknown, __: number, rest?: string[]) => (trailers = fromFlat(rest ?? [], "other")));
    http2.on("data", (chunk: Buffer) => stream.data(chunk));
    http2.on("end", () => stream.end(trailers));
  }
  stream.request(admission.headers, endStream, raw);
}

function rawRequest(flat: readonly string[]): RawRequest {
  const pseudo: Record<string, string> = {};
  const pairs: [string, string][] = [];
  for (let i = 0; i < flat.length; i += 2) {
    if (flat[i]!.startsWith(":")) pseudo[flat[i]!] = flat[i + 1]!;
    else pairs.push([flat[i]!, flat[i + 1]!]);
  }
  joinCookies(pairs);
  return {
    protocol: "HTTP/2",
    method: pseudo[":method"] ?? "",
    target: pseudo[":path"] ?? "",
    pairs,
    ...(pseudo[":authority"] !== undefined && { authority: pseudo[":authority"] }),
    ...(pseudo[":scheme"] !== undefined && { scheme: pseudo[":scheme"] }),
  };
}

/** HTTP/2 may take a Cookie header apart (RFC 9113 8.2.3). */
function joinCookies(pairs: [string, string][]): void {
  const cookies = pairs.filter(([name]) => name === "cookie");
  if (cookies.length < 2) return;
  cookies[0]![1] = cookies.map(([, value]) => value).join("; ");
  for (const extra of cookies.slice(1)) pairs.splice(pairs.indexOf(extra), 1);
}

class Http2Client implements ClientSide {
  readonly #stream: ServerHttp2Stream;
  #trailers: HeaderMap | undefined;
  #paused = false;

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream;
  }

  respond(headers: HeaderMap, endStream: boolean): void {
    if (this.#stream.destroyed || this.#stream.closed) return;
    const wire = grouped(headers.entries);
    wire[":status"] = Number(headers.get(":status"));
    try {
      this.#stream.on("wantTrailers", () => this.#stream.sendTrailers(grouped(this.#trailers?.entries ?? [])));
      this.#stream.respond(wire, { endStream, waitForTrailers: !endStream });
    } catch {
      this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR); // headers that HTTP/2 can't carry
    }
  }

  write(data: Uint8Array): boolean {
    return this.#stream.destroyed || this.#stream.writableEnded || this.#stream.write(data);
  }

  end(trailers?: HeaderMap): void {
    this.#trailers = trailers;
    this.#stream.end();
  }

  reset(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR);
  }

  pause(): void {
    if (!this.#paused) this.#stream.pause();
    this.#paused = true;
  }

  resume(): void {
    if (this.#paused) this.#stream.resume();
    this.#paused = false;
  }
}

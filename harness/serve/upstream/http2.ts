/** HTTP/2 towards an endpoint: one connection for all requests, opened again when it is gone. */
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from "node:http2";
import { HeaderMap } from "../../host/index.ts";
import type { Connector } from "./connect.ts";
import type { Endpoint, Failure, UpstreamCall, UpstreamEvents } from "./request.ts";

interface Http2Settings {
  max_concurrent_streams: number;
  initial_stream_window_size: number;
  initial_connection_window_size: number;
}

/** Sessions by endpoint. */
export class Http2Pool {
  readonly #sessions = new Map<Endpoint, Promise<ClientHttp2Session>>();
  readonly #connect: Connector;
  readonly #settings: Http2Settings;
  readonly #idleMs: number;

  constructor(connector: Connector, settings: Http2Settings, idleMs: number) {
    this.#connect = connector;
    this.#settings = settings;
    this.#idleMs = idleMs;
  }

  session(endpoint: Endpoint): Promise<ClientHttp2Session> {
    const known = this.#sessions.get(endpoint);
    if (known) return known;
    const made = this.#open(endpoint);
    this.#sessions.set(endpoint, made);
    const forget = (): void => void (this.#sessions.get(endpoint) === made && this.#sessions.delete(endpoint));
    made.then((session) => session.once("close", forget).once("goaway", forget), forget);
    return made;
  }

  close(): void {
    for (const session of this.#sessions.values()) session.then((each) => each.destroy(), () => {});
  }

  #open(endpoint: Endpoint): Promise<ClientHttp2Session> {
    return new Promise((resolve, reject) => {
      this.#connect(endpoint.host, endpoint.port, (error, socket) => {
        if (error) return reject(error);
        const session = connect(`http://${endpoint.host.includes(":") ? `[${endpoint.host}]` : endpoint.host}:${endpoint.port}`, {
          createConnection: () => socket!,
          settings: { initialWindowSize: this.#settings.initial_stream_window_size, enablePush: false },
        });
        session.on("error", () => {}); // its streams say it
        session.setTimeout(this.#idleMs, () => session.close());
        session.once("connect", () => session.setLocalWindowSize(this.#settings.initial_connection_window_size));
        resolve(session);
      });
    });
  }
}

export function callHttp2(pool: Http2Pool, endpoint: Endpoint, headers: HeaderMap, endStream: boolean, events: UpstreamEvents): UpstreamCall {
  let stream: ClientHttp2Stream | undefined;
  let over = false;
  let paused = false;
  let trailers: HeaderMap | undefined;
  /** Body that came before there was a stream. */
  const early: Uint8Array[] = [];
  let earlyEnd = endStream;
  const finish = (action: () => void): void => {
    if (over) return;
    over = true;
    action();
  };
  const start = (session: ClientHttp2Session): void => {
    if (over) return;
    try {
      stream = session.request(wireHeaders(headers), { endStream: endStream, waitForTrailers: !endStream });
    } catch (error) {
      return finish(() => events.failed({ kind: "reset", reason: (error as Error).message }));
    }
    events.connected();
    listen(stream, events, () => trailers, finish, () => over);
    if (paused) stream.pause();
    for (const chunk of early.splice(0)) stream.write(chunk);
    if (earlyEnd && !endStream) stream.end();
    else if (!endStream) events.drained();
  };
  pool.session(endpoint).then(start, (error: Error & { failure?: Failure }) => finish(() => events.failed(error.failure ?? { kind: "connect", reason: error.message })));
  return {
    write(data) {
      if (stream) return stream.write(data);
      early.push(data);
      return false;
    },
    end(last) {
      trailers = last;
      earlyEnd = true;
      stream?.end();
    },
    abort: () => finish(() => stream?.close(constants.NGHTTP2_CANCEL)),
    pause() {
      paused = true;
      stream?.pause();
    },
    resume() {
      paused = false;
      stream?.resume();
    },
  };
}

function listen(stream: ClientHttp2Stream, events: UpstreamEvents, trailers: () => HeaderMap | undefined, finish: (action: () => void) => void, over: () => boolean): void {
  let received: HeaderMap | undefined;
  let ended = false;
  stream.on("drain", () => !over() && events.drained());
  stream.on("wantTrailers", () => stream.sendTrailers(grouped(trailers()?.entries ?? [])));
  stream.on("response", (_, flags, raw?: string[]) => {
    if (over()) return;
    ended = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
    events.headers(fromFlat(raw ?? [], "response"), ended);
  });
  stream.on("trailers", (_, __, raw?: string[]) => (received = fromFlat(raw ?? [], "responseTrailers")));
  stream.on("data", (chunk: Buffer) => !over() && events.data(chunk, false));
  stream.on("end", () => {
    if (stream.rstCode !== constants.NGHTTP2_NO_ERROR || ended) return;
    finish(() => (received ? events.trailers(received) : events.data(new Uint8Array(0), true)));
  });
  stream.on("error", () => {}); // "close" follows
  stream.on("close", () => finish(() => !ended && events.failed({ kind: stream.rstCode === constants.NGHTTP2_REFUSED_STREAM ? "refused-stream" : "reset", reason: "remote reset" })));
}

function wireHeaders(headers: HeaderMap): OutgoingHttpHeaders {
  const kept = headers.entries.filter((_, i) => !["connection", "keep-alive", "proxy-connection", "transfer-encoding", "upgrade"].includes(headers.entries[i - (i % 2)]!));
  return grouped(kept);
}

/** Node wants one property for each name; values keep their order. */
export function grouped(flat: readonly string[]): OutgoingHttpHeaders {
  const object: Record<string, string | string[]> = Object.create(null) as Record<string, string | string[]>;
  for (let i = 0; i < flat.length; i += 2) {
    const before = object[flat[i]!];
    object[flat[i]!] = before === undefined ? flat[i + 1]! : [...(Array.isArray(before) ? before : [before]), flat[i + 1]!];
  }
  return object;
}

export function fromFlat(flat: readonly string[], kind: "response" | "responseTrailers" | "other"): HeaderMap {
  const headers = HeaderMap.empty(kind);
  for (let i = 0; i < flat.length; i += 2) headers.add(flat[i]!, flat[i + 1]!);
  return headers;
}

/** A request over HTTP/2. */
import { connect, constants, type ClientHttp2Session, type ClientHttp2Stream, type OutgoingHttpHeaders } from "node:http2";
import type { Socket } from "node:net";
import type { HeaderPairs, RequestPlan } from "../../plan.ts";
import { TIMEOUT_MS, type Answer } from "./client.ts";
import { objectOf, pairsOf, writeChunks } from "./wire.ts";

export async function sendHttp2(plan: RequestPlan, socket: Socket): Promise<Answer> {
  const session: ClientHttp2Session = connect("http://127.0.0.1", { createConnection: () => socket });
  session.on("error", () => {});
  try {
    return await exchange(plan, session);
  } finally {
    session.destroy();
  }
}

function exchange(plan: RequestPlan, session: ClientHttp2Session): Promise<Answer> {
  const { method, path, host, headers, body, trailers, tls } = plan;
  const head: OutgoingHttpHeaders = {
    ":method": method,
    ":scheme": tls ? "https" : "http",
    ":path": path,
    // Node puts an authority of its own in place of a missing one, but leaves out an empty list.
    ":authority": host ?? ([] as unknown as string),
    ...objectOf(headers),
  };
  const stream = session.request(head, { endStream: body.length === 0 && trailers.length === 0, waitForTrailers: trailers.length > 0 });
  if (trailers.length > 0) stream.on("wantTrailers", () => stream.sendTrailers(objectOf(trailers)));
  const answer = readResponse(stream);
  const timer = setTimeout(() => stream.close(constants.NGHTTP2_CANCEL), plan.abortMs ?? TIMEOUT_MS);
  void writeChunks(body, stream).then(() => (stream.destroyed || stream.writableEnded ? undefined : stream.end()));
  return answer.finally(() => clearTimeout(timer));
}

function readResponse(stream: ClientHttp2Stream): Promise<Answer> {
  return new Promise((resolve) => {
    let status: number | undefined;
    let headers: HeaderPairs = [];
    let trailers: HeaderPairs = [];
    let ended = false;
    const chunks: Buffer[] = [];
    // Node passes the flat list of what came as a third argument.
    stream.on("response", (parsed, _flags, ...rest: unknown[]) => {
      status = parsed[":status"];
      headers = pairsOf((rest[0] as string[] | undefined) ?? []).filter(([name]) => !name.startsWith(":"));
    });
    stream.on("trailers", (_parsed: unknown, _flags: unknown, ...rest: unknown[]) => (trailers = pairsOf((rest[0] as string[] | undefined) ?? [])));
    stream.on("data", (chunk: Buffer) => chunks.push(chunk));
    stream.on("end", () => (ended = true));
    stream.on("error", () => {});
    stream.on("close", () => resolve({ status, headers, body: Buffer.concat(chunks), trailers, complete: ended && status !== undefined && stream.rstCode === constants.NGHTTP2_NO_ERROR }));
  });
}

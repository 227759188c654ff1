/** Requests to leave HTTP: WebSockets, where a route has them. */
import type { IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Connection } from "../../host/index.ts";
import { upgradeOf, type RawRequest } from "../admit.ts";
import type { Chain } from "../chain.ts";
import { ServedStream } from "../stream.ts";
import { RawClient } from "./raw-client.ts";

/**
 * @param raw what was asked for
 * @param head what came behind it already: the other protocol's first bytes
 */
export function serveUpgrade(chain: Chain, connection: Connection, incoming: IncomingMessage, raw: RawRequest, socket: Socket, head: Buffer): void {
  socket.on("error", () => {}); // "close" follows
  const asked = upgradeOf(raw) !== undefined;
  const hasBody = incoming.headers["transfer-encoding"] !== undefined || Number(incoming.headers["content-length"] ?? 0) > 0;
  const admission = chain.admit(raw, connection);
  let open = false;
  const client = new RawClient(socket, () => {
    open = true;
    // Not before the other side has agreed: until then it isn't clear whose bytes these are.
    if (head.length > 0) stream.data(head);
    socket.on("data", (chunk: Buffer) => stream.data(chunk));
    socket.on("end", () => stream.end());
  });
  const stream: ServedStream = new ServedStream(chain, connection, raw.protocol, {
    respond: (headers, end) => client.respond(headers, end),
    write: (data) => client.write(data),
    end: () => client.end(),
    reset: () => client.reset(),
    pause: () => void (open && client.pause()),
    resume: () => void (open && client.resume()),
  });
  socket.on("drain", () => stream.clientDrained());
  socket.on("close", () => stream.aborted());
  socket.setTimeout(chain.limits.streamIdleMs, () => stream.idle());
  // Node has stopped reading requests here, so that a body couldn't be told from what follows it.
  const refusal = admission.refusal ?? (hasBody ? { status: 400, body: "Bad Request", details: "http1.codec_error", headers: [] } : undefined);
  if (refusal) return stream.refuse(refusal, admission.headers);
  stream.request(admission.headers!, !asked, raw);
}

/** Envoy overlooks the wish for HTTP/2 on this connection: an ordinary request. */
export function withoutHttp2(raw: RawRequest): RawRequest {
  if (!/^h2c$/i.test(upgradeOf(raw) ?? "")) return raw;
  return { ...raw, pairs: raw.pairs.filter(([name]) => !/^(upgrade|connection|http2-settings)$/i.test(name)) };
}

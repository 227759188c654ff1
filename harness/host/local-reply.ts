import { httpToGrpcStatus } from "./attributes.ts";
import { toByteString } from "./bytes.ts";
import type { LocalReplyRequest } from "./context.ts";
import { HeaderMap } from "./header-map.ts";

/** A reply that Envoy made itself. */
export interface LocalReply {
  status: number;
  details: string;
  body: Uint8Array;
  grpcStatus: number | undefined;
  /** Sent past the filters (the response was on its way already), so no callback saw it. */
  direct: boolean;
}

/** A reply of the proxy's own accord. @param body a byte string */
export function ownReply(status: number, body: string, details: string): LocalReplyRequest {
  return { status, body: Buffer.from(body, "latin1"), headers: [], grpcStatus: -1, details };
}

export function isGrpc(headers: HeaderMap): boolean {
  const type = headers.get("content-type");
  return type !== undefined && /^application\/grpc(?:$|\+)/.test(type) && headers.get(":path") !== undefined;
}

/** What of a stream shapes a reply. */
interface ReplyFor {
  grpc: boolean;
  /** The request's method is HEAD. */
  head: boolean;
  direct: boolean;
  /** What the route changes about it. */
  finish: ((headers: HeaderMap) => void) | undefined;
}

/** Headers and body as Envoy's `Utility::prepareLocalReply` makes them. */
export function renderReply(reply: LocalReplyRequest, { grpc, head, direct, finish }: ReplyFor): { localReply: LocalReply; headers: HeaderMap; body: Uint8Array } {
  const headers = HeaderMap.fromPairs([[":status", String(reply.status)]], "response");
  finish?.(headers);
  const addGiven = () => {
    for (let i = 0; i < reply.headers.length; i += 2) headers.add(reply.headers[i]!, reply.headers[i + 1]!);
    headers.assign(":status", grpcStatus === undefined ? String(reply.status) : "200"); // whatever was given
  };
  const grpcStatus = grpc ? (reply.grpcStatus >= 0 ? reply.grpcStatus : httpToGrpcStatus(reply.status)) : undefined;
  const localReply = { status: reply.status, details: reply.details, body: reply.body, grpcStatus, direct };
  if (grpcStatus !== undefined) {
    addGiven();
    headers.remove("content-length");
    headers.assign("content-type", "application/grpc");
    headers.set("grpc-status", String(grpcStatus));
    if (reply.body.length > 0 && !head) headers.set("grpc-message", percentEncode(reply.body));
    return { localReply, headers, body: new Uint8Array(0) };
  }
  addGiven();
  if (reply.body.length === 0) {
    headers.remove("content-length");
    headers.remove("content-type");
    return { localReply, headers, body: reply.body };
  }
  headers.set("content-length", String(reply.body.length));
  if (headers.get("content-type") === undefined) headers.add("content-type", "text/plain");
  return { localReply, headers, body: head ? new Uint8Array(0) : reply.body };
}

/** gRPC's percent-encoding of a status message. */
function percentEncode(body: Uint8Array): string {
  return toByteString([...body].map((byte) => (byte < 0x20 || byte > 0x7e || byte === 0x25 ? `%${byte.toString(16).toUpperCase().padStart(2, "0")}` : String.fromCharCode(byte))).join(""));
}

/** What HTTP/1 makes of a message on the wire: Envoy's codec frames it by the headers that the filters left, right or wrong. Pure. */
import { hasNoBody, type HeaderPairs } from "../../messages.ts";

/** A message as it left the filters. */
export interface Sent {
  headers: HeaderPairs;
  body: Uint8Array;
  trailers: HeaderPairs;
  /** It ended with its headers. */
  headersOnly: boolean;
  complete: boolean;
}

/** What it is to whom it goes. */
export interface About {
  method: string;
  /** Of a response; undefined: it is a request. */
  status?: number;
}

/** Methods whose requests say nothing of a body that they don't have. */
const BODILESS = new Set(["GET", "HEAD", "DELETE", "TRACE", "CONNECT"]);

/** The same as the other end reads it: its length said, trailers only behind chunks. What is beyond a length the stream has cut off. */
export function framed(sent: Sent, { method, status }: About): Sent {
  const headers = sent.headers.filter(([name]) => name !== "transfer-encoding");
  const length = headers.find(([name]) => name === "content-length")?.[1];
  const bodiless = status !== undefined && hasNoBody(status);
  if (length !== undefined) return { ...sent, headers, ...(!bodiless && !(status !== undefined && method === "HEAD") && { trailers: [] }) };
  if (bodiless) return { ...sent, headers };
  if (sent.headersOnly) return { ...sent, headers: (status === undefined && BODILESS.has(method)) || method === "HEAD" ? headers : [...headers, ["content-length", "0"]] };
  return { ...sent, headers: [...headers, ["transfer-encoding", "chunked"]] };
}

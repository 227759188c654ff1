/** One request, or connection, as authorization sees it, and the ways in which people write its parts. */
import type { Json } from "../host/index.ts";

export interface AccessRequest {
  method: string;
  /** As the client sent it, with its port if it has one. */
  host: string;
  /** As the client sent it, query included. */
  path: string;
  headers: [name: string, value: string][];
  /** URI SANs of the client's certificate; undefined: it showed none. */
  peer: string[] | undefined;
  tls: boolean;
  /** Server name of the TLS handshake. */
  sni: string | undefined;
  /** The physical peer's address: `ipBlocks`. */
  direct: string;
  /** The client's address as Envoy determined it: `remoteIpBlocks`. */
  remote: string;
  /** What the client connected to. */
  local: { address: string; port: number };
  /** Claims of a JWT that Envoy verified. */
  claims: Record<string, Json> | undefined;
  /** A connection of a TCP or TLS listener: method, host and path are empty. */
  connection?: true;
  /** What other filters left, by their names. */
  metadata?: Record<string, Json>;
}

export const ANONYMOUS = "anonymous";

/**
 * URI SANs that `--as` and `as:` name: a URI as it is, `namespace/account` and `trust-domain/ns/…` as the SPIFFE ID that they
 * stand for, `anonymous` for no certificate at all.
 */
export function peerOf(text: string, trustDomain: string): string[] | undefined {
  if (text === ANONYMOUS || text === "") return undefined;
  if (text.includes("://")) return [text];
  const short = /^([^/]+)\/([^/]+)$/.exec(text);
  return [short ? `spiffe://${trustDomain}/ns/${short[1]}/sa/${short[2]}` : `spiffe://${text}`];
}

/** How a person reads the peer: the SPIFFE ID without its scheme. */
export function peerText(peer: readonly string[] | undefined): string {
  if (peer === undefined) return "anonymous (no client certificate)";
  if (peer.length === 0) return "a certificate without a URI SAN";
  return peer.map((uri) => uri.replace(/^spiffe:\/\//, "")).join(" and ");
}

/** The path without query and fragment, and the query without its question mark. */
export function splitPath(path: string): { path: string; query: string } {
  const bare = path.split("#", 1)[0]!;
  const at = bare.indexOf("?");
  return at < 0 ? { path: bare, query: "" } : { path: bare.slice(0, at), query: bare.slice(at + 1) };
}

/** A host without its port, in lower case; brackets of IPv6 stay. */
export function hostname(host: string): string {
  return host.toLowerCase().replace(/:\d*$/, "");
}

/** `address:port`, or `[address]:port`. */
export function endpoint(text: string): { address: string; port: number } | undefined {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text);
  return match ? { address: match[1] ?? match[2]!, port: Number(match[3]) } : undefined;
}

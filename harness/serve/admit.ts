/**
 * From what a client sent to the headers that filters see, or to the answer that it gets instead: what Envoy's codecs and
 * connection manager do before the first filter. Pure. Where it isn't sure it refuses.
 */
import { toByteString } from "../host/bytes.ts";
import { removeForeignHeaders } from "../host/edge-headers.ts";
import { HeaderMap } from "../host/index.ts";
import { normalizePath, type PathOptions } from "../host/normalize-path.ts";

export interface RawRequest {
  protocol: "HTTP/1.0" | "HTTP/1.1" | "HTTP/2";
  method: string;
  /** HTTP/1's request target, HTTP/2's `:path`; empty where there is none. */
  target: string;
  /** HTTP/2's `:authority` and `:scheme`. */
  authority?: string;
  scheme?: string;
  /** Byte strings in order, names as they came; without pseudo headers. */
  pairs: readonly (readonly [string, string])[];
}

export interface AdmitOptions extends PathOptions {
  maxHeaders: number;
  maxHeaderBytes: number;
  tls: boolean;
  /** The physical peer. */
  peerAddress: string;
  /** What stands in X-Forwarded-For for a peer on this machine: the address under which others know it. */
  nodeAddress: string;
  /** What filters are told of the client's certificate. */
  forwardedCertificate?: string | undefined;
}

export interface Refusal {
  status: number;
  body: string;
  details: string;
  /** Flat byte strings. */
  headers: string[];
  /** HTTP/2 clients get a reset in place of an answer. */
  reset?: boolean;
}

/** A refused request may have got as far as headers, which its log shows. */
export type Admission = { headers: HeaderMap; refusal?: undefined } | { headers?: HeaderMap; refusal: Refusal };

const refuse = (status: number, body: string, details: string, more: Partial<Refusal> = {}): { refusal: Refusal } => ({ refusal: { status, body, details, headers: [], ...more } });
const malformed = (details: string): { refusal: Refusal } => refuse(400, "Bad Request", details, { reset: true });

/** A client may not have these taken out by naming them in Connection. */
const KEPT = /^(:|x-forwarded-|forwarded$|host$|cookie$|content-length$|authorization$)/;
const TARGET = /^[\x21-\x7e]*$/;
const HOST = /^[A-Za-z0-9!$%&'()*+,;=:@._~[\]-]*$/;
const ABSOLUTE = /^(https?):\/\/([^/?#]+)(\/.*)?$/i;

export function admit(raw: RawRequest, options: AdmitOptions): Admission {
  const early = codecChecks(raw, options);
  if (early) return early;
  const target = targetOf(raw, options);
  if ("refusal" in target) return target;
  const headers = headersOf(raw, target, options);
  if (!(headers instanceof HeaderMap)) return headers;
  if (target.status404) return { headers, ...refuse(404, "", "absolute_path") };
  // Filters see nothing of these, so what the log says of the path is what came.
  const normal = normalizePath(target.path, options);
  if (normal.action === "reject") return { headers, ...refuse(400, "", "path_normalization_failed") };
  headers.assign(":path", normal.path);
  if (normal.action === "redirect") {
    if (/^application\/grpc(?:$|\+)/.test(headers.get("content-type") ?? "")) return { headers, ...refuse(400, "", "path_normalization_failed") };
    return { headers, ...refuse(307, "", "path_normalization_redirect", { headers: ["location", normal.path] }) };
  }
  sanitize(headers, raw, options);
  return { headers };
}

function codecChecks({ protocol, pairs }: RawRequest, options: AdmitOptions): { refusal: Refusal } | undefined {
  const name = protocol === "HTTP/2" ? "http2" : "http1";
  let bytes = 0;
  for (const [header, value] of pairs) {
    if (header.includes("_")) return malformed(`${name}.unexpected_underscore`);
    bytes += header.length + value.length;
  }
  if (pairs.length > options.maxHeaders) return refuse(431, "Request Header Fields Too Large", `${name}.too_many_headers`, { reset: true });
  if (bytes > options.maxHeaderBytes) return refuse(431, "Request Header Fields Too Large", `${name}.headers_too_large`, { reset: true });
  if (protocol === "HTTP/1.0") return refuse(426, "Upgrade Required", "low_version");
  return undefined;
}

interface Target {
  path: string;
  authority: string;
  status404?: boolean;
}

function targetOf(raw: RawRequest, { tls }: AdmitOptions): Target | { refusal: Refusal } {
  const hosts = raw.pairs.filter(([name]) => name.toLowerCase() === "host").map(([, value]) => value);
  // RFC 9112 has one or none; two that Envoy would join with a comma are nobody's host.
  if (hosts.length > 1) return malformed("http1.duplicate_host");
  let authority = raw.authority ?? hosts[0];
  if (authority === undefined) return refuse(400, "", "missing_host_header");
  if (raw.authority !== undefined && hosts[0] !== undefined && hosts[0] !== raw.authority) return malformed("http2.host_differs_from_authority");
  let path = raw.target;
  const absolute = raw.protocol === "HTTP/2" ? null : ABSOLUTE.exec(path);
  if (absolute) {
    const secure = absolute[1]!.toLowerCase() === "https";
    if (secure && !tls) return refuse(403, "Forbidden", "http1.https_over_plaintext");
    if (!secure && tls) return malformed("http1.http_over_tls");
    authority = absolute[2]!;
    path = absolute[3] ?? "/";
  }
  if (!HOST.test(authority)) return malformed("http.invalid_authority");
  if (raw.method === "OPTIONS" && path === "*") return { path: "/", authority, status404: true };
  if (raw.method === "CONNECT") return { path: "/", authority, status404: true };
  if (!path.startsWith("/") || !TARGET.test(path)) return malformed("http.invalid_path");
  return { path, authority };
}

/** The client's headers with Envoy's pseudo headers ahead. */
function headersOf(raw: RawRequest, { path, authority }: Target, { tls }: AdmitOptions): HeaderMap | { refusal: Refusal } {
  const scheme = raw.scheme ?? (tls ? "https" : "http");
  const nominated = nominatedHeaders(raw);
  if (nominated === undefined) return refuse(400, "", "connection_header_rejected");
  const headers = HeaderMap.fromPairs([[":authority", authority], [":path", path], [":method", raw.method], [":scheme", scheme]], "request");
  for (const [name, value] of raw.pairs) {
    const lower = name.toLowerCase();
    if (lower !== "host" && !nominated.has(lower)) headers.add(lower, value);
  }
  return headers;
}

/** What Connection declares to be of this hop; undefined: something that isn't for a client to remove. */
function nominatedHeaders(raw: RawRequest): Set<string> | undefined {
  const tokens = raw.pairs.filter(([name]) => name.toLowerCase() === "connection").flatMap(([, value]) => value.split(",").map((token) => token.trim().toLowerCase()));
  const nominated = new Set(tokens.filter((token) => token !== "" && token !== "te" && token !== "upgrade" && token !== "close"));
  return [...nominated].some((token) => KEPT.test(token)) ? undefined : nominated;
}

/** Whether a client asks for another protocol on its connection. */
export function upgradeOf(raw: RawRequest): string | undefined {
  if (raw.protocol === "HTTP/2") return undefined;
  const value = (wanted: string): string => raw.pairs.filter(([name]) => name.toLowerCase() === wanted).map(([, each]) => each).join(",");
  const asks = value("connection").split(",").some((token) => token.trim().toLowerCase() === "upgrade");
  return asks && value("upgrade") !== "" ? value("upgrade") : undefined;
}

function sanitize(headers: HeaderMap, raw: RawRequest, { tls, peerAddress, nodeAddress, forwardedCertificate }: AdmitOptions): void {
  removeForeignHeaders(headers, upgradeOf(raw) !== undefined);
  headers.remove("x-forwarded-client-cert");
  if (forwardedCertificate !== undefined) headers.add("x-forwarded-client-cert", toByteString(forwardedCertificate));
  const forwarded = headers.get("x-forwarded-for");
  const from = /^127\.|^::1$/.test(peerAddress) ? nodeAddress : peerAddress;
  headers.assign("x-forwarded-for", forwarded === undefined || forwarded === "" ? from : `${forwarded},${from}`);
  headers.assign("x-forwarded-proto", tls ? "https" : "http");
  headers.assign("x-envoy-external-address", peerAddress);
}

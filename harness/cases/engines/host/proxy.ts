/** What Envoy's connection manager, set up as compose does it, makes of a request before the first filter sees it. */
import { networkInterfaces } from "node:os";
import type { HeaderPairs } from "../../messages.ts";
import type { RequestPlan } from "../../plan.ts";
import { MAX_HEADERS, MAX_HEADERS_KB } from "../../../compose/emit/hcm.ts";
import { removeForeignHeaders } from "../../../host/edge-headers.ts";
import { HeaderMap } from "../../../host/index.ts";
import { normalizePath } from "../../../host/normalize-path.ts";

/** Envoy answers by itself, or (without a status) breaks the stream off: no filter sees the request. */
export interface OwnAnswer {
  status?: number;
  details: string;
  headers: HeaderPairs;
}

/** The headers as filters get them, pseudo headers first; or why none does. */
export function proxied(request: RequestPlan): { headers: HeaderPairs; own?: OwnAnswer } {
  const { method, host, tls } = request;
  const pseudo = (path: string): HeaderPairs => {
    const authority: HeaderPairs = host === null ? [] : [[":authority", host]];
    const [verb, scheme]: HeaderPairs = [[":method", method], [":scheme", tls ? "https" : "http"]];
    // HTTP/2's are as the client sends them, those of HTTP/1 as Envoy's codec makes them.
    return request.protocol === "http2" ? [verb!, scheme!, [":path", path], ...authority] : [...authority, [":path", path], verb!, scheme!];
  };
  const own = (status: number | undefined, details: string, headers: HeaderPairs = []) => ({ headers: [...pseudo(request.path), ...request.headers], own: { ...(status !== undefined && { status }), details, headers } });
  const broken = codecError(request);
  if (broken) return { headers: [], own: { ...(request.protocol !== "http2" && { status: broken.status }), details: broken.details, headers: [] } };
  if (host === null) return request.protocol === "http2" ? own(undefined, "http2.violation.of.messaging.rule") : own(400, "missing_host_header");
  if (request.path === "*") return own(404, "absolute_path_rejected");
  const normal = normalizePath(request.path);
  if (normal.action === "reject") return own(400, "path_normalization_failed");
  if (normal.action === "redirect") return own(307, "path_normalization_failed", [["location", normal.path]]);
  return { headers: [...pseudo(normal.path), ...forwarded(request)] };
}

/** What Envoy's codec doesn't let through: over HTTP/1 it answers, without a look at the headers; a stream of HTTP/2 it breaks off. */
function codecError({ protocol, method, path, headers }: RequestPlan): { status: number; details: string } | undefined {
  const http2 = protocol === "http2";
  const name = http2 ? "http2" : "http1";
  if (headers.some(([each]) => each.includes("_"))) return { status: 400, details: `${name}.unexpected_underscore` };
  // With Host and Connection, or with HTTP/2's four pseudo headers.
  if (headers.length + (http2 ? 4 : 2) > MAX_HEADERS) return { status: 431, details: `${name}.too_many_headers` };
  const bytes = headers.reduce((sum, [each, value]) => sum + Buffer.byteLength(each) + Buffer.byteLength(value), 0);
  if (bytes > MAX_HEADERS_KB * 1024) return { status: 431, details: http2 ? "http2.header_list_size_too_large" : "http1.headers_too_large" };
  if (path.startsWith("/") || (path === "*" && method === "OPTIONS")) return undefined;
  if (http2) return { status: 400, details: "http2.violation.of.messaging.rule" };
  return { status: 400, details: path === "*" ? "http1.invalid_url" : "http1.codec_error" };
}

let machine: string | undefined;

/** The first address that isn't loopback, in the system's order. */
function machineAddress(): string {
  machine ??= Object.values(networkInterfaces()).flat().find((each) => each !== undefined && each.family === "IPv4" && !each.internal)?.address ?? "127.0.0.1";
  return machine;
}

/** What of its headers filters see; it says itself where a request comes from. */
function forwarded({ headers: sent, source, tls }: RequestPlan): HeaderPairs {
  const map = HeaderMap.from(sent, "request");
  removeForeignHeaders(map, false);
  const headers = map.toList();
  // A client on this machine is shown by an address of the machine that others can reach: Envoy does so too.
  const shown = source.startsWith("127.") || source === "::1" ? machineAddress() : source.toLowerCase();
  const came = [...headers.filter(([name]) => name === "x-forwarded-for").map(([, value]) => value), shown];
  return [
    ...headers.filter(([name]) => name !== "x-forwarded-for" && name !== "x-forwarded-proto" && name !== "x-envoy-external-address"),
    ["x-forwarded-for", came.join(",")],
    ["x-forwarded-proto", tls ? "https" : "http"],
    ["x-envoy-external-address", source.toLowerCase()],
  ];
}

/** What Envoy's connection manager, set up as compose does it, makes of a request before the first filter sees it. */
import { networkInterfaces } from "node:os";
import type { HeaderPairs } from "../../messages.ts";
import type { RequestPlan } from "../../plan.ts";
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
  const pseudo = (path: string): HeaderPairs => [...(host === null ? [] : ([[":authority", host]] as HeaderPairs)), [":path", path], [":method", method], [":scheme", tls ? "https" : "http"]];
  const own = (status: number | undefined, details: string, headers: HeaderPairs = []) => ({ headers: [...pseudo(request.path), ...request.headers], own: { ...(status !== undefined && { status }), details, headers } });
  if (host === null) return request.protocol === "http2" ? own(undefined, "http2.violation.of.messaging.rule") : own(400, "missing_host_header");
  // What is no path ("*") stays as it is.
  const normal = request.path.startsWith("/") ? normalizePath(request.path) : ({ path: request.path, action: "continue" } as const);
  if (normal.action === "reject") return own(400, "path_normalization_failed");
  if (normal.action === "redirect") return own(307, "path_normalization_failed", [["location", normal.path]]);
  return { headers: [...pseudo(normal.path), ...forwarded(request)] };
}

let machine: string | undefined;

/** The first address that isn't loopback, in the system's order. */
function machineAddress(): string {
  machine ??= Object.values(networkInterfaces()).flat().find((each) => each !== undefined && each.family === "IPv4" && !each.internal)?.address ?? "127.0.0.1";
  return machine;
}

/** It says itself where a request comes from. */
function forwarded({ headers, source, tls }: RequestPlan): HeaderPairs {
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

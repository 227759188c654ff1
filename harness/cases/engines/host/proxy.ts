/** What Envoy's connection manager, set up as compose does it, makes of a request before the first filter sees it. Pure. */
import type { HeaderPairs } from "../../messages.ts";
import type { RequestPlan } from "../../plan.ts";

/** Envoy answers by itself: no filter sees the request. */
export interface OwnAnswer {
  status: number;
  details: string;
  headers: HeaderPairs;
}

/** The headers as filters get them, pseudo headers first; or why none does. */
export function proxied(request: RequestPlan): { headers: HeaderPairs; own?: OwnAnswer } {
  const { method, host, tls } = request;
  const pseudo = (path: string): HeaderPairs => [...(host === null ? [] : ([[":authority", host]] as HeaderPairs)), [":path", path], [":method", method], [":scheme", tls ? "https" : "http"]];
  const own = (status: number, details: string, headers: HeaderPairs = []) => ({ headers: [...pseudo(request.path), ...request.headers], own: { status, details, headers } });
  if (host === null) return own(400, "missing_host_header");
  return { headers: [...pseudo(request.path), ...forwarded(request)] };
}

/** It says itself where a request comes from. */
function forwarded({ headers, source, tls }: RequestPlan): HeaderPairs {
  const came = [...headers.filter(([name]) => name === "x-forwarded-for").map(([, value]) => value), source.toLowerCase()];
  return [
    ...headers.filter(([name]) => name !== "x-forwarded-for" && name !== "x-forwarded-proto" && name !== "x-envoy-external-address"),
    ["x-forwarded-for", came.join(",")],
    ["x-forwarded-proto", tls ? "https" : "http"],
    ["x-envoy-external-address", source.toLowerCase()],
  ];
}

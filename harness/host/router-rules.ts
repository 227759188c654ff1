import { fromByteString } from "./bytes.ts";
import type { HeaderMap } from "./header-map.ts";

/**
 * What Envoy's router and filter manager demand of headers that filters have changed.
 * Source: Envoy `source/common/http/header_utility.cc`, `source/common/router/`; each rule measured on 1.40.
 */

/** Bits of `response.flags`. */
export const ResponseFlag = { UpstreamConnectionTermination: 1 << 6, NoRouteFound: 1 << 8, DownstreamConnectionTermination: 1 << 14, DownstreamProtocolError: 1 << 18, UpstreamProtocolError: 1 << 23 } as const;

const NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]*$/;
const CONTROL = /[\x00-\x08\x0a-\x1f\x7f]/;

/** Why the router doesn't send a request with these headers; undefined: it does. */
export function requestProblem(headers: HeaderMap): string | undefined {
  const method = headers.get(":method");
  if (method === undefined) return "missing required header: :method";
  if (method === "CONNECT" && headers.get(":authority") === undefined) return "missing required header: :authority";
  if (method === "CONNECT" && headers.get(":path") !== undefined && headers.get(":protocol") === undefined) return "missing required header: :protocol";
  const { entries } = headers;
  for (let i = 0; i < entries.length; i += 2) {
    const name = entries[i]!;
    if (!name.startsWith(":") && !NAME.test(name)) return `invalid header name: ${escaped(name)}`;
    if (CONTROL.test(entries[i + 1]!)) return `invalid header value for: ${escaped(name)}`;
  }
  return undefined;
}

/** Why the filter manager sends no response with these headers; undefined: it does. */
export function responseProblem(headers: HeaderMap): string | undefined {
  const status = headers.get(":status");
  return status !== undefined && /^\s*\+?\d{1,20}\s*$/.test(status) ? undefined : "missing required header: :status";
}

/** Details of the response code for a problem. */
export const problemDetails = (side: "request" | "response", problem: string): string => `filter_removed_required_${side}_headers{${fromByteString(problem).replace(/\s/g, "_")}}`;

const ESCAPES: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t", '"': '\\"', "'": "\\'", "\\": "\\\\" };

/** As in C. */
function escaped(text: string): string {
  return text.replace(/[\x00-\x1f\x7f"'\\]/g, (c) => ESCAPES[c] ?? `\\${c.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

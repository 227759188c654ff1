/** Forms of single values in an AuthorizationPolicy. Each function returns what is wrong, or undefined. */
import { isIP } from "node:net";

/**
 * `*`, `prefix*`, `*suffix` and exact values. A `*` anywhere else is taken literally by Istio, so that the value never
 * matches what its author meant (istio#46910): refused, since for a DENY that is fail-open.
 */
export function wildcardProblem(value: string): string | undefined {
  const inner = value.startsWith("*") ? value.slice(1) : value.endsWith("*") ? value.slice(0, -1) : value;
  return inner.includes("*") ? "a wildcard stands only at the start or at the end: this * would be taken literally" : undefined;
}

/** A path with braces: `{*}` for one segment, `{**}` for any rest; each a segment of its own. */
export function templateProblem(value: string): string | undefined {
  if (!value.startsWith("/")) return "a path template starts with /";
  const segments = value.slice(1).split("/");
  let operators = 0;
  let ended = false;
  for (const [i, segment] of segments.entries()) {
    if (segment === "" && i < segments.length - 1) return "a path template has no empty segment";
    if (segment === "{*}" || segment === "{**}") {
      if (ended) return "{**} is the last operator of a path template";
      operators += 1;
      ended = segment === "{**}";
    } else if (/[{}*]/.test(segment)) {
      return "in a path template only whole segments {*} and {**} are operators; no names, no other * or braces";
    }
  }
  return operators > 5 ? "a path template has at most five operators" : undefined;
}

/** An address or a CIDR range. */
export function cidrProblem(value: string): string | undefined {
  const [address = "", bits, ...rest] = value.split("/");
  const family = address.includes("%") ? 0 : isIP(address);
  if (family === 0 || rest.length > 0) return "this is no IP address or CIDR range";
  if (bits === undefined) return undefined;
  const most = family === 4 ? 32 : 128;
  return /^(0|[1-9]\d{0,2})$/.test(bits) && Number(bits) <= most ? undefined : `a prefix length is 0 to ${most}`;
}

export function portProblem(value: string): string | undefined {
  return /^\d{1,5}$/.test(value) && Number(value) <= 65535 ? undefined : "a port is a number from 0 to 65535, without ranges";
}

/** `name` (in the policy's namespace) or `namespace/name`. */
export function serviceAccountProblem(value: string): string | undefined {
  if (value.includes("*")) return "service accounts take no wildcard";
  if (value.length > 320) return "a service account has at most 320 characters";
  return /^[^/]+(\/[^/]+)?$/.test(value) ? undefined : "a service account is name or namespace/name";
}

/** Namespaces take wildcards anywhere. */
export function nameProblem(value: string): string | undefined {
  return value.includes("/") ? "a namespace has no slash" : undefined;
}

export function trustDomainProblem(value: string): string | undefined {
  return value.includes("/") ? "a trust domain has no slash" : wildcardProblem(value);
}

/** `<issuer>/<subject>`, split at its last slash; a `*` in front takes the subject literally, one at the end the issuer. */
export function requestPrincipalProblem(value: string): string | undefined {
  if (!value.includes("/") && !value.includes("*")) return "a request principal is <issuer>/<subject>: this one only a token without subject would have";
  return wildcardProblem(value);
}

/** `[x]`: a list has x. */
export const isListed = (value: string): boolean => value.startsWith("[") && value.endsWith("]");

export function metadataProblem(value: string): string | undefined {
  if (!isListed(value)) return wildcardProblem(value);
  const inner = value.replace(/^[[\]]+|[[\]]+$/g, "");
  return inner === "" ? "nothing stands in the brackets" : wildcardProblem(inner);
}

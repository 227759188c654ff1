/** Values that match less than they seem to: harmless where they allow, an open door where they deny. */
import type { Report } from "../compose/report.ts";
import type { Path } from "../compose/source.ts";
import { placeOf, restricts, type Policy, type Rule } from "./clauses.ts";
import { isTemplate, listCovers } from "./cover.ts";
import type { Attached } from "./attached.ts";

/** What is odd about a value, and what to do. `never`: it matches no request at all. */
interface Oddity {
  code: string;
  message: string;
  fix: string;
  never?: boolean;
}

export function lintValues(rule: Rule, attached: Attached, report: Report): void {
  const seen = new Set<string>();
  for (const constraint of rule.clauses.flatMap((clause) => clause.constraints)) {
    // The same place occurs in several clauses.
    const place = JSON.stringify(placeOf(constraint));
    if (seen.has(place)) continue;
    seen.add(place);
    const { attribute } = constraint;
    for (const list of ["values", "notValues"] as const) {
      // Does a request that matches the value lose access? Then one that slips past it gains some.
      const restrictive = restricts(rule.policy) === (list === "values");
      constraint[list].forEach((value, i) => {
        for (const oddity of oddities(attribute, value, constraint[list], restrictive, rule.policy, attached)) {
          reportOddity(oddity, restrictive, rule.policy, [...constraint.at[list], i], value, report);
        }
      });
    }
  }
}

function reportOddity(oddity: Oddity, restrictive: boolean, policy: Policy, path: Path, value: string, report: Report): void {
  const severe = restrictive && oddity.never === true;
  report[severe ? "error" : "warn"](oddity.code, policy, path, `${oddity.message}${severe ? ": nothing is denied by it" : ""}`, { found: JSON.stringify(value), fix: oddity.fix });
}

function oddities(attribute: string, value: string, list: string[], restrictive: boolean, policy: Policy, attached: Attached): Oddity[] {
  const blank = attribute === "path" ? /[\0-\x1f\x7f]/ : /[\0-\x1f\x7f]|^ | $/;
  if (!attribute.startsWith("request.auth.") && blank.test(value)) return [{ code: "value-blank", never: true, message: "no request has a value with a control character, or with a blank at its start or end", fix: `use ${JSON.stringify(value.replace(/[\0-\x1f\x7f]/g, "").trim())}` }];
  const header = /^request\.headers\[(.+)\]$/.exec(attribute)?.[1];
  if (header !== undefined && !/^:?[a-z0-9!#$%&'*+\-.^_`|~]+$/.test(header)) return [{ code: "header-name", never: true, message: `no header has the name "${header}"`, fix: "write the name alone, as in request.headers[x-role]" }];
  switch (attribute) {
    case "connection.sni": return sniOddities(policy, attached);
    case "path": return pathOddities(value, list, restrictive);
    case "host": return hostOddities(value, list, restrictive);
    case "method": return methodOddities(value);
    case "source.principal": return principalOddities(value);
    case "destination.port": return portOddities(value, policy, attached);
    default: return [];
  }
}

function pathOddities(value: string, list: string[], restrictive: boolean): Oddity[] {
  const odd = /\/\/|\/\.\.?(\/|$)|%2f|%5c|[?#]/i.exec(value);
  if (odd) return [{ code: "path-never-matches", never: true, message: `no path looks like this when policies are asked: "${odd[0]}" was normalised away, or is not part of the path`, fix: "write the path as the backend sees it, without a query" }];
  if (!value.startsWith("/") && !value.startsWith("*")) return [{ code: "path-never-matches", never: true, message: "a path starts with a slash", fix: `use "/${value}"` }];
  if (!restrictive) return [];
  if (isTemplate(value)) {
    const start = value.slice(0, value.indexOf("{"));
    return [{ code: "deny-template", message: `{*} and {**} stand for letters, digits and -._~%!$&'()*+,;:@= only: a path with another character, such as ${start}a|b over HTTP/2, slips past`, fix: `use the prefix "${start}*"` }];
  }
  const covered = (path: string): boolean => listCovers("path", list, path);
  if (value.endsWith("*")) {
    const bare = value.slice(0, -2);
    return value.endsWith("/*") && bare !== "" && !covered(bare) ? [{ code: "path-boundary", message: `${bare} itself, without the slash, slips past`, fix: `add "${bare}"` }] : [];
  }
  if (value.startsWith("*")) return [{ code: "path-suffix", message: `what ends in another way slips past, and some backends take it for the same: ${value.slice(1)}/ or ${value.slice(1)};a=b`, fix: "deny a prefix, or allow what is meant to be reached" }];
  return value === "/" || covered(`${value}/`) ? [] : [{ code: "path-boundary", message: `only this very path is denied: ${value}/ and ${value};a=b, which some backends take for the same, slip past`, fix: `add "${value}/*"` }];
}

function hostOddities(value: string, list: string[], restrictive: boolean): Oddity[] {
  if (value === "*") return [];
  if (value.includes("/")) return [{ code: "host-form", never: true, message: "a host has no scheme and no path", fix: `use "${value.replace(/^[a-z]+:\/\//i, "").replace(/\/.*/s, "")}"` }];
  const result: Oddity[] = [];
  if (value.endsWith("*") && !value.endsWith(":*") && !restrictive) {
    result.push({ code: "host-prefix", message: `a prefix of a host name is chosen by whoever registers the rest: ${value.slice(0, -1)}evil.example matches too`, fix: "name the hosts, or a suffix" });
  }
  const hasPort = /:(\d+|\*)$/.test(value) || value.endsWith("*");
  if (!hasPort && !listCovers("host", list, `${value.replace(/^\*/, "x")}:1`)) {
    result.push({ code: "host-port", message: `a client may write a port behind the host, and then this doesn't match${restrictive ? ": the request slips past" : ""}`, fix: value.startsWith("*") ? "match by path or port instead: a suffix can't carry any port" : `add "${value}:*"` });
  }
  return result;
}

function sniOddities(policy: Policy, attached: Attached): Oddity[] {
  const sockets = attached.sockets(policy);
  if (sockets.length === 0 || sockets.some(({ listeners }) => listeners.some(({ tls }) => tls !== undefined))) return [];
  return [{ code: "sni-without-tls", never: true, message: `only TLS tells a server name, and ${sockets.map(({ name }) => name).join(", ")} has none`, fix: "match by hosts, or have the listener terminate TLS" }];
}

function methodOddities(value: string): Oddity[] {
  const letters = value.replaceAll("*", "");
  if (letters === letters.toUpperCase()) return [];
  return [{ code: "method-case", never: true, message: "methods are compared as they are written, and HTTP's are in upper case", fix: `use "${value.toUpperCase()}"` }];
}

function principalOddities(value: string): Oddity[] {
  if (/^\*?spiffe:\/\//i.test(value)) return [{ code: "principal-form", never: true, message: "a principal is written without spiffe://", fix: `use "${value.replace(/spiffe:\/\//i, "")}"` }];
  if (value.includes("*") || /^[^/]+\/ns\/[^/]+\/sa\/[^/]+$/.test(value)) return [];
  return [{ code: "principal-form", message: "the identities of workloads look different", fix: "write <trust domain>/ns/<namespace>/sa/<service account>" }];
}

/** The port is the listener's, where Istio's sidecars would see the workload's. */
function portOddities(value: string, policy: Policy, attached: Attached): Oddity[] {
  const ports = attached.sockets(policy).map((socket) => String(socket.port));
  if (ports.length === 0 || ports.includes(value)) return [];
  return [{ code: "port-unknown", never: true, message: `requests arrive at the node's listeners, on port ${[...new Set(ports)].join(", ")}, and at no other`, fix: "name a listener's port, or select the workload by namespace, selector or targetRefs" }];
}

/**
 * Requests that fulfil conditions, or nearly do: tried out on the module, they show that something can be reached, or that two
 * versions of a policy differ. What they fulfil is only meant; the module says what is so.
 */
import { isIP } from "node:net";
import { lastAddress } from "../compose/check/network.ts";
import type { Json } from "../host/index.ts";
import type { Attribute, Condition } from "./conditions.ts";
import type { AccessRequest } from "./request.ts";

/** Nobody's: values that no policy names. */
export const OUTSIDER = { peer: ["spiffe://selvedge.invalid/ns/nowhere/sa/nobody"], address: "203.0.113.77", host: "unnamed.example", segment: "x7" };
export const METHODS = ["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS", "PROPFIND"];

/** Texts that a value of a field stands for: itself, or what its wildcards may be. */
export function instances(value: string, filler: string): string[] {
  if (/\{\*{1,2}\}/.test(value)) {
    const one = value.replaceAll("{*}", filler);
    return [...new Set([one.replaceAll("{**}", filler), one.replaceAll("{**}", `${filler}/${filler}`), one.replaceAll("{**}", "")])];
  }
  if (value === "*") return [filler];
  if (value.startsWith("*")) return [filler + value.slice(1), value.slice(1)];
  if (value.endsWith("*")) return [value.slice(0, -1) + filler, value.slice(0, -1)];
  return [value];
}

/** Changes one part of a request so that it is what a condition's value asks; several ways where a value has wildcards. */
export function applying(attribute: Attribute, value: string): ((request: AccessRequest) => AccessRequest)[] {
  switch (attribute) {
    case "principal":
      return instances(value, "td/ns/any/sa/any").map((text) => peer(`spiffe://${text}`));
    case "namespace":
      return instances(value, "any").map((text) => peer(`spiffe://cluster.local/ns/${text}/sa/any`));
    case "serviceAccount":
      return [peer(`spiffe://cluster.local/ns/${value.replace("/", "/sa/")}`)];
    case "trustDomain":
      return instances(value, "any").map((text) => peer(`spiffe://${text}/ns/any/sa/any`));
    case "source.ip":
      return addressesOf(value).map((address) => set("direct", address));
    case "remote.ip":
      return addressesOf(value).map((address) => set("remote", address));
    case "destination.ip":
      return addressesOf(value).map((address) => (request: AccessRequest) => ({ ...request, local: { ...request.local, address } }));
    case "port":
      return [(request) => ({ ...request, local: { ...request.local, port: Number(value) } })];
    case "host":
      return instances(value, "any").map((text) => set("host", text));
    case "method":
      return instances(value, "GET").map((text) => set("method", text));
    case "path":
      return instances(value, "a").map((text) => set("path", text.startsWith("/") ? text : `/${text}`));
    case "sni":
      return instances(value, "any.example").map((text) => set("sni", text));
    default:
      return other(attribute, value);
  }
}

function other(attribute: Attribute, value: string): ((request: AccessRequest) => AccessRequest)[] {
  if (attribute.startsWith("header ")) return instances(value, "any").map((text) => header(attribute.slice("header ".length), text));
  if (!attribute.startsWith("jwt ")) return [];
  const field = attribute.slice("jwt ".length);
  if (field === "principal") {
    const at = value.lastIndexOf("/");
    const [issuer, subject] = at < 0 ? [value, "any"] : [value.slice(0, at), value.slice(at + 1)];
    return [claims([["iss"], instances(issuer, "any")[0]!], [["sub"], instances(subject, "any")[0]!])];
  }
  const path = field === "audiences" ? ["aud"] : field === "presenter" ? ["azp"] : [...field.matchAll(/\[([^\]]*)\]/g)].map((match) => match[1]!);
  return path.length === 0 ? [] : instances(value, "any").map((text) => claims([path, text]));
}

/** What an attribute may also be: not named by anyone, or not there. */
export function elsewhere(attribute: Attribute): ((request: AccessRequest) => AccessRequest)[] {
  switch (attribute) {
    case "principal":
    case "namespace":
    case "serviceAccount":
    case "trustDomain":
      return [set("peer", OUTSIDER.peer), set("peer", undefined)];
    case "source.ip":
      return [set("direct", OUTSIDER.address)];
    case "remote.ip":
      return [set("remote", OUTSIDER.address)];
    case "destination.ip":
      return [(request) => ({ ...request, local: { ...request.local, address: OUTSIDER.address } })];
    case "port":
      return [(request) => ({ ...request, local: { ...request.local, port: 65_333 } })];
    case "host":
      return [set("host", OUTSIDER.host)];
    case "method":
      return METHODS.map((method) => set("method", method));
    case "path":
      return [(request) => ({ ...request, path: `${request.path.replace(/\/$/, "")}/${OUTSIDER.segment}` }), (request) => ({ ...request, path: `${request.path}${OUTSIDER.segment}` }), set("path", "/"), set("path", `/${OUTSIDER.segment}`)];
    case "sni":
      return [set("sni", OUTSIDER.host), set("sni", undefined)];
    default:
      if (attribute.startsWith("header ")) {
        const name = attribute.slice("header ".length);
        return [(request) => ({ ...request, headers: request.headers.filter(([each]) => each !== name) }), header(name, OUTSIDER.segment)];
      }
      return [set("claims", undefined)];
  }
}

/** The ways to change a request so that this condition should hold. */
export function fulfilling({ attribute, negated, values }: Condition, most = 24): ((request: AccessRequest) => AccessRequest)[] {
  return negated ? elsewhere(attribute) : values.slice(0, most).flatMap((value) => applying(attribute, value));
}

function set<K extends keyof AccessRequest>(key: K, value: AccessRequest[K]): (request: AccessRequest) => AccessRequest {
  return (request) => ({ ...request, [key]: value });
}

const peer = (uri: string) => set("peer", [uri]);

function header(name: string, value: string): (request: AccessRequest) => AccessRequest {
  if (name === "host" || name === ":authority") return set("host", value);
  if (name === ":method") return set("method", value);
  if (name === ":path") return set("path", value);
  return (request) => ({ ...request, headers: [...request.headers.filter(([each]) => each !== name), [name, value]] });
}

function claims(...entries: [path: string[], value: string][]): (request: AccessRequest) => AccessRequest {
  return (request) => {
    const root = structuredClone(request.claims ?? { iss: "any", sub: "any" }) as Record<string, Json>;
    for (const [path, value] of entries) {
      let at = root as Record<string, unknown>;
      for (const step of path.slice(0, -1)) at = (at[step] = typeof at[step] === "object" && at[step] !== null ? at[step] : {}) as Record<string, unknown>;
      at[path.at(-1)!] = value;
    }
    return { ...request, claims: root };
  };
}

/** Of the network's addresses, its own and the highest. */
function addressesOf(cidr: string): string[] {
  const address = cidr.split("/", 1)[0]!;
  return isIP(address) ? [...new Set([address, lastAddress(cidr)])] : [OUTSIDER.address];
}

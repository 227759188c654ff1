/** What a request has where a condition looks, in words. */
import { headersOf } from "../decide/module.ts";
import { peerText, splitPath, type AccessRequest } from "../decide/request.ts";
import { isHttp, type Attribute } from "../decide/conditions.ts";

const quoted = (text: string): string => JSON.stringify(text);

export function foundFor(attribute: Attribute, request: AccessRequest): string {
  if (request.connection && isHttp(attribute)) return "nothing: connections have none";
  switch (attribute) {
    case "principal":
      return request.peer?.length ? quoted(peerText(request.peer)) : peerText(request.peer);
    case "namespace":
    case "serviceAccount":
    case "trustDomain":
      return identityPart(attribute, request.peer);
    case "source.ip":
      return request.direct;
    case "remote.ip":
      return request.remote;
    case "destination.ip":
      return request.local.address;
    case "port":
      return String(request.local.port);
    case "host":
      return quoted(request.host);
    case "method":
      return quoted(request.method);
    case "path":
      return quoted(splitPath(request.path).path);
    case "sni":
      return request.sni === undefined ? "no server name" : quoted(request.sni);
    default:
      return other(attribute, request);
  }
}

function identityPart(attribute: Attribute, peer: readonly string[] | undefined): string {
  const uri = peer?.[0];
  const parts = uri === undefined ? null : /^spiffe:\/\/([^/]*)(?:.*?\/ns\/([^/]+)(?:\/.*?sa\/([^/]+))?)?/.exec(uri);
  const part = attribute === "trustDomain" ? parts?.[1] : attribute === "namespace" ? parts?.[2] : parts?.[3] && `${parts[2]}/${parts[3]}`;
  return part ? quoted(part) : uri === undefined ? peerText(peer) : `none in ${quoted(peerText(peer))}`;
}

function other(attribute: Attribute, request: AccessRequest): string {
  if (attribute.startsWith("header ")) {
    const name = attribute.slice("header ".length);
    // Policies see what Envoy adds, too, and `host` as `:authority`.
    const values = headersOf(request).filter(([each]) => each.toLowerCase() === (name === "host" ? ":authority" : name)).map(([, value]) => value);
    return values.length === 0 ? "no such header" : values.map(quoted).join(", ");
  }
  if (!attribute.startsWith("jwt ")) return "unknown here";
  if (!request.claims) return "no verified JWT";
  const claim = (name: string): unknown => request.claims![name];
  const field = attribute.slice("jwt ".length);
  const path = field.startsWith("claims") ? [...field.matchAll(/\[([^\]]*)\]/g)].map((match) => match[1]!) : undefined;
  const value = path
    ? path.reduce<unknown>((at, step) => (at !== null && typeof at === "object" && Object.hasOwn(at, step) ? (at as Record<string, unknown>)[step] : undefined), request.claims)
    : field === "principal" ? `${String(claim("iss"))}/${String(claim("sub"))}` : claim(field === "audiences" ? "aud" : field === "presenter" ? "azp" : field);
  return value === undefined ? "no such claim" : JSON.stringify(value);
}

/** What the condition wants. */
export function expectedBy({ negated, values }: { negated: boolean; values: readonly string[] }): string {
  const listed = values.slice(0, 6).map(quoted).join(", ") + (values.length > 6 ? ` and ${values.length - 6} more` : "");
  if (negated) return values.length === 1 ? `anything but ${listed}` : `none of ${listed}`;
  return values.length === 1 ? listed : `one of ${listed}`;
}

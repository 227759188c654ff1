/** Policies that come signed: what of the authz filter's configuration a bundle carries, and what of it stays mounted. Pure. */
import { AUDIENCE } from "../resolve/bundle.ts";
import type { BundleSource } from "../resolve/model.ts";
import type { Config, Json } from "./config.ts";

/** A bundle that is mounted, so that the node starts without a network; whoever gives it has verified it. */
export interface MountedBundle {
  audience: string[];
  version: number;
  /** Absent: it isn't good any more, but nothing older is either. */
  envelope?: Json;
}

export interface SigningOptions {
  /** Name of this node, as bundles have it. */
  node: string;
  /** One or two trusted keys: base64 of a P-256 key's SubjectPublicKeyInfo in DER. */
  keys: string[];
  minimumVersion?: number;
  /** What happens when the running bundle expires. Default keep: it goes on deciding. */
  onExpiry?: "keep" | "deny";
  /** For each Gateway one; the filters of one without deny everything until they get one from the source. */
  bundles?: MountedBundle[];
}

/** What the authz filter needs of the host to fetch bundles. */
const OF_A_SOURCE = ["proxy_http_call", "proxy_on_http_call_response"];
/** What it needs for bundles only. */
const OF_BUNDLES = ["proxy_get_shared_data", "proxy_set_shared_data", "proxy_set_tick_period_milliseconds", "proxy_on_tick"];

/** What the authz filter needs of requests, of connections, and to hand over to a provider. */
const OF_REQUESTS = ["proxy_on_request_headers", "proxy_get_header_map_pairs", "proxy_send_local_response", "proxy_set_property"];
const OF_CONNECTIONS = ["proxy_on_new_connection", "proxy_on_downstream_data", "proxy_on_upstream_data", "proxy_close_stream"];

/** The capabilities that a module has use for with its configuration. */
export function usedCapabilities(kind: string, capabilities: readonly string[], { signed = false, fetched = false, custom = false, tcp = false }: { signed?: boolean; fetched?: boolean; custom?: boolean; tcp?: boolean }): string[] {
  if (kind !== "authz" && kind !== "edge") return [...capabilities];
  const idle = new Set([
    ...(fetched ? [] : OF_A_SOURCE),
    ...(signed ? [] : OF_BUNDLES),
    ...(tcp ? OF_REQUESTS : OF_CONNECTIONS),
    ...(custom || kind === "edge" ? [] : ["proxy_set_property"]),
  ]);
  return capabilities.filter((name) => !idle.has(name));
}

/** How this node's Envoy tells the filter about peers, and how it answers. Everything else decides, so it is signed. */
const OF_THE_NODE: ReadonlySet<string> = new Set(["identity", "directAddress", "denial", "logDenials", "strictPaths", "custom", "protocol", "listener"]);

/** Whom a bundle for this Gateway names: the node; and the Gateway where it is one of several, so that bundles can't be swapped. */
export function audienceOf(node: string, gateway: string, gateways: number): string {
  return gateways > 1 ? `${node}/${gateway}` : node;
}

/** The part of an authz configuration that a bundle carries. */
export function signedPart(authz: Config): Config {
  return Object.fromEntries(Object.entries(authz).filter(([name]) => !OF_THE_NODE.has(name)));
}

/** The part that is mounted beside whom to trust. */
export function mountedPart(authz: Config, audience: string, { keys, minimumVersion, onExpiry, bundles = [] }: SigningOptions, source?: BundleSource): Config {
  const own = Object.fromEntries(Object.entries(authz).filter(([name]) => OF_THE_NODE.has(name)));
  const mine = newestFor(audience, bundles);
  const least = mine === undefined ? minimumVersion : Math.max(minimumVersion ?? 0, mine.version);
  return { ...own, signing: { keys, audience, minimumVersion: least, onExpiry }, bundle: mine?.envelope, source: source && sourceConfig(source, audience) };
}

/** Of the bundles for an audience the one that a node would keep. */
export function newestFor<T extends { audience: string[]; version: number }>(audience: string, bundles: readonly T[]): T | undefined {
  return bundles.filter((each) => each.audience.includes(audience)).sort((a, b) => b.version - a.version)[0];
}

export const sourceCluster = ({ backend }: BundleSource): string => `bundles/${backend.id}`;

/** The path that bundles for this audience are fetched from. */
export function sourcePath({ path }: Pick<BundleSource, "path">, audience: string): string {
  return path.replaceAll(AUDIENCE, encodeURI(audience));
}

function sourceConfig(source: BundleSource, audience: string): Config {
  const { authority, intervalSeconds, timeoutSeconds } = source;
  return { cluster: sourceCluster(source), path: sourcePath(source, audience), authority, intervalSeconds, timeoutSeconds };
}

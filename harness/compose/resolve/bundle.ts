/** The folder's PolicyBundle: where its bundles are fetched. */
import { isIPv6 } from "node:net";
import { parseDuration } from "../duration.ts";
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import type { Backends } from "./backends.ts";
import type { BundleModel, UpstreamTls } from "./model.ts";

/** What `{audience}` in a path stands for is only known for each Gateway. */
export const AUDIENCE = "{audience}";

/** Whole seconds that the filter takes: for `interval`, for `timeout`. */
const MOST = { interval: 86_400, timeout: 300 };

export function resolveBundle(resources: Resource<"PolicyBundle">[], backends: Backends, tls: Map<string, UpstreamTls>, gateways: number, report: Report): BundleModel | undefined {
  const [resource, other] = resources;
  if (other) report.error("duplicate-resource", other, ["metadata", "name"], `there is another PolicyBundle, ${resource!.id}: whom a node trusts is said once`, { fix: "keep one of the two" });
  if (!resource) return undefined;
  const { source } = resource.spec;
  if (!source) return { resource };
  const path = ["spec", "source"];
  for (const field of ["interval", "timeout"] as const) {
    const milliseconds = source[field] === undefined ? 1000 : parseDuration(source[field]);
    if (milliseconds % 1000 === 0 && milliseconds >= 1000 && milliseconds <= MOST[field] * 1000) continue;
    report.error("wrong-value", resource, [...path, field], `this is no ${field} that bundles are fetched with`, { found: source[field]!, expected: `whole seconds, from 1s to ${MOST[field]}s` });
  }
  const unknown = /[{}]/.exec(source.path.replaceAll(AUDIENCE, ""));
  if (unknown) report.error("wrong-value", resource, [...path, "path"], "there is nothing else to fill in", { found: source.path, expected: AUDIENCE });
  if (gateways > 1 && !source.path.includes(AUDIENCE)) {
    report.error("wrong-value", resource, [...path, "path"], "each Gateway of the folder has a bundle of its own", { found: source.path, expected: `${AUDIENCE} in the path, for <node>/<namespace>/<gateway>` });
  }
  const backend = backends.resolve(resource, [...path, "backendRef"], source.backendRef);
  if (!backend) return { resource };
  if (backend.spec.appProtocols?.some((protocol) => protocol.endsWith("/h2c"))) {
    report.error("unsupported-field", resource, [...path, "backendRef"], "bundles are fetched by HTTP/1.1", { found: `Backend ${backend.id} with appProtocols h2c`, fix: "name another Backend, without appProtocols" });
  }
  const secure = tls.get(backend.id);
  if (!secure && !backend.spec.endpoints.every(({ ip }) => ip !== undefined && isLoopback(ip.address))) {
    report.warn("bundle-source-plain", resource, [...path, "backendRef"], "bundles come without TLS: nobody can change them, but anybody on the way can read the policies and hold newer ones back", { fix: `add a BackendTLSPolicy for Backend ${backend.id}` });
  }
  const [first] = backend.spec.endpoints;
  const seconds = (text: string | undefined, otherwise: number): number => (text === undefined ? otherwise : parseDuration(text) / 1000);
  return {
    resource,
    source: {
      backend,
      path: source.path,
      authority: source.hostname ?? secure?.sni ?? authorityOf(first?.fqdn?.hostname ?? first?.ip?.address ?? "", first?.fqdn?.port ?? first?.ip?.port ?? 0),
      intervalSeconds: seconds(source.interval, 60),
      timeoutSeconds: seconds(source.timeout, 5),
    },
  };
}

const authorityOf = (host: string, port: number): string => `${isIPv6(host) ? `[${host}]` : host}:${port}`;
const isLoopback = (address: string): boolean => address.startsWith("127.") || address === "::1";

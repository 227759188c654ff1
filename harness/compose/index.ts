/** Policy files in, a complete Envoy configuration out; or findings that say what is wrong and where. */
import { isIPv6 } from "node:net";
import type { Finding } from "../errors.ts";
import { bootstrap } from "./emit/bootstrap.ts";
import { ADMIN_ADDRESS } from "./emit/admin.ts";
import type { Config } from "./emit/config.ts";
import { Files } from "./emit/files.ts";
import { DIRECT_ADDRESS_KEY, PEER_KEY } from "./emit/listener.ts";
import { atLeast, DEFAULT_ENVOY, type EnvoyVersion, OLDEST_ENVOY, OLDEST_PEER_STATE, parseVersion } from "./emit/version.ts";
import { gatewayPlugins, type Plugin, type PluginKind } from "./emit/plugins.ts";
import { loadPolicies, type LoadOptions, type Policies } from "./load.ts";
import { loadModule, type LoadedModule, type ModuleOptions } from "./modules.ts";
import { printYaml } from "./print.ts";
import { Report, sortFindings } from "./report.ts";
import { resolvePolicies, type ResolveOptions } from "./resolve/index.ts";
import type { BundleSource, GatewayModel, Model, Protocol, UpstreamTls } from "./resolve/model.ts";
import { bundled, type Bundled } from "./emit/bundled.ts";
import { audienceOf, newestFor, type SigningOptions } from "./emit/signing.ts";

export { loadPolicies, ofKind, Resource, type ExternalCheck, type ExternalDocument, type LoadOptions, type Policies } from "./load.ts";
export { Source, type Path } from "./source.ts";
export { LABELS } from "./emit/stats.ts";
export { PEER_KEY } from "./emit/listener.ts";
export { DIRECTORY } from "./resolve/certificates.ts";
export type { PluginKind } from "./emit/plugins.ts";
export type { Bundled } from "./emit/bundled.ts";
export type { BundleSource, UpstreamTls } from "./resolve/model.ts";
export { audienceOf, newestFor, sourcePath, type MountedBundle, type SigningOptions } from "./emit/signing.ts";

export interface CheckOptions {
  /** Namespace whose policies hold everywhere; Istio's default. */
  rootNamespace?: string;
  /** PEM bundle for `wellKnownCACertificates: System`; default: this system's. */
  systemAuthorities?: string;
  /** Loopback port of Envoy's admin endpoint; null for none. Default 9901. */
  adminPort?: number | null;
  /** False: certificates on disk are named but not looked at. Default true. */
  readFiles?: boolean;
}

export interface ComposeOptions extends CheckOptions, ModuleOptions {
  target?: "envoy" | "istio" | "envoy-gateway";
  /** One module for all filters, or one each. Default fused. */
  modules?: "fused" | "separate";
  /**
   * Where filters read the peer's identity: filter state and the header x-forwarded-client-cert, which Envoy then writes
   * itself and takes off again, hold all of a certificate's URI SANs, the connection's attribute only the first. Default:
   * filter state where the Envoy can set it (1.37 and newer), else the connection.
   */
  identity?: "connection" | "filter_state" | "xfcc";
  /** SPIFFE trust domain of principals. Default cluster.local. */
  trustDomain?: string;
  trustDomainAliases?: string[];
  /** Paths below it are written relative to it: Envoy must then be started there. Default: absolute paths. */
  baseDir?: string;
  /** Version of the Envoy that will read the configuration, `1.40`; fields moved between versions. Default 1.40. */
  envoyVersion?: string;
  nodeId?: string;
  nodeCluster?: string;
  /** Client connections over all listeners. Default 10000. */
  maxConnections?: number;
  /** Heap at which Envoy sheds load; default: no limit. */
  heapBytes?: number;
  /** Series that the telemetry filter may create for one metric. Default 1000. */
  maxSeries?: number;
  denial?: { status?: number; body?: string };
  logDenials?: boolean;
  /**
   * Policies come in signed bundles, and the folder's are left out of the configuration. A folder with a PolicyBundle is
   * refused without; false: they are to be asked or signed, and no node is to run this.
   */
  signing?: SigningOptions | false;
  /** Requests must be allowed in every reading of their path; stricter than Istio. Default true. */
  strictPaths?: boolean;
}

export interface ListenerInfo {
  /** `<namespace>/<gateway>/<port>`. */
  name: string;
  address: string;
  port: number;
  protocol: Protocol;
  /** Clients must present a certificate. */
  mutualTls: boolean;
  /** Empty: any host. */
  hostnames: string[];
}

export interface PluginInfo {
  name: string;
  kind: PluginKind;
  /** `<namespace>/<name>` of the Gateway that it belongs to. */
  gateway: string;
  /** Path of the module. */
  module: string;
  /** Its configuration. */
  json: string;
  /** It decides on connections. */
  tcp?: true;
}

export interface Composition {
  /** Absent where a finding is an error. */
  config?: Config;
  yaml?: string;
  findings: Finding[];
  listeners: ListenerInfo[];
  plugins: PluginInfo[];
  /** `<namespace>/<name>` of each Gateway. */
  gateways: string[];
  /** What a signed bundle carries, for each Gateway that a policy concerns. */
  bundled: Bundled[];
  /** Where such bundles are fetched. */
  source?: BundleSource & { tls?: UpstreamTls };
}

export const DEFAULT_ADMIN_PORT = 9901;
export const DEFAULT_ROOT_NAMESPACE = "istio-system";

/** Reads and checks a folder of policies: everything that `composeEnvoy` would refuse but the modules. */
export function checkPolicies(dir: string, options: CheckOptions & LoadOptions = {}): Finding[] {
  const policies = loadPolicies(dir, options);
  if (unreadable(policies)) return policies.findings;
  const report = new Report();
  resolvePolicies(policies, resolveOptions(options), report);
  return finish(policies, report);
}

/** Never throws for what policies, certificates or modules hold: with an error among the findings there is no config. */
export function composeEnvoy(policies: Policies, options: ComposeOptions): Composition {
  if (unreadable(policies)) return { findings: policies.findings, listeners: [], plugins: [], gateways: [], bundled: [] };
  const report = new Report();
  const model = resolvePolicies(policies, resolveOptions(options), report);
  const target = options.target ?? "envoy";
  if (target !== "envoy") {
    report.add({
      code: "target-unsupported",
      severity: "error",
      message: `compose can't write ${target} manifests yet`,
      where: { file: policies.dir },
      fix: "apply the policy files themselves: they are the kinds that it reads; the module is loaded with its own resource",
    });
  }
  const version = options.envoyVersion === undefined ? DEFAULT_ENVOY : parseVersion(options.envoyVersion);
  const peerState = readsPeerState(options, version);
  const oldest = peerState ? OLDEST_PEER_STATE : OLDEST_ENVOY;
  if (!version || !atLeast(version, ...oldest)) {
    report.add({
      code: "envoy-too-old",
      severity: "error",
      message: `no configuration can be composed for Envoy ${options.envoyVersion}`,
      expected: `${oldest.join(".")} or newer`,
    });
  }
  const plugins = new Map<GatewayModel, Plugin[]>();
  const modules = new Map<PluginKind, LoadedModule>();
  for (const gateway of model.gateways) {
    const mine = gatewayPlugins(gateway, model, pluginOptions(options, peerState));
    plugins.set(gateway, mine);
    for (const { kind } of mine) if (!modules.has(kind)) modules.set(kind, loadModule(kind, options, report));
  }
  if (options.signing !== false) checkSigning(model, options.signing, report);
  const findings = finish(policies, report);
  const result: Composition = {
    findings,
    listeners: model.gateways.flatMap(listenerInfo),
    plugins: [...plugins].flatMap(([gateway, mine]) => mine.map(({ name, kind, json, tcp }) => ({ name, kind, gateway: gateway.resource.id, json, module: modules.get(kind)!.file, ...(tcp && { tcp }) }))),
    gateways: model.gateways.map(({ resource }) => resource.id),
    bundled: model.gateways.flatMap((gateway) => bundled(gateway, model, pluginOptions(options, peerState)) ?? []),
    ...sourceOf(model),
  };
  if (findings.some((finding) => finding.severity === "error")) return result;
  const config = bootstrap({
    model,
    plugins,
    module: (plugin) => modules.get(plugin.kind)!,
    files: new Files(options.baseDir, options.readFiles ?? true),
    version: version ?? DEFAULT_ENVOY,
    peerState,
    forwardedCertificate: options.identity === "xfcc",
    rootNamespace: options.rootNamespace ?? DEFAULT_ROOT_NAMESPACE,
    signed: Boolean(options.signing),
    nodeId: options.nodeId ?? "selvedge",
    nodeCluster: options.nodeCluster ?? "edge",
    adminPort: adminPort(options),
    maxConnections: options.maxConnections ?? 10_000,
    ...(options.heapBytes === undefined ? {} : { heapBytes: options.heapBytes }),
  });
  return { ...result, config, yaml: printYaml(config) };
}

/** `address:port` of a listener as it stands in a URL. */
export function authority({ address, port }: Pick<ListenerInfo, "address" | "port">): string {
  return `${isIPv6(address) ? `[${address}]` : address}:${port}`;
}

/** What refers to a document that was refused would only repeat its error, so nothing is resolved then. */
function unreadable(policies: Policies): boolean {
  return policies.findings.some((finding) => finding.severity === "error");
}

function adminPort(options: CheckOptions): number | null {
  return options.adminPort === undefined ? DEFAULT_ADMIN_PORT : options.adminPort;
}

function resolveOptions(options: CheckOptions): ResolveOptions {
  const port = adminPort(options);
  return {
    rootNamespace: options.rootNamespace ?? DEFAULT_ROOT_NAMESPACE,
    readFiles: options.readFiles ?? true,
    occupied: port ? [{ address: ADMIN_ADDRESS, port, by: "Envoy's admin endpoint" }] : [],
    ...(options.systemAuthorities === undefined ? {} : { systemAuthorities: options.systemAuthorities }),
  };
}

function readsPeerState(options: ComposeOptions, version: EnvoyVersion | undefined): boolean {
  if (options.identity === "connection") return false;
  if (options.identity === "filter_state") return true;
  return version !== undefined && atLeast(version, ...OLDEST_PEER_STATE);
}

function pluginOptions(options: ComposeOptions, peerState: boolean) {
  return {
    modules: options.modules ?? "fused",
    rootNamespace: options.rootNamespace ?? DEFAULT_ROOT_NAMESPACE,
    trustDomain: options.trustDomain ?? "cluster.local",
    trustDomainAliases: options.trustDomainAliases ?? [],
    maxSeries: options.maxSeries ?? 1000,
    strictPaths: options.strictPaths ?? true,
    ...(options.identity === "xfcc" ? { identity: { xfcc: "single" } } : peerState ? { identity: { filterState: PEER_KEY } } : {}),
    ...(peerState ? { directAddress: { filterState: DIRECT_ADDRESS_KEY } } : {}),
    connection: peerState ? { identity: { filterState: PEER_KEY }, directAddress: { filterState: DIRECT_ADDRESS_KEY } } : {},
    ...(options.logDenials === undefined ? {} : { logDenials: options.logDenials }),
    ...(options.denial ? { denial: options.denial } : {}),
    ...(options.signing ? { signing: options.signing } : {}),
  };
}

/** What is said to come signed must come from somewhere, and never come unsigned because nobody asked. */
function checkSigning({ gateways, bundle }: Model, signing: SigningOptions | undefined, report: Report): void {
  if (bundle && !signing) {
    report.error("bundle-node-missing", bundle.resource, ["spec"], "the policies of this folder come in signed bundles, and nothing says which node this is", { part: "key", fix: "give spec.audience, or --node" });
  }
  if (!signing || bundle?.source) return;
  for (const { resource } of gateways) {
    const audience = audienceOf(signing.node, resource.id, gateways.length);
    if (newestFor(audience, signing.bundles ?? [])?.envelope !== undefined) continue;
    report.error("bundle-missing", resource, ["metadata", "name"], `Gateway ${resource.id} has no bundle, and nowhere to fetch one`, { expected: `a bundle for ${audience}`, fix: "give it with --bundle, or a PolicyBundle with a source" });
  }
}

function sourceOf({ bundle, upstreamTls }: Model): Pick<Composition, "source"> {
  const source = bundle?.source;
  if (!source) return {};
  const tls = upstreamTls.get(source.backend.id);
  return { source: { ...source, ...(tls && { tls }) } };
}

function listenerInfo(gateway: GatewayModel): ListenerInfo[] {
  return gateway.sockets.flatMap((socket) =>
    socket.addresses.map((address) => ({
      name: socket.name,
      address,
      port: socket.port,
      protocol: socket.protocol,
      mutualTls: socket.listeners.every((each) => (each.tls?.clientAuthorities.length ?? 0) > 0),
      hostnames: socket.listeners.map((each) => each.hostname).filter((host) => host !== "*"),
    })),
  );
}

function finish(policies: Policies, report: Report): Finding[] {
  return sortFindings([...policies.findings, ...report.findings]);
}

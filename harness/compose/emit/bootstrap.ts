/** The complete Envoy configuration of a model. */
import type { Resource } from "../load.ts";
import type { BundleSource, GatewayModel, Model, Provider } from "../resolve/model.ts";
import { rulesOf } from "../resolve/index.ts";
import { tcpListeners } from "../resolve/tcp.ts";
import { admin, layeredRuntime, overloadManager } from "./admin.ts";
import { cluster, type ClusterModel } from "./clusters.ts";
import { clean, type Config } from "./config.ts";
import { providerCluster, providerFilter } from "./custom.ts";
import type { Files } from "./files.ts";
import { gatewayJwt } from "./jwt.ts";
import { listener } from "./listener.ts";
import { CUSTOM_KEY, providersOf, type Plugin } from "./plugins.ts";
import { sourceCluster } from "./signing.ts";
import { statsConfig } from "./stats.ts";
import type { EnvoyVersion } from "./version.ts";
import { wasmFilter } from "./wasm.ts";

export interface BootstrapInput {
  model: Model;
  /** By Gateway, in filter order. */
  plugins: Map<GatewayModel, Plugin[]>;
  module: (plugin: Plugin) => { file: string; capabilities: string[] };
  files: Files;
  peerState: boolean;
  /** Tell filters the peer by the header x-forwarded-client-cert. */
  forwardedCertificate: boolean;
  rootNamespace: string;
  /** Policies come in signed bundles. */
  signed: boolean;
  version: EnvoyVersion;
  nodeId: string;
  nodeCluster: string;
  /** Null: no admin endpoint. */
  adminPort: number | null;
  maxConnections: number;
  heapBytes?: number;
}

export function bootstrap(input: BootstrapInput): Config {
  const { model, files } = input;
  const clusters = new Map<string, ClusterModel>();
  const keyClusters = new Map<string, Config>();
  const listeners: Config[] = [];
  const gateways = [...model.gateways].sort((a, b) => (a.resource.id < b.resource.id ? -1 : 1));
  for (const gateway of gateways) {
    const name = (backend: Resource<"Backend">): string => clusterName(gateway, backend, model);
    for (const backend of backendsOf(gateway)) {
      clusters.set(name(backend), clusterModel(name(backend), backend, gateway, model));
    }
    const providers = providersOf(gateway, model, input.rootNamespace);
    for (const provider of providers) clusters.set(providerCluster(provider), providerClusterModel(model.providers.get(provider)!, model));
    const tcpName = (backend: Resource<"Backend">): string => `tcp/${name(backend)}`;
    const source = input.signed ? model.bundle?.source : undefined;
    if (source) clusters.set(sourceCluster(source), sourceClusterModel(source, model));
    for (const { route } of tcpListeners(gateway)) {
      for (const { backend } of route.arms) clusters.set(tcpName(backend), { ...clusterModel(tcpName(backend), backend, gateway, model), speaks: "tcp" });
    }
    const wasm = (input.plugins.get(gateway) ?? []).map((plugin) => {
      const { file, capabilities } = input.module(plugin);
      return { plugin, filter: wasmFilter(plugin, capabilities, files.name(file), input.version) };
    });
    const jwt = gatewayJwt(gateway, model, input.rootNamespace, files);
    for (const [key, each] of jwt?.clusters ?? []) keyClusters.set(key, each);
    // Telemetry by itself stays first, and sees the answers to tokens that are refused.
    const telemetry = wasm.filter(({ plugin }) => plugin.kind === "telemetry");
    const filters = telemetry.map(({ filter }) => filter);
    if (jwt) filters.push(jwt.filter);
    const connectionFilters = new Map<string, Config>();
    for (const { plugin, filter } of wasm) {
      if (plugin.listener !== undefined) connectionFilters.set(plugin.listener, filter);
      else if (plugin.kind !== "telemetry") filters.push(filter);
      if (plugin.custom) filters.push(...providers.map((each) => providerFilter(model.providers.get(each)!, providers.filter((other) => other !== each), CUSTOM_KEY)));
    }
    for (const socket of gateway.sockets) {
      listeners.push(listener({ gateway, socket, filters, connectionFilters, tcpCluster: tcpName, peerState: input.peerState, forwardedCertificate: input.forwardedCertificate, cluster: name, perRoute: jwt?.perRoute, files, version: input.version }));
    }
  }
  const names = [...clusters.keys()].sort();
  return clean({
    node: { id: input.nodeId, cluster: input.nodeCluster },
    admin: input.adminPort === null ? undefined : admin(input.adminPort),
    static_resources: { listeners, clusters: [...names.map((name) => cluster(clusters.get(name)!, files)), ...[...keyClusters.keys()].sort().map((key) => keyClusters.get(key)!)] },
    stats_config: statsConfig(),
    overload_manager: overloadManager(input.maxConnections, input.heapBytes),
    layered_runtime: layeredRuntime(),
  });
}

function clusterModel(name: string, backend: Resource<"Backend">, gateway: GatewayModel, model: Model): ClusterModel {
  const tls = model.upstreamTls.get(backend.id);
  const clientCertificate = tls && gateway.clientCertificate;
  return { name, backend, ...(tls ? { tls } : {}), ...(clientCertificate ? { clientCertificate } : {}) };
}

/** All Gateways share it: a provider is asked without showing a certificate. */
function providerClusterModel({ name, backend, grpc }: Provider, model: Model): ClusterModel {
  const tls = model.upstreamTls.get(backend.id);
  return { name: providerCluster(name), backend, ...(tls ? { tls } : {}), ...(grpc ? { speaks: "h2" as const } : {}) };
}

function sourceClusterModel(source: BundleSource, model: Model): ClusterModel {
  const tls = model.upstreamTls.get(source.backend.id);
  return { name: sourceCluster(source), backend: source.backend, ...(tls ? { tls } : {}), speaks: "http/1.1" };
}

/** A Backend's id; apart for each Gateway that shows it a client certificate of its own. */
function clusterName(gateway: GatewayModel, backend: Resource<"Backend">, model: Model): string {
  return gateway.clientCertificate && model.upstreamTls.has(backend.id) ? `${backend.id}@${gateway.resource.id}` : backend.id;
}

function backendsOf(gateway: GatewayModel): Resource<"Backend">[] {
  return rulesOf(gateway).flatMap((rule) => [...rule.arms.map((arm) => arm.backend), ...rule.mirrors.map((mirror) => mirror.backend)]);
}

/** Random policies as the node that they make, next to the plain evaluator. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { LineCounter, parseDocument } from "yaml";
import { compileModule, releaseOptions } from "../../../harness/build/index.ts";
import { Resource, Source } from "../../../harness/compose/index.ts";
import { AuthzModule, type PluginConfig } from "../../../harness/decide/module.ts";
import { EdgeNode, Gateway, type Policy } from "../../../harness/decide/node.ts";
import type { AccessRequest } from "../../../harness/decide/request.ts";
import type { Listener } from "../../../harness/decide/table.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";
import { requests as rawRequests } from "../authz/arbitraries.ts";
import type { Request } from "../authz/core.ts";
import type { Configuration } from "../authz/oracle.ts";

let compiled: Promise<Uint8Array> | undefined;

export function authzModule(): Promise<Uint8Array> {
  return (compiled ??= compileModule({ entry: "filters/authz/assembly/index.ts", options: { ...releaseOptions, optimizeLevel: 2, exportRuntime: false } }));
}

/** A folder with edge.wasm and authz.wasm, for verbs; both are the authorization filter, so take `--chain separate`. */
export async function moduleFolder(): Promise<{ path: string; remove: () => void }> {
  const folder = temporaryDirectory("test-modules");
  mkdirSync(folder.path, { recursive: true });
  writeFileSync(join(folder.path, "authz.wasm"), await authzModule());
  return folder;
}

const LISTENER: Listener = {
  name: "edge/gw/443",
  gateway: "edge/gw",
  addresses: ["127.0.0.1"],
  port: 443,
  chains: [{ serverNames: [], tls: true, clientCertificate: false, hosts: [{ domains: ["*"], routes: ["r0", "s0", "r1", "s1", "r2", "s2", "node"].map((name) => ({ name, match: { path_separated_prefix: `/${name}` }, action: "forward" as const })) }] }],
};

const TCP_LISTENER: Listener = { ...LISTENER, chains: [{ serverNames: [], tls: true, clientCertificate: false, hosts: [], tcp: { plugin: "p", backends: ["edge/b"] } }] };

/** The node of a random configuration: each of its routes serves the paths below its name. @param protocol tcp: it takes connections instead */
export function nodeOf(code: Uint8Array, configuration: Configuration, protocol: "http" | "tcp" = "http"): { node: EdgeNode; gateway: Gateway; configuration: Configuration } {
  const { namespace = "default", rootNamespace = "istio-system" } = configuration;
  const tcp = protocol === "tcp";
  const full: Configuration = { ...configuration, protocol, namespace, ...(tcp && { workloads: [] }), policies: configuration.policies.map((policy) => ({ ...policy, metadata: { ...policy.metadata, namespace: policy.metadata.namespace ?? namespace } })) };
  const config = { ...full, identity: { filterState: "selvedge.peer" }, directAddress: { filterState: "selvedge.direct_address" }, ...(tcp ? { strictPaths: undefined, workloads: undefined } : { custom: { filterState: "selvedge_custom", providers: ["ext"] } }) } as unknown as PluginConfig;
  const policies = full.policies.map((policy) => {
    const lines = new LineCounter();
    return new Resource("AuthorizationPolicy", policy as never, new Source("policies.yaml", parseDocument(JSON.stringify(policy), { lineCounter: lines }), lines)) as Policy;
  });
  const gateway = new Gateway("edge/gw", [tcp ? TCP_LISTENER : LISTENER], config, policies, rootNamespace, (each) => new AuthzModule(code, each), tcp ? TCP_LISTENER.chains[0] : undefined);
  const byId = new Map(policies.map((policy) => [policy.id, policy]));
  const node = { gateways: [gateway], listeners: [LISTENER], gateway: () => gateway, arrive: EdgeNode.prototype.arrive, policy: (id: string) => byId.get(id), close: () => gateway.close() } as unknown as EdgeNode;
  return { node, gateway, configuration: full };
}

/** Requests that a proxy could see: with method, host and path. */
export const requests: fc.Arbitrary<AccessRequest> = rawRequests.map((request): AccessRequest => {
  const address = (text: string | undefined, otherwise: string): string => (text === undefined || text.startsWith("/") ? otherwise : text.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1"));
  return {
    method: request.method ?? "GET",
    host: request.host || "web.prod",
    path: request.path ?? "/",
    headers: request.headers ?? [],
    peer: request.peer === undefined ? undefined : [request.peer],
    tls: true,
    sni: request.sni || undefined,
    direct: request.direct ?? "10.0.0.1",
    remote: address(request.remote, "10.0.0.1"),
    local: { address: address(request.destination, "10.0.0.2"), port: request.port ?? 443 },
    claims: undefined,
  };
});

/** The same request for the plain evaluator. */
export function plain(request: AccessRequest, route: string | undefined): Request {
  const endpoint = (address: string, port: number): string => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);
  const { method, host, path, headers, peer, sni, direct, remote, local } = request;
  return {
    method, host, path, headers, direct, port: local.port,
    ...(peer?.[0] !== undefined && { peer: peer[0] }),
    sni: sni ?? "",
    ...(route !== undefined && { route }),
    remote: endpoint(remote, 40_000),
    destination: endpoint(local.address, local.port),
  };
}

export const routes = fc.constantFrom("r0", "s1", "r2", undefined);

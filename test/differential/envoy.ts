/** Envoys that are asked, and what they are asked with: certificates, listeners' ports, addresses of callers, counters. */
import { writeFile } from "node:fs/promises";
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { Certificates } from "../../harness/cases/engines/envoy/certificates.ts";
import { startEnvoy, type Bootstrap, type EnvoyBinary, type RunningEnvoy } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import type { Request } from "../unit/authz/core.ts";
import type { Nearby, Random, Vocabulary } from "../unit/authz/near.ts";
import type { Configuration } from "../unit/authz/oracle.ts";
import type { ConnectionPlan } from "./client.ts";
import type { Files } from "./listener.ts";

export const WORDS: Vocabulary = {
  ids: ["cluster.local", "td1", "td2", "old-td1", "ns"].flatMap((td) => ["prod", "dev", "ns", "istio-system"].flatMap((ns) => ["web", "api", "sa"].map((sa) => `${td}/ns/${ns}/sa/${sa}`))),
  snis: ["web.prod", "api.dev", "x.web.prod", "web.prod.x", "WEB.prod"],
  direct: ["127.0.0.1", "127.0.0.2", "127.1.2.3", "::1"],
  addresses: ["10.0.0.1", "10.0.0.2", "10.1.2.3", "192.168.1.1", "2001:db8::1", "2001:db8:0:1::2", "fe80::1:2:3", "::1"],
  ports: [80, 443, 8080, 0, 81],
};

/** @param use is given the ports of the listeners: `<index>/4` and `<index>/6` */
export async function withEnvoy<T>(
  binary: EnvoyBinary, module: string, configure: (files: Files, directory: string) => Promise<Bootstrap> | Bootstrap, certificates: Certificates,
  use: (envoy: RunningEnvoy, ports: Map<string, number>, directory: string) => Promise<T>,
): Promise<T> {
  const directory = temporaryDirectory("differential");
  const file = (name: string): string => join(directory.path, name);
  const files = { serverCertificate: file("server.crt"), serverKey: file("server.key"), authority: file("ca.crt"), module };
  await Promise.all([
    writeFile(files.serverCertificate, certificates.server.certificate),
    writeFile(files.serverKey, certificates.server.key, { mode: 0o600 }),
    writeFile(files.authority, certificates.authority.certificate),
  ]);
  const config = await configure(files, directory.path);
  const envoy = await startEnvoy({ config, envoy: binary, concurrency: 1, logLevel: "warning", readyTimeoutMs: 300_000, extraArgs: ["--file-flush-interval-msec", "50"] });
  try {
    return await use(envoy, await portsOf(envoy), directory.path);
  } finally {
    await envoy.stop();
    directory.remove();
  }
}

async function portsOf(envoy: RunningEnvoy): Promise<Map<string, number>> {
  const { body } = await envoy.admin.get("/listeners?format=json");
  const ports = new Map<string, number>();
  type Bound = { socket_address: { port_value: number } };
  for (const { name, local_address: first, additional_local_addresses: others = [] } of (JSON.parse(body) as { listener_statuses: { name: string; local_address: Bound; additional_local_addresses?: Bound[] }[] }).listener_statuses) {
    ports.set(`${name}/4`, first.socket_address.port_value);
    ports.set(`${name}/6`, others[0]!.socket_address.port_value);
  }
  return ports;
}

/** Names of their own in each configuration, in the same order, so that counters tell them apart; and no mapped addresses (see RATIONALE.md). */
export function distinct(configuration: Configuration, index: number): Configuration {
  const text = JSON.stringify(configuration).replace(/::ffff:10\.0\.0\.1(\/\d+)?/g, "2001:db8::1$1");
  const copy = JSON.parse(text) as Configuration;
  for (const { metadata } of copy.policies) metadata.name = `c${index}.${metadata.name}`;
  return copy;
}

/** `nameless`: a client certificate without any URI SAN, which has a subject nevertheless. */
export type ConnectionPart = ReturnType<Nearby["connection"]> & { http2: boolean; tls: boolean; proxied: boolean; nameless: boolean };

export function connectionOf(nearby: Nearby, random: Random): ConnectionPart {
  const part = { ...nearby.connection(), http2: random.once(3), tls: !random.once(6), proxied: !random.once(4), nameless: random.once(3) };
  if (!part.tls) {
    delete part.peer;
    delete part.sni;
  }
  part.nameless &&= part.tls && part.peer === undefined;
  // The PROXY protocol takes no multicast, broadcast or unspecified address; X-Forwarded-For does.
  if (/^(0\.0|255)\.|^\[(::|ff.*)\]/.test(part.remote!) || /^(0\.0|255)\.|^\[(::|ff.*)\]/.test(part.destination!)) part.proxied = false;
  // One family for both ends.
  const [six, other] = [part.remote!.startsWith("["), part.destination!.startsWith("[")];
  if (six !== other) part.destination = six ? `[2001:db8::1]:${part.port}` : `10.0.0.1:${part.port}`;
  return part;
}

const host = (endpoint: string): string => (endpoint.startsWith("[") ? endpoint.slice(1, endpoint.indexOf("]")) : endpoint.slice(0, endpoint.indexOf(":")));

/** How a client connects so, and what the filters see of it. */
export async function planOf(connection: ConnectionPart, ports: Map<string, number>, index: number, certificates: Certificates): Promise<{ plan: ConnectionPlan; seen: Request }> {
  const direct = connection.direct!;
  const port = ports.get(`${index}/${isIPv6(direct) ? 6 : 4}`)!;
  const { peer, proxied, nameless } = connection;
  const plan: ConnectionPlan = {
    port,
    direct,
    http2: connection.http2,
    ...(proxied && { proxied: { source: host(connection.remote!), destination: host(connection.destination!), port: connection.port! } }),
    ...(connection.tls && {
      tls: { authority: certificates.authority.certificate, credential: peer === undefined && !nameless ? undefined : await certificates.client(peer === undefined ? [] : [peer]), sni: connection.sni },
    }),
  };
  const seen: Request = {
    ...(peer !== undefined && { peer }),
    sni: connection.sni?.toLowerCase() ?? "", // Envoy's TLS inspector folds it
    direct,
    ...(proxied
      ? { remote: connection.remote!, destination: connection.destination!, port: connection.port! }
      : isIPv6(direct) ? { remote: `[${direct}]:1`, destination: `[::1]:${port}`, port } : { remote: `${direct}:1`, destination: `127.0.0.1:${port}`, port }),
  };
  return { plan, seen };
}

/** Starts so many workers on one list. */
export async function inParallel<T>(items: readonly T[], workers: number, work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const one = async (): Promise<void> => {
    for (let item = items[next++]; item !== undefined; item = items[next++]) await work(item);
  };
  await Promise.all(Array.from({ length: workers }, one));
}

/**
 * authz's counters by policy and rule against what native RBAC said.
 *
 * @param unsure configurations some of whose decisions nobody saw, because a connection broke: not compared
 */
export async function differingCounters(envoy: RunningEnvoy, wanted: Map<string, number>, unsure: ReadonlySet<number> = new Set()): Promise<string[]> {
  const got = new Map<string, number>();
  for (const [name, value] of await envoy.admin.stats("selvedge_authz_")) {
    const parts = /selvedge_authz_(\w+)_total\.policy=\.(.*?);\.rule=\.(.*?);/.exec(name);
    // "none" on trial is counted where no policy on trial applies, too.
    if (parts && value > 0 && !(parts[1]!.startsWith("dry_run") && parts[2] === "none")) got.set(`${parts[1]} ${parts[2]}${parts[2] === "none" ? "" : `#${parts[3]}`}`, value);
  }
  const compared = (key: string): boolean => {
    const index = /\/c(\d+)\./.exec(key)?.[1];
    return index === undefined ? unsure.size === 0 : !unsure.has(Number(index));
  };
  return [...new Set([...got.keys(), ...wanted.keys()])].filter((key) => got.get(key) !== wanted.get(key) && compared(key)).map((key) => `${key}: authz counted ${got.get(key) ?? 0}, native RBAC ${wanted.get(key) ?? 0}`);
}

/**
 * Runs cases in a real Envoy on the composed configuration itself: its listeners, routes and plugins. Changed are only ports,
 * certificates (an authority of the test signs one for each identity) and upstreams (one server stands for all of them).
 */
import { readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { Certificates } from "../cases/engines/envoy/certificates.ts";
import { TCP_CLUSTER } from "../cases/engines/common.ts";
import { TcpUpstream } from "../cases/engines/envoy/connection.ts";
import { send } from "../cases/engines/envoy/client.ts";
import { Upstream } from "../cases/engines/envoy/upstream.ts";
import { planRequest, planUpstream } from "../cases/plan.ts";
import { composeEnvoy, type ComposeOptions } from "../compose/index.ts";
import { extension, typed, type Config, type Json } from "../compose/emit/config.ts";
import { fail, SelvedgeError } from "../errors.ts";
import { startEnvoy } from "../envoy/index.ts";
import { temporaryDirectory } from "../tempdir.ts";
import { readLogLine } from "../decide/log-line.ts";
import type { EdgeNode } from "../decide/node.ts";
import type { PolicyCase } from "./cases.ts";
import { connectionVerdict } from "./connection.ts";
import { nameOfRule, type Verdict } from "./host.ts";

const LAG_MS = 5_000;

export async function inEnvoy(node: EdgeNode, options: ComposeOptions, envoy: { path: string; image?: string; version: string }, cases: readonly PolicyCase[]): Promise<Map<PolicyCase, Verdict | Error>> {
  const directory = temporaryDirectory("policy-tests");
  const upstream = await Upstream.start();
  const tcpUpstream = await TcpUpstream.start();
  upstream.plan = planUpstream({ status: 200 });
  try {
    const certificates = await Certificates.create();
    const accessLog = join(directory.path, "access.log");
    await writeFile(accessLog, "");
    const { config, findings } = composeEnvoy(node.policies, { ...options, signing: false, readFiles: false, adminPort: null, envoyVersion: envoy.version });
    if (!config) throw new SelvedgeError(findings.filter(({ severity }) => severity === "error"));
    const running = await startEnvoy({ config: forTest(config, { http: upstream.ports.http1, tcp: tcpUpstream.port }, certificates, accessLog) as never, envoy, concurrency: 1, logLevel: "warning", extraArgs: ["--file-flush-interval-msec", "5"] });
    try {
      const ports = new Map((await running.admin.listeners()).map(({ name, port }) => [name, port]));
      const verdicts = new Map<PolicyCase, Verdict | Error>();
      const logged: PolicyCase[] = [];
      for (const each of cases) {
        const { arrival, request } = each.asked;
        const port = ports.get(arrival.listener.name) ?? fail("envoy-listener-missing", `Envoy has no listener ${arrival.listener.name}`);
        const secure = arrival.listener.chains.some(({ tls }) => tls);
        if (request.connection) {
          verdicts.set(each, await connectionVerdict(request, port, secure, { admin: running.admin, certificates, upstream: tcpUpstream }));
          continue;
        }
        const plan = planRequest({ method: request.method, host: request.host, path: request.path, headers: request.headers, ...(secure && { tls: true, ...(request.peer && { peer: request.peer }), ...(request.sni !== undefined && { sni: request.sni }) }), source: request.remote, direct: request.direct, destination: authority(request.local) }, 0);
        try {
          const { status } = await send(plan, port, certificates);
          if (status === undefined) verdicts.set(each, { verdict: "refuse", by: "none" });
          else logged.push(each);
        } catch {
          verdicts.set(each, { verdict: "refuse", by: "none" });
        }
      }
      const lines = await linesOf(accessLog, logged.length);
      logged.forEach((each, index) => verdicts.set(each, verdictOf(lines[index]!)));
      return verdicts;
    } finally {
      await running.stop();
    }
  } finally {
    await Promise.all([upstream.close(), tcpUpstream.close()]);
    directory.remove();
  }
}

async function linesOf(file: string, count: number): Promise<string[]> {
  for (const deadline = Date.now() + LAG_MS; ; await sleep(10)) {
    const lines = readFileSync(file, "utf8").split("\n").filter((line) => line !== "");
    if (lines.length === count) return lines;
    if (lines.length > count || Date.now() > deadline) fail("envoy-access-log", `Envoy's access log has ${lines.length} lines for ${count} requests`);
  }
}

function verdictOf(line: string): Verdict | Error {
  const { details } = JSON.parse(line) as { details: string };
  const logged = readLogLine(line);
  if (typeof logged === "string") return new Error(`Envoy logged: ${line}`);
  if (details === "path_normalization_failed" || details.startsWith("path_normalized")) return { verdict: "redirect", by: "none" };
  const { allowed, rule } = logged.recorded;
  if (allowed === undefined) return new Error(`Envoy answered by itself: ${details}`);
  return { verdict: allowed ? "allow" : "deny", by: nameOfRule(rule) };
}

const authority = ({ address, port }: { address: string; port: number }): string => (address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`);

/** The composed configuration with ports, certificates, upstreams and the access log of the test. */
export function forTest(config: Config, ports: { http: number; tcp: number }, { authority: ca, server }: Pick<Certificates, "authority" | "server">, accessLog: string): Config {
  const copy = structuredClone(config);
  const { listeners, clusters } = copy.static_resources as { listeners: Config[]; clusters: Config[] };
  for (const listener of listeners) {
    listener.address = { socket_address: { address: "127.0.0.1", port_value: 0 } };
    delete listener.additional_addresses;
    // Gives a connection any source and destination address; the physical peer stays known.
    listener.listener_filters = [extension("envoy.filters.listener.proxy_protocol", "envoy.extensions.filters.listener.proxy_protocol.v3.ProxyProtocol"), ...((listener.listener_filters as Json[] | undefined) ?? [])];
    for (const chain of listener.filter_chains as Config[]) {
      const tls = ((chain.transport_socket as Config | undefined)?.typed_config as Config | undefined)?.common_tls_context as Config | undefined;
      if (tls) {
        tls.tls_certificates = [{ certificate_chain: { inline_string: server.certificate }, private_key: { inline_string: server.key } }];
        if (tls.validation_context) (tls.validation_context as Config).trusted_ca = { inline_string: ca.certificate };
      }
      for (const filter of chain.filters as Config[]) {
        const manager = filter.typed_config as Config;
        if (manager.route_config !== undefined) manager.access_log = [fileLog(accessLog)];
        else delete manager.access_log;
      }
    }
  }
  for (const cluster of clusters) {
    for (const field of ["transport_socket", "dns_lookup_family", "respect_dns_ttl"]) delete cluster[field];
    cluster.type = "STATIC";
    const tcp = String(cluster.name).startsWith("tcp/");
    if (tcp) cluster.alt_stat_name = TCP_CLUSTER; // of all of them together
    else cluster.typed_extension_protocol_options = { "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": typed("envoy.extensions.upstreams.http.v3.HttpProtocolOptions", { explicit_http_config: { http_protocol_options: {} } }) };
    cluster.load_assignment = { cluster_name: cluster.name, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: tcp ? ports.tcp : ports.http } } } }] }] };
  }
  return copy;
}

function fileLog(path: string): Config {
  return extension("envoy.access_loggers.file", "envoy.extensions.access_loggers.file.v3.FileAccessLog", {
    path,
    log_format: { json_format: { method: "%REQ(:METHOD)%", authority: "%REQ(:AUTHORITY)%", path: "%PATH(NQ:PATH)%", status: "%RESPONSE_CODE%", details: "%RESPONSE_CODE_DETAILS%", route: "%ROUTE_NAME%" } },
  });
}

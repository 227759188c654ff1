/** What a person can try on the running node. Pure. */
import { isIPv6 } from "node:net";
import { join } from "node:path";
import { authority, type ListenerInfo } from "../compose/index.ts";
import type { Scenario, TrafficModel } from "./model.ts";

/** One allowed and one denied request of the scenario as curl commands, and where the metrics are. */
export function renderUrls(scenario: Scenario, certificates: string, adminUrl: string | undefined): string {
  const pick = (expect: string): TrafficModel | undefined => scenario.traffic.find((traffic) => traffic.expect === expect && !traffic.canary && traffic.from);
  const lines = ["Try it:"];
  for (const [title, traffic] of [["allowed", pick("allow")], ["denied", pick("deny")]] as const) {
    if (traffic) lines.push(`  # ${title}, as ${traffic.from!.id}`, ...curl(traffic, scenario, certificates).map((line) => `  ${line}`));
  }
  if (adminUrl !== undefined) lines.push("  # what Envoy counts", `  curl ${adminUrl}/stats/prometheus`);
  return `${lines.join("\n")}\n`;
}

/** @param certificates directory of the authority */
export function curl(traffic: TrafficModel, { target }: Pick<Scenario, "target">, certificates: string): string[] {
  const place = `${traffic.host}:${target.port}`;
  const address = isIPv6(target.address) ? `[${target.address}]` : target.address;
  const headers = Object.entries(traffic.headers).map(([name, value]) => `-H ${quote(`${name}: ${value}`)}`);
  const method = traffic.method === "GET" ? [] : traffic.method === "HEAD" ? ["--head"] : [`-X ${traffic.method}`];
  const parts = [
    [
      "curl -i",
      ...method,
      ...(target.tls ? [`--cacert ${quote(join(certificates, "ca.crt"))}`] : []),
    ],
    ...(traffic.from ? [[`--cert ${quote(join(traffic.from.directory, "tls.crt"))}`, `--key ${quote(join(traffic.from.directory, "tls.key"))}`]] : []),
    ...(headers.length > 0 ? [headers] : []),
    [`--resolve ${quote(`${place}:${address}`)}`, quote(`${target.tls ? "https" : "http"}://${place}${traffic.path}`)],
  ];
  return parts.map((words, i) => `${i === 0 ? "" : "  "}${words.join(" ")}${i === parts.length - 1 ? "" : " \\"}`);
}

/** For a node without a Scenario: where it listens. */
export function renderListeners(listeners: readonly ListenerInfo[], adminUrl: string | undefined): string {
  const lines = listeners.map((listener) => {
    const scheme = listener.protocol.toLowerCase();
    const hosts = listener.hostnames.length > 0 ? ` for ${listener.hostnames.join(", ")}` : "";
    return `  ${scheme}://${authority(listener)}  ${listener.name}${hosts}${listener.mutualTls ? ", client certificate required" : ""}`;
  });
  return ["Listening:", ...lines, ...(adminUrl === undefined ? [] : [`  ${adminUrl}  admin interface, metrics at /stats/prometheus`]), ""].join("\n");
}

/** For a shell, only where it needs to be. */
function quote(text: string): string {
  return /^[\w@%+=:,./{}[\]-]+$/.test(text) && !/[{}[\]]/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`;
}

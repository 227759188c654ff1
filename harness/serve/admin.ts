/** The admin interface: what of Envoy's is asked for by scripts, scrapes and this harness. On the address that the configuration says. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { Counters } from "./report/counters.ts";
import type { Statistics } from "./report/prometheus.ts";
import type { Cluster } from "./upstream/cluster.ts";

export interface AdminParts {
  statistics: Statistics;
  counters: Counters;
  clusters: readonly Cluster[];
  listeners: () => { name: string; address: string; port: number }[];
  config: unknown;
  version: string;
  startedMs: number;
  quit: () => void;
}

interface Page {
  status?: number;
  type?: string;
  body: string;
}

const JSON_TYPE = "application/json";
const json = (value: unknown): Page => ({ type: JSON_TYPE, body: JSON.stringify(value) });

export class Admin {
  readonly #server: Server;

  constructor(parts: AdminParts) {
    this.#server = createServer((request, response) => answer(parts, request, response));
  }

  /** `host:port`. */
  async listen(address: string, port: number): Promise<string> {
    await new Promise<void>((resolve, reject) => this.#server.once("error", reject).listen({ host: address, port, exclusive: true }, resolve));
    const bound = this.#server.address() as AddressInfo;
    return bound.family === "IPv6" ? `[${bound.address}]:${bound.port}` : `${bound.address}:${bound.port}`;
  }

  close(): Promise<void> {
    return new Promise((resolve) => {
      this.#server.close(() => resolve());
      this.#server.closeAllConnections();
    });
  }
}

function answer(parts: AdminParts, request: IncomingMessage, response: ServerResponse): void {
  const url = new URL(request.url ?? "/", "http://admin");
  const page = allowed(request, url) ?? pageFor(parts, url);
  response.writeHead(page.status ?? 200, { "content-type": page.type ?? "text/plain; charset=UTF-8", "cache-control": "no-cache, max-age=0", "x-content-type-options": "nosniff" });
  response.end(page.body);
}

const CHANGES = new Set(["/quitquitquit", "/reset_counters", "/logging"]);

/** A page in a browser on this machine mustn't stop the node: changes by POST only, as in Envoy. */
function allowed(request: IncomingMessage, { pathname }: URL): Page | undefined {
  const wanted = CHANGES.has(pathname) ? "POST" : "GET";
  return request.method === wanted || (wanted === "GET" && request.method === "HEAD") ? undefined : { status: 405, body: `Method ${request.method} not allowed, ${wanted} required.` };
}

function pageFor(parts: AdminParts, { pathname, searchParams }: URL): Page {
  const filter = filterOf(searchParams.get("filter"));
  if (filter === null) return { status: 400, body: "Invalid re2 regex" };
  switch (pathname) {
    case "/ready":
      return { body: "LIVE\n" };
    case "/stats":
      return searchParams.get("format") === "prometheus" ? { body: parts.statistics.prometheus(filter) } : stats(parts.statistics, filter, searchParams.get("format") === "json");
    case "/stats/prometheus":
      return { body: parts.statistics.prometheus(filter) };
    case "/clusters":
      return { body: parts.clusters.flatMap(({ name, endpoints }) => endpoints.map(({ host, port, active }) => `${name}::${host}:${port}::rq_active::${active}\n${name}::${host}:${port}::health_flags::healthy\n`)).join("") };
    case "/listeners":
      return listeners(parts.listeners(), searchParams.get("format") === "json");
    case "/server_info":
      return json({ version: parts.version, state: "LIVE", uptime_current_epoch: `${Math.floor((Date.now() - parts.startedMs) / 1000)}s` });
    case "/memory": {
      const { heapUsed, heapTotal } = process.memoryUsage();
      return json({ allocated: String(heapUsed), heap_size: String(heapTotal) });
    }
    case "/config_dump":
      return json({ configs: [{ "@type": "type.googleapis.com/envoy.admin.v3.BootstrapConfigDump", bootstrap: withoutSecrets(parts.config) }] });
    case "/reset_counters":
      parts.counters.reset();
      return { body: "OK\n" };
    case "/logging":
      return { body: "the host engine has one level of logs: info\n" };
    case "/quitquitquit":
      setImmediate(parts.quit);
      return { body: "OK\n" };
    case "/":
      return { body: "/clusters\n/config_dump\n/listeners\n/logging\n/memory\n/quitquitquit\n/ready\n/reset_counters\n/server_info\n/stats\n/stats/prometheus\n" };
    default:
      return { status: 404, body: "the host engine has no such page\n" };
  }
}

function stats(statistics: Statistics, filter: RegExp | undefined, asJson: boolean): Page {
  const all = statistics.read(filter);
  if (!asJson) return { body: all.map((stat) => `${stat.name}: ${stat.kind === "histogram" ? `count=${stat.count} sum=${stat.sum}` : stat.value}\n`).join("") };
  return json({ stats: all.flatMap((stat) => (stat.kind === "histogram" ? [] : [{ name: stat.name, value: stat.value }])) });
}

function listeners(all: { name: string; address: string; port: number }[], asJson: boolean): Page {
  if (!asJson) return { body: all.map(({ name, address, port }) => `${name}::${address}:${port}\n`).join("") };
  return json({ listener_statuses: all.map(({ name, address, port }) => ({ name, local_address: { socket_address: { address, port_value: port } } })) });
}

/** Undefined: everything; null: not a pattern. */
function filterOf(text: string | null): RegExp | undefined | null {
  if (text === null) return undefined;
  try {
    return new RegExp(text);
  } catch {
    return null;
  }
}

/** Keys in the configuration stay there, as with Envoy. */
function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, key === "private_key" ? { inline_string: "[redacted]" } : withoutSecrets(each)]));
}

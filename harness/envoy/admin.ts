import { request } from "node:http";
import { fail } from "../errors.ts";
import { parsePrometheus, type PrometheusSample } from "./prometheus.ts";

export interface AdminResponse {
  status: number;
  body: string;
}

/** A listener as it is bound: the way to learn the port of one that asked for port 0. */
export interface BoundListener {
  name: string;
  address: string;
  port: number;
}

/** Client of an Envoy's admin interface. */
export class AdminClient {
  /** @param address `host:port` */
  constructor(readonly address: string) {}

  get url(): string {
    return `http://${this.address}`;
  }

  get(path: string): Promise<AdminResponse> {
    return this.#request("GET", path);
  }

  post(path: string): Promise<AdminResponse> {
    return this.#request("POST", path);
  }

  /** True once Envoy serves; false while it starts, when it drains, and when nothing answers. */
  async ready(): Promise<boolean> {
    return (await this.get("/ready").catch(() => null))?.status === 200;
  }

  serverInfo(): Promise<Record<string, unknown>> {
    return this.#json("/server_info");
  }

  /** Bytes, as the allocator counts them. */
  async memory(): Promise<{ allocated: number; heapSize: number }> {
    const memory = await this.#json<Record<string, string>>("/memory");
    return { allocated: Number(memory.allocated), heapSize: Number(memory.heap_size) };
  }

  configDump(query = ""): Promise<Record<string, unknown>> {
    return this.#json(`/config_dump${query}`);
  }

  /** Counters and gauges by name. @param filter a regular expression on the name */
  async stats(filter?: string): Promise<Map<string, number>> {
    const query = filter === undefined ? "" : `&filter=${encodeURIComponent(filter)}`;
    const { stats } = await this.#json<{ stats: { name?: string; value?: number }[] }>(`/stats?format=json${query}`);
    return new Map(stats.flatMap(({ name, value }) => (name !== undefined && typeof value === "number" ? [[name, value] as const] : [])));
  }

  /** Every metric as Prometheus scrapes it. @param filter a regular expression on Envoy's name of the metric */
  async prometheus(filter?: string): Promise<PrometheusSample[]> {
    return parsePrometheus(await this.#text(`/stats/prometheus${filter === undefined ? "" : `?filter=${encodeURIComponent(filter)}`}`));
  }

  async listeners(): Promise<BoundListener[]> {
    type Address = { socket_address?: { address: string; port_value: number } };
    const { listener_statuses = [] } = await this.#json<{ listener_statuses?: { name: string; local_address: Address }[] }>("/listeners?format=json");
    return listener_statuses.map(({ name, local_address }) => ({
      name,
      address: local_address.socket_address?.address ?? "",
      port: local_address.socket_address?.port_value ?? 0,
    }));
  }

  /** Sets the level of one logger (`wasm`, `http`, …), or of all of them. */
  async logging(level: string, logger?: string): Promise<void> {
    await this.#text(logger === undefined ? `/logging?level=${level}` : `/logging?${logger}=${level}`, "POST");
  }

  async resetCounters(): Promise<void> {
    await this.#text("/reset_counters", "POST");
  }

  /** Asks Envoy to exit. */
  async quit(): Promise<void> {
    await this.#text("/quitquitquit", "POST");
  }

  async #json<T = Record<string, unknown>>(path: string): Promise<T> {
    return JSON.parse(await this.#text(path)) as T;
  }

  async #text(path: string, method = "GET"): Promise<string> {
    const { status, body } = await this.#request(method, path);
    if (status !== 200) fail("envoy-admin", `Envoy's admin interface answered ${status} to ${method} ${path}`, { found: body.trim().slice(0, 200) });
    return body;
  }

  #request(method: string, path: string): Promise<AdminResponse> {
    return new Promise((resolve, reject) => {
      // One connection each: a kept one would hold up Envoy's exit, and ours.
      const call = request(`${this.url}${path}`, { method, agent: false, timeout: 10_000 }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString() }));
      });
      call.on("timeout", () => call.destroy(new Error(`no answer from ${this.url}${path} for 10 s`)));
      call.on("error", reject);
      call.end();
    });
  }
}

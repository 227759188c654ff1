/** The upstream of every case: a real server that answers what the case at hand says, and remembers what it was asked. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { onCleanup } from "../../../cleanup.ts";
import type { Exchange, HeaderPairs, UpstreamPlan } from "../../plan.ts";

export class Upstream {
  /** How to answer. */
  plan: UpstreamPlan | undefined;
  /** The last request, once it is complete. */
  seen: Exchange["upstream"];
  readonly #server: Server;
  readonly #forget: () => void;

  private constructor() {
    this.#server = createServer((request, response) => void this.#serve(request, response));
    // Envoy keeps connections; the server must not be the first to close one.
    this.#server.keepAliveTimeout = 0;
    this.#forget = onCleanup({ name: "upstream", run: () => this.close(), now: () => {} });
  }

  static async start(): Promise<Upstream> {
    const upstream = new Upstream();
    await new Promise<void>((resolve, reject) => {
      upstream.#server.once("error", reject);
      upstream.#server.listen(0, "127.0.0.1", resolve);
    });
    return upstream;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async close(): Promise<void> {
    this.#forget();
    this.#server.closeAllConnections();
    await new Promise<void>((resolve) => this.#server.close(() => resolve()));
  }

  async #serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const plan = this.plan;
    const chunks: Buffer[] = [];
    try {
      for await (const chunk of request) chunks.push(chunk as Buffer);
    } catch {
      return; // broken off: nothing to answer
    }
    this.seen = { method: request.method ?? "", path: request.url ?? "", headers: pairsOf(request.rawHeaders), body: Buffer.concat(chunks).toString() };
    if (plan === undefined || plan.reset) {
      request.socket.destroy();
      return;
    }
    if (plan.delayMs > 0) await new Promise((resolve) => setTimeout(resolve, plan.delayMs));
    response.sendDate = false;
    response.writeHead(plan.status, plan.headers.flat());
    if (request.method !== "HEAD") for (const chunk of plan.body) response.write(chunk);
    response.end();
  }
}

/** Node's flat list, names in lower case. */
export function pairsOf(raw: readonly string[]): HeaderPairs {
  return Array.from({ length: raw.length / 2 }, (_, i) => [raw[2 * i]!.toLowerCase(), raw[2 * i + 1]!]);
}

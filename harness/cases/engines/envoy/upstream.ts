/** The upstream of every case: answers what the case at hand says, and remembers what it was asked. */
import type { Exchange, UpstreamPlan } from "../../plan.ts";
import { Server } from "./server.ts";

export class Upstream {
  /** How to answer. */
  plan: UpstreamPlan | undefined;
  /** The last request, once it is complete. */
  seen: Exchange["upstream"];

  private constructor(private readonly servers: () => Server[]) {}

  static async start(): Promise<Upstream> {
    const servers: Server[] = [];
    const upstream = new Upstream(() => servers);
    for (const protocol of ["http1", "http2"] as const) {
      servers.push(
        await Server.start(protocol, (request) => {
          upstream.seen = request;
          return upstream.plan;
        }),
      );
    }
    return upstream;
  }

  get ports(): { http1: number; http2: number } {
    const [http1, http2] = this.servers();
    return { http1: http1!.port, http2: http2!.port };
  }

  async close(): Promise<void> {
    await Promise.all(this.servers().map((server) => server.close()));
  }
}

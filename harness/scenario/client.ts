/** One workload's connections to the node: HTTP over mutual TLS with its own certificate. */
import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { isIP, isIPv6 } from "node:net";
import { join } from "node:path";
import type { Outcome, Target, TrafficModel, WorkloadIdentity } from "./model.ts";
import { SERVED_BY } from "./upstreams.ts";

const TIMEOUT_MS = 10_000;
/** What a refused TLS connection looks like from here; a reset may overtake the alert that says why. */
const REFUSED = /^(ERR_SSL_|ECONNRESET$|EPIPE$)/;

export interface Answer {
  outcome: Outcome | "fail";
  status?: number;
  /** `namespace/name` of the Backend that answered. */
  servedBy?: string;
  /** Code of the error where no answer came. */
  error?: string;
}

export class Client {
  readonly #agent: http.Agent;
  readonly #target: Target;
  readonly #anonymous: boolean;

  /**
   * @param identity undefined: shows no certificate
   * @param authority directory whose ca.crt signs the node's certificate
   */
  constructor(target: Target, identity: WorkloadIdentity | undefined, authority: string, maxSockets: number) {
    this.#target = target;
    this.#anonymous = identity === undefined;
    const read = (directory: string, name: string): string => readFileSync(join(directory, name), "utf8");
    this.#agent = target.tls
      ? new https.Agent({
          keepAlive: true,
          maxSockets,
          ca: read(authority, "ca.crt"),
          ...(identity && { cert: read(identity.directory, "tls.crt"), key: read(identity.directory, "tls.key") }),
        })
      : new http.Agent({ keepAlive: true, maxSockets });
  }

  /** Never rejects: what went wrong is part of the answer. */
  send(traffic: Pick<TrafficModel, "method" | "host" | "path" | "headers" | "bodyBytes">): Promise<Answer> {
    const { address, port, tls } = this.#target;
    return new Promise((resolve) => {
      const options: https.RequestOptions = {
        agent: this.#agent,
        host: address,
        port,
        method: traffic.method,
        path: traffic.path,
        // As a browser or curl writes it: with the port, unless it is the usual one.
        headers: {
          ...traffic.headers,
          host: port === (tls ? 443 : 80) ? traffic.host : `${isIPv6(traffic.host) ? `[${traffic.host}]` : traffic.host}:${port}`,
          ...(traffic.bodyBytes > 0 && { "content-type": "application/octet-stream", "content-length": String(traffic.bodyBytes) }),
        },
        ...(isIP(traffic.host) === 0 && { servername: traffic.host }),
        timeout: TIMEOUT_MS,
      };
      const call = (tls ? https : http).request(options, (response) => {
        response.resume();
        response.on("error", (error: NodeJS.ErrnoException) => resolve({ outcome: "fail", status: response.statusCode, error: error.code ?? error.message }));
        response.on("end", () => resolve(classify(response)));
      });
      call.on("timeout", () => call.destroy(Object.assign(new Error("no answer in time"), { code: "ETIMEDOUT" })));
      call.on("error", (error: NodeJS.ErrnoException) => {
        const code = error.code ?? error.message;
        resolve({ outcome: tls && this.#anonymous && REFUSED.test(code) ? "refuse" : "fail", error: code });
      });
      call.end(traffic.bodyBytes > 0 ? Buffer.alloc(traffic.bodyBytes, "x") : undefined);
    });
  }

  close(): void {
    this.#agent.destroy();
  }
}

/** An upstream that answered, whatever its status, was reached; 403 without one is the filter's. */
function classify(response: http.IncomingMessage): Answer {
  const status = response.statusCode ?? 0;
  const servedBy = response.headers[SERVED_BY];
  if (typeof servedBy === "string") return { outcome: "allow", status, servedBy };
  return { outcome: status === 403 ? "deny" : "fail", status };
}

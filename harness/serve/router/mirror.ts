/** Copies of a request whose answers nobody reads. */
import { HeaderMap } from "../../host/index.ts";
import type { Cluster } from "../upstream/cluster.ts";
import type { UpstreamEvents } from "../upstream/request.ts";
import { withoutPort } from "./match.ts";

const nothing = (): void => {};
const UNHEARD: UpstreamEvents = { connected: nothing, headers: nothing, data: nothing, trailers: nothing, failed: nothing, drained: nothing };
/** A copy that gets no answer is given up. */
const TIMEOUT_MS = 15_000;

export class Mirrors {
  readonly #clusters: Cluster[];
  readonly #headers: HeaderMap;
  readonly #limit: number;
  readonly #body: Uint8Array[] = [];
  #bytes = 0;

  constructor(clusters: Cluster[], headers: HeaderMap, limit: number) {
    this.#clusters = clusters;
    this.#limit = limit;
    this.#headers = headers.share();
    const authority = headers.get(":authority") ?? "";
    const host = withoutPort(authority);
    this.#headers.assign(":authority", `${host}-shadow${authority.slice(host.length)}`);
  }

  data(data: Uint8Array): void {
    this.#bytes += data.length;
    if (this.#bytes <= this.#limit && data.length > 0) this.#body.push(data);
  }

  /** Once the request is whole; one that is too big to be kept isn't copied. */
  send(): void {
    if (this.#bytes > this.#limit) return;
    for (const cluster of this.#clusters.splice(0)) {
      const started = cluster.start(this.#headers.share(), this.#body.length === 0, UNHEARD);
      if (started === undefined || started === "overflow") continue;
      for (const chunk of this.#body) started.call.write(chunk);
      if (this.#body.length > 0) started.call.end();
      setTimeout(() => started.call.abort(), TIMEOUT_MS).unref();
    }
  }
}

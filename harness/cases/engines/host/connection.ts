/** One connection through a filter on the host: both ends' scripts, by the fake clock. */
import { PEER_KEY } from "../../../compose/emit/listener.ts";
import type { FakeClock, Filter, TcpConnection } from "../../../host/index.ts";
import { DESTINATION, SOURCE_PORT, type Act, type ConnectionPlan, type ConnectionSeen } from "../../connections.ts";
import { DIRECT_KEY, SUBJECT, TCP_CLUSTER } from "../common.ts";

/** How long a connection may wait, in clock time. */
const MAX_MS = 60_000;

/** Opens a connection and lets both ends do what they are to do. Gives what came of it, and how long it took on the clock. */
export async function connect({ tls, sni, peer, source, direct, destination = DESTINATION, script }: ConnectionPlan, answers: readonly Act[], filter: Filter, clock: FakeClock): Promise<{ connection: ConnectionSeen; elapsedMs: number }> {
  const started = clock.nowMs();
  const connection = filter.tcp({
    source: { address: source, port: SOURCE_PORT, uriSans: peer?.uriSans ?? [], ...(peer && { subject: SUBJECT }) },
    destination,
    tls: tls ? { serverName: sni ?? "" } : false,
    cluster: TCP_CLUSTER,
    filterState: { [DIRECT_KEY]: direct },
  });
  const connected = connection.closedBy === undefined;
  // The handshake comes after the connection.
  if (tls) connection.connection.filterState.set(PEER_KEY, { from: "envoy", value: Buffer.from(peer?.uriSans.join(",") || "-") });
  const order: ("client" | "upstream")[] = [];
  const client: End = new End("client", script, clock, order, {
    send: (bytes, end) => connection.data(bytes, end),
    received: () => connection.toClient,
    otherEnded: () => connection.upstreamEnded,
    reset: () => connection.close(),
  });
  const upstream: End = new End("upstream", answers, clock, order, {
    send: (bytes, end) => connection.upstreamData(bytes, end),
    received: () => connection.toUpstream,
    otherEnded: () => connection.downstreamEnded,
    reset: () => connection.closeBy("envoy"),
  });
  for (const limit = started + MAX_MS; connection.closedBy === undefined; ) {
    await filter.host.settle();
    if (step(connection, client) || step(connection, upstream)) continue;
    // Both have done what they were to do: the client ends, then the upstream.
    if (client.finished && upstream.finished && client.end()) continue;
    if (upstream.finished && connection.downstreamEnded && upstream.end()) continue;
    const next = clock.untilNext();
    if (next === undefined || clock.nowMs() + next > limit) break;
    clock.advance(next);
  }
  if (connection.closedBy === undefined) {
    order.push("client");
    connection.close();
  }
  const byFilter = connection.closedBy === "filter" || connection.closedBy === "failure";
  return {
    connection: { received: connection.toClient, closed: byFilter ? "filter" : (order[0] ?? "client"), upstream: { received: connection.toUpstream, connected: tls ? undefined : connected } },
    elapsedMs: clock.nowMs() - started,
  };
}

/** True: something happened. */
const step = (connection: TcpConnection, end: End): boolean => connection.closedBy === undefined && end.step();

interface Wire {
  send: (bytes: Uint8Array, end: boolean) => void;
  received: () => Uint8Array;
  otherEnded: () => boolean;
  reset: () => void;
}

class End {
  #at = 0;
  /** Up to where what came was waited for. */
  #awaited = 0;
  #waiting = false;
  #ended = false;

  constructor(
    private readonly who: "client" | "upstream",
    private readonly script: readonly Act[],
    private readonly clock: FakeClock,
    private readonly order: string[],
    private readonly wire: Wire,
  ) {}

  get finished(): boolean {
    return this.#at >= this.script.length && !this.#waiting;
  }

  /** Does the next thing, if it can. */
  step(): boolean {
    const act = this.script[this.#at];
    if (act === undefined || this.#waiting || !this.#do(act)) return false;
    this.#at++;
    return true;
  }

  /** Ends this side, once. */
  end(): boolean {
    if (this.#ended) return false;
    this.#ended = true;
    this.order.push(this.who);
    this.wire.send(new Uint8Array(0), true);
    return true;
  }

  #do(act: Act): boolean {
    if (act === "await-end") return this.wire.otherEnded();
    if (act === "end") this.end();
    else if (act === "reset") {
      this.order.push(this.who);
      this.wire.reset();
    } else if ("send" in act) this.wire.send(act.send, false);
    else if ("waitMs" in act) {
      this.#waiting = true;
      this.clock.after(act.waitMs, () => (this.#waiting = false));
    } else {
      const found = Buffer.from(this.wire.received()).indexOf(act.await, this.#awaited);
      if (found < 0) return false;
      this.#awaited = found + act.await.length;
    }
    return true;
  }
}

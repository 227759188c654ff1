/** Sends a Scenario's traffic through the node, each workload with connections and a certificate of its own. */
import { Client, type Answer } from "./client.ts";
import type { Scenario, TrafficModel, WorkloadIdentity } from "./model.ts";
import { USER } from "./resolve-traffic.ts";

/** What came back for one entry of the traffic. */
export interface EntryResult {
  sent: number;
  outcomes: Record<Answer["outcome"], number>;
  /** What answers that fit no outcome were: `status 503`, `ECONNREFUSED`; with their numbers. */
  failures: Map<string, number>;
  /** How many requests each Backend answered, by its id. */
  servedBy: Map<string, number>;
  /** For canary traffic: the Backends that answered each user's requests. */
  users: Map<string, Set<string>>;
}

/** So many requests of an entry without any answer say enough: a node that hangs would hold up each for its full time. */
const MOST_UNANSWERED = 50;

export class Driver {
  readonly #scenario: Pick<Scenario, "target" | "traffic">;
  readonly #authority: string;
  readonly #clients = new Map<WorkloadIdentity | undefined, Client>();

  /** @param authority directory whose ca.crt signs the node's certificate */
  constructor(scenario: Pick<Scenario, "target" | "traffic">, authority: string) {
    this.#scenario = scenario;
    this.#authority = authority;
  }

  /**
   * Sends all requests of one entry, never more at once than it says, and returns when each has its answer; gives up
   * when too many have none.
   *
   * @param onAnswer told after every answer
   */
  async send(traffic: TrafficModel, signal: AbortSignal, onAnswer: () => void): Promise<EntryResult> {
    const client = this.#client(traffic.from);
    const result: EntryResult = { sent: 0, outcomes: { allow: 0, deny: 0, refuse: 0, fail: 0 }, failures: new Map(), servedBy: new Map(), users: new Map() };
    let next = 0;
    let unanswered = 0;
    const sender = async (): Promise<void> => {
      while (next < traffic.count && unanswered < MOST_UNANSWERED && !signal.aborted) {
        const number = next++;
        // All users, then all again, so that a user's requests lie apart in time.
        const user = traffic.canary && `user-${number % traffic.canary.users}`;
        const answer = await client.send(user === undefined ? traffic : forUser(traffic, user));
        if (answer.outcome === "fail" && answer.error !== undefined) unanswered++;
        record(result, answer, user);
        onAnswer();
      }
    };
    await Promise.all(Array.from({ length: Math.min(traffic.concurrency, traffic.count) }, sender));
    return result;
  }

  close(): void {
    for (const client of this.#clients.values()) client.close();
  }

  #client(identity: WorkloadIdentity | undefined): Client {
    const known = this.#clients.get(identity);
    if (known) return known;
    const most = Math.max(...this.#scenario.traffic.filter(({ from }) => from === identity).map(({ concurrency }) => concurrency));
    const client = new Client(this.#scenario.target, identity, this.#authority, most);
    this.#clients.set(identity, client);
    return client;
  }
}

function forUser(traffic: TrafficModel, user: string): TrafficModel {
  const headers = Object.fromEntries(Object.entries(traffic.headers).map(([name, value]) => [name, value.replaceAll(USER, user)]));
  return { ...traffic, headers, path: traffic.path.replaceAll(USER, user) };
}

function record(result: EntryResult, answer: Answer, user: string | undefined): void {
  result.sent++;
  result.outcomes[answer.outcome]++;
  if (answer.outcome === "fail") increment(result.failures, answer.error ?? `status ${answer.status}`);
  if (answer.servedBy === undefined) return;
  increment(result.servedBy, answer.servedBy);
  if (user !== undefined) result.users.set(user, (result.users.get(user) ?? new Set()).add(answer.servedBy));
}

function increment(counts: Map<string, number>, key: string): void {
  counts.set(key, (counts.get(key) ?? 0) + 1);
}

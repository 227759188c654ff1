/** The clusters that filters call out to: a server for each name, which records what it gets and answers as the case says. */
import { fail } from "../../../errors.ts";
import { isGrpc } from "../../grpc.ts";
import { planAnswer, type AnswerPlan, type Protocol } from "../../messages.ts";
import { clustersOf, type CallSeen, type CasePlan } from "../../plan.ts";
import type { CallAnswerSpec } from "../../schema-calls.ts";
import type { Stubs } from "../../stubs.ts";
import { Server, type Received } from "./server.ts";

export class Callouts {
  readonly clusters: { name: string; port: number; protocol: Protocol }[] = [];
  readonly #servers = new Map<string, Server>();
  #calls: CallSeen[] = [];
  #stubs: Stubs | undefined;

  /** @throws SelvedgeError `cluster-protocol` when a name is used for HTTP in one case and for gRPC in another */
  static async start(plans: readonly CasePlan[]): Promise<Callouts> {
    const callouts = new Callouts();
    const first = new Map<string, { kind: "grpc" | "http" | undefined; plan: CasePlan }>();
    for (const plan of plans) {
      for (const [name, kind] of clustersOf(plan)) {
        const known = first.get(name);
        if (known?.kind && kind && known.kind !== kind) fail("cluster-protocol", `cluster \`${name}\` is called by gRPC in one case and by HTTP in another, and one Envoy serves both`, { where: plan.where, found: `the other case in ${known.plan.where.file}:${known.plan.where.line}`, fix: "give the two different names" });
        if (!known?.kind) first.set(name, { kind, plan });
      }
    }
    for (const [name, { kind }] of first) {
      const grpc = kind === "grpc";
      const protocol = grpc ? "http2" : "http1";
      const server = await Server.start(protocol, (request) => callouts.#answer(name, grpc, request));
      callouts.#servers.set(name, server);
      callouts.clusters.push({ name, port: server.port, protocol });
    }
    return callouts;
  }

  /** From now on these answers; calls made earlier belong to nobody. */
  async begin(stubs: Stubs): Promise<void> {
    this.#stubs = stubs;
    for (const [name, server] of this.#servers) await server.setListening(!stubs.refuses(name));
  }

  /** Calls since {@link take}. */
  get calls(): CallSeen[] {
    return [...this.#calls];
  }

  take(): void {
    this.#calls = [];
  }

  async close(): Promise<void> {
    await Promise.all([...this.#servers.values()].map((server) => server.close()));
  }

  #answer(cluster: string, grpc: boolean, request: Received): AnswerPlan | "silent" | undefined {
    const call: CallSeen = { cluster, ...request, ...(grpc && isGrpc(request.headers) && { rpc: request.path.slice(1) }) };
    this.#calls.push(call);
    const answer = this.#stubs?.answer(call) ?? NOT_FOUND[grpc ? "grpc" : "http"];
    if (answer.fail === "timeout") return "silent";
    return { ...planAnswer(answer, grpc ? "http2" : "http1"), reset: answer.fail === "reset" };
  }
}

/** What no answer of the case is for. */
const NOT_FOUND: Record<"grpc" | "http", CallAnswerSpec> = { http: { status: 404 }, grpc: { grpc: { status: 12 } } };

/** What each policy guards: the Gateways' own stage, and the workloads behind them. */
import { attaches, attachesToGateway, resolveWorkloads, tcpSubject } from "../compose/resolve/attachment.ts";
import { rulesOf } from "../compose/resolve/index.ts";
import { speaksHttp, type Model, type Socket } from "../compose/resolve/model.ts";
import { tcpListeners } from "../compose/resolve/tcp.ts";
import { Report } from "../compose/report.ts";
import type { Policy } from "./clauses.ts";

export class Attached {
  readonly #guards = new Map<Policy, Set<string>>();
  readonly #sockets = new Map<Policy, Set<Socket>>();
  readonly #connections = new Map<Policy, string[]>();

  constructor(model: Model, rootNamespace: string) {
    for (const policy of model.policies) {
      this.#guards.set(policy, new Set());
      this.#sockets.set(policy, new Set());
      this.#connections.set(policy, []);
    }
    for (const gateway of model.gateways) {
      const workloads = resolveWorkloads(rulesOf(gateway), model.policies, rootNamespace, new Report());
      for (const policy of model.policies) {
        const guards = this.#guards.get(policy)!;
        const before = guards.size;
        if (attachesToGateway(policy, gateway, rootNamespace)) guards.add(gateway.resource.id);
        for (const workload of workloads) if (attaches(policy, workload, rootNamespace)) guards.add(`${gateway.resource.id} ${workload.name}`);
        const http = guards.size > before;
        const gate = attachesToGateway(policy, gateway, rootNamespace);
        for (const socket of gateway.sockets) if (http && speaksHttp(socket.protocol)) this.#sockets.get(policy)!.add(socket);
        for (const { listener, route } of tcpListeners(gateway)) {
          if (!gate && !route.arms.some(({ backend }) => attaches(policy, tcpSubject(route.resource, backend), rootNamespace))) continue;
          guards.add(`${gateway.resource.id} ${route.resource.id} ${listener.name}`);
          this.#connections.get(policy)!.push(listener.name);
          this.#sockets.get(policy)!.add(gateway.sockets.find(({ listeners }) => listeners.includes(listener))!);
        }
      }
    }
  }

  /** Does `other` hold wherever `policy` does, and does that hold anywhere? */
  wherever(policy: Policy, other: Policy): boolean {
    const guards = this.#guards.get(policy)!;
    const others = this.#guards.get(other)!;
    return guards.size > 0 && [...guards].every((each) => others.has(each));
  }

  /** Through which what the policy guards is reached. */
  sockets(policy: Policy): Socket[] {
    return [...this.#sockets.get(policy)!];
  }

  /** Names of the listeners whose connections it guards. */
  connections(policy: Policy): string[] {
    return this.#connections.get(policy)!;
  }
}

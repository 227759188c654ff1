/** What each policy guards: the Gateways' own stage, and the workloads behind them. */
import { attaches, attachesToGateway, resolveWorkloads } from "../compose/resolve/attachment.ts";
import { rulesOf } from "../compose/resolve/index.ts";
import type { GatewayModel, Model } from "../compose/resolve/model.ts";
import { Report } from "../compose/report.ts";
import type { Policy } from "./clauses.ts";

export class Attached {
  readonly #guards = new Map<Policy, Set<string>>();
  readonly #gateways = new Map<Policy, GatewayModel[]>();

  constructor(model: Model, rootNamespace: string) {
    for (const policy of model.policies) {
      this.#guards.set(policy, new Set());
      this.#gateways.set(policy, []);
    }
    for (const gateway of model.gateways) {
      const workloads = resolveWorkloads(rulesOf(gateway), model.policies, rootNamespace, new Report());
      for (const policy of model.policies) {
        const guards = this.#guards.get(policy)!;
        const before = guards.size;
        if (attachesToGateway(policy, gateway, rootNamespace)) guards.add(gateway.resource.id);
        for (const workload of workloads) if (attaches(policy, workload, rootNamespace)) guards.add(`${gateway.resource.id} ${workload.name}`);
        if (guards.size > before) this.#gateways.get(policy)!.push(gateway);
      }
    }
  }

  /** Does `other` hold wherever `policy` does, and does that hold anywhere? */
  wherever(policy: Policy, other: Policy): boolean {
    const guards = this.#guards.get(policy)!;
    const others = this.#guards.get(other)!;
    return guards.size > 0 && [...guards].every((each) => others.has(each));
  }

  /** The Gateways through which requests reach what the policy guards. */
  gateways(policy: Policy): GatewayModel[] {
    return this.#gateways.get(policy)!;
  }
}

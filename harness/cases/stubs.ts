/** Chooses what a cluster answers to a call. Pure but for counting how often each answer was given. */
import { headerMismatches } from "./headers.ts";
import type { CallSeen } from "./plan.ts";
import type { CallAnswerSpec, ClustersSpec } from "./schema-calls.ts";

export class Stubs {
  /** @param given answers that earlier steps of the case gave */
  constructor(
    private readonly clusters: ClustersSpec,
    private readonly given: Set<CallAnswerSpec>,
  ) {}

  /**
   * The first answer that fits and wasn't given yet, or else the last one that fits. Undefined: none fits, or the case
   * declares no such cluster.
   */
  answer(call: CallSeen): CallAnswerSpec | undefined {
    const fitting = this.all(call.cluster).filter(({ when }) => fits(when, call));
    const chosen = fitting.find((each) => !this.given.has(each)) ?? fitting.at(-1);
    if (chosen) this.given.add(chosen);
    return chosen;
  }

  /** Nobody listens at this cluster. */
  refuses(cluster: string): boolean {
    return this.all(cluster).some(({ fail }) => fail === "connect");
  }

  private all(cluster: string): CallAnswerSpec[] {
    return [(Object.hasOwn(this.clusters, cluster) && this.clusters[cluster]) || []].flat();
  }
}

function fits(when: CallAnswerSpec["when"], call: CallSeen): boolean {
  if (when === undefined) return true;
  if (when.method !== undefined && when.method !== call.method) return false;
  if (when.path !== undefined && when.path !== call.path) return false;
  if (when.rpc !== undefined && when.rpc !== call.rpc) return false;
  return when.headers === undefined || headerMismatches(when.headers, call.headers).length === 0;
}

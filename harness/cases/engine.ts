/** What can run cases. */
import type { CaseObservation, CasePlan, StepObservation } from "./plan.ts";
import type { EngineName } from "./schema.ts";

/** Whether a step's observation is what is expected; engines that see metrics and logs late look again until it is, for a while. */
export type Satisfied = (step: number, observation: StepObservation) => boolean;

export interface Engine {
  readonly name: EngineName;
  /** Called once, with every case that will be run. @throws SelvedgeError when none of them can be */
  prepare(plans: readonly CasePlan[]): Promise<void>;
  /** Runs one case. @throws SelvedgeError when it can't be run at all */
  run(plan: CasePlan, satisfied: Satisfied): Promise<CaseObservation>;
  close(): Promise<void>;
}

/** What a folder of policies may hold besides policies: a Scenario, and tests of its policies. */
import { checkAgainst } from "../compose/external.ts";
import type { LoadOptions } from "../compose/index.ts";
import { checkPolicyTest } from "../policytest/check.ts";
import { POLICY_TEST } from "../policytest/schema.ts";
import { SCENARIO, ScenarioResource } from "./schema.ts";

export const checkScenario = checkAgainst(ScenarioResource, "Scenario");

/** For `loadPolicies`: a folder of policies may hold a Scenario and PolicyTests. */
export const withScenario: LoadOptions = { externalKinds: { [SCENARIO]: checkScenario, [POLICY_TEST]: checkPolicyTest } };

/** Decides the tests of a folder with each mutant of its policies, and tells which mutants no test noticed. */
import { fail, SelvedgeError, type Position } from "../errors.ts";
import type { Json } from "../host/index.ts";
import type { AuthzModule } from "../decide/module.ts";
import type { EdgeNode, Gateway, Policy, Workload } from "../decide/node.ts";
import { decided, mismatch } from "../policytest/host.ts";
import type { PolicyCase } from "../policytest/cases.ts";
import { differing, type Difference } from "./differ.ts";
import { mutantsOf, type Mutant } from "./mutants.ts";

export interface Unnoticed {
  policy: string;
  change: string;
  where: Position;
  /** A request on which the mutant decides otherwise: a test to add. Undefined: none of those tried, so it may mean the same. */
  difference: Difference | undefined;
}

export interface Mutation {
  mutants: number;
  noticed: number;
  /** Changes that a request shows and no test. */
  survivors: Unnoticed[];
  /** Changes that none of the requests tried shows. */
  equivalent: Unnoticed[];
  /** Changes that the filter refuses to load: they could not do harm. */
  refused: number;
  /** Policies that concern no route. */
  unattached: string[];
  durationMs: number;
}

interface Test {
  each: PolicyCase;
  workload: Workload;
  request: Parameters<AuthzModule["decide"]>;
}

/** @throws SelvedgeError `mutate-failing` when a test fails as it is */
export function mutate(node: EdgeNode, cases: readonly PolicyCase[]): Mutation {
  const started = performance.now();
  const result: Mutation = { mutants: 0, noticed: 0, survivors: [], equivalent: [], refused: 0, unattached: [], durationMs: 0 };
  const attached = new Set<Policy>();
  for (const gateway of node.gateways) {
    if (!gateway.config) continue;
    const tests = cases.flatMap((each): Test[] => {
      const { arrival } = each.asked;
      return arrival.kind === "arrived" && arrival.gateway === gateway ? [{ each, workload: arrival.workload, request: [arrival.request, arrival.route?.name] }] : [];
    });
    for (const test of tests) if (mismatch(test.each, decided(gateway, ...test.request))) fail("mutate-failing", "the tests must pass before the policies are changed", { where: test.each.where, found: test.each.name });
    for (const policy of gateway.policies) {
      const mine = workloadsOf(gateway, policy);
      if (mine.length === 0) continue;
      attached.add(policy);
      for (const mutant of mutantsOf(policy)) one(gateway, mutant, mine, tests, node, result);
    }
  }
  result.unattached = (node.gateways[0]?.policies ?? []).filter((policy) => !attached.has(policy)).map(({ id }) => id);
  result.durationMs = performance.now() - started;
  return result;
}

function workloadsOf(gateway: Gateway, policy: Policy): Workload[] {
  const everywhere = gateway.applying(gateway.self, "gateway").includes(policy);
  return [...gateway.workloads, gateway.self].filter((workload) => everywhere || gateway.applying(workload, "workload").includes(policy));
}

function one(gateway: Gateway, mutant: Mutant, mine: readonly Workload[], tests: Test[], node: EdgeNode, result: Mutation): void {
  // Another selector may attach the policy to other workloads.
  const concerned = mutant.spec?.selector === mutant.policy.spec.selector || mutant.spec === undefined ? mine : [...gateway.workloads, gateway.self];
  let module: AuthzModule;
  try {
    module = gateway.moduleWith(sliceFor(gateway, mutant, concerned));
  } catch (error) {
    if (!(error instanceof SelvedgeError) || error.code !== "host-config-rejected") throw error;
    result.refused++;
    return;
  }
  try {
    result.mutants++;
    const index = tests.findIndex(({ each, workload, request }) => concerned.includes(workload) && mismatch(each, decided(module, ...request)) !== undefined);
    if (index >= 0) {
      result.noticed++;
      // What noticed one mutant often notices the next.
      tests.unshift(...tests.splice(index, 1));
      return;
    }
    const difference = differing(node, gateway, module, mutant, concerned);
    const { policy, change, where } = mutant;
    (difference ? result.survivors : result.equivalent).push({ policy: policy.id, change, where, difference });
  } finally {
    module.close();
  }
}

/** The configuration with the mutant, without what has nothing to do with the workloads concerned. */
function sliceFor(gateway: Gateway, { policy, spec }: Mutant, concerned: readonly Workload[]): Record<string, Json> {
  const relevant = new Set(concerned.flatMap((workload) => [...gateway.applying(workload, "workload"), ...gateway.applying(workload, "gateway")]).map(({ id }) => id));
  const policies = (gateway.config!.policies as { metadata: { namespace: string; name: string } }[]).flatMap((each) => {
    const id = `${each.metadata.namespace}/${each.metadata.name}`;
    if (id === policy.id) return spec === undefined ? [] : [{ ...each, spec }];
    return relevant.has(id) ? [each] : [];
  });
  return { policies: policies as unknown as Json, ...(!gateway.chain && { workloads: concerned.filter(({ name }) => name !== undefined) as unknown as Json }) };
}

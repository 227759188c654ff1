import { generateKeyPairSync } from "node:crypto";
import { seal } from "../../harness/bundle/envelope.ts";
import { encodePublicKey } from "../../harness/bundle/keys.ts";
import type { PluginKind } from "../../harness/compose/emit/plugins.ts";
import { CANARY, IDENTITY_KEY, RULE, STABLE } from "./envoy-config.ts";
import { makePolicies, WORKLOAD } from "./policies.ts";
import { TRUST_DOMAIN } from "./requests.ts";

const identity = { filterState: IDENTITY_KEY };
const rollout = {
  route: RULE,
  id: RULE,
  // One in ten, so that the path through the route cache is part of what is measured.
  arms: [{ name: STABLE, weight: 90 }, { name: CANARY, weight: 10 }],
};

/** What authz reads. @param routed as compose writes it: the destination follows from the route, which costs a read */
export function authzConfig(policies: number, routed = false): object {
  return {
    ...WORKLOAD, rootNamespace: "istio-system", trustDomain: TRUST_DOMAIN, trustDomainAliases: [],
    policies: makePolicies(policies),
    ...(routed && { workloads: [{ name: "prod/reviews", ...WORKLOAD, targets: ["Backend/reviews"], routes: [RULE, `${RULE}/${CANARY}`] }] }),
    identity,
  };
}

/** The same in a bundle that was signed a moment ago. */
export function signedConfig(policies: number): object {
  const { privateKey, publicKey } = generateKeyPairSync("ec", { namedCurve: "prime256v1" });
  const { identity: _, ...authz } = authzConfig(policies) as Record<string, unknown>;
  const bundle = seal({ version: 1, expires: Math.floor(Date.now() / 1000) + 3600, audience: ["edge"], authz }, [{ key: privateKey }]);
  return { identity, signing: { keys: [encodePublicKey(publicKey)], audience: "edge", minimumVersion: 1 }, bundle };
}

/** What canary reads: every request its own draw, or the user's share. */
export function canaryConfig(sticky = false): object {
  return { rollouts: [sticky ? { ...rollout, stickiness: { salt: RULE, keys: [{ header: "x-user" }] } } : rollout], identity };
}

export function telemetryConfig(): object {
  const destination = { workload: "reviews", namespace: WORKLOAD.namespace };
  return {
    routes: { [RULE]: { destination, arm: STABLE, label: RULE }, [`${RULE}/${CANARY}`]: { destination, arm: CANARY, label: RULE } },
    maxSeries: 1000,
    identity,
  };
}

/** The three as compose writes them, one after another or fused. */
export const edgeConfig = (policies: number): object => ({
  authz: without(authzConfig(policies, true)), canary: without(canaryConfig()), telemetry: without(telemetryConfig()), identity,
});

function without(config: object): object {
  return { ...config, identity: undefined };
}

/** What a filter reads when it is looked at by itself. */
export function configOf(kind: PluginKind): object {
  return { authz: () => authzConfig(10, true), canary: canaryConfig, telemetry: telemetryConfig, edge: () => edgeConfig(10) }[kind]();
}

/** TCPRoute, gateway.networking.k8s.io/v1alpha2. */
import { Type, type Static } from "@sinclair/typebox";
import { closed, listOf, ObjectName, optional, unsupported } from "./common.ts";
import { BackendReference, ParentRef, Weight } from "./httproute.ts";

const Rule = closed({
  name: optional(ObjectName),
  backendRefs: listOf(closed({ ...BackendReference, weight: optional(Weight) }), 16),
});

export const TcpRouteSpec = closed({
  parentRefs: optional(Type.Array(ParentRef, { maxItems: 32 })),
  rules: Type.Array(Rule, { minItems: 1, maxItems: 1, expected: "one rule: nothing tells connections apart" }),
  useDefaultGateways: unsupported("default Gateways are not supported: name the Gateway in parentRefs"),
});

export type TcpRouteSpec = Static<typeof TcpRouteSpec>;

/** AuthorizationPolicy, security.istio.io/v1 (v1beta1 has the same fields). */
import { Type, type Static } from "@sinclair/typebox";
import { closed, optional, Selector, TargetRef } from "./common.ts";

const values = () => optional(Type.Array(Type.String()));

export const SOURCE_FIELDS = [
  "principals",
  "notPrincipals",
  "requestPrincipals",
  "notRequestPrincipals",
  "namespaces",
  "notNamespaces",
  "serviceAccounts",
  "notServiceAccounts",
  "trustDomains",
  "notTrustDomains",
  "ipBlocks",
  "notIpBlocks",
  "remoteIpBlocks",
  "notRemoteIpBlocks",
] as const;

export const OPERATION_FIELDS = [
  "hosts",
  "notHosts",
  "ports",
  "notPorts",
  "methods",
  "notMethods",
  "paths",
  "notPaths",
] as const;

const fields = <K extends string>(names: readonly K[]) =>
  Object.fromEntries(names.map((name) => [name, values()])) as Record<K, ReturnType<typeof values>>;

const Rule = closed({
  from: optional(Type.Array(closed({ source: closed(fields(SOURCE_FIELDS)) }))),
  to: optional(Type.Array(closed({ operation: closed(fields(OPERATION_FIELDS)) }))),
  when: optional(
    Type.Array(closed({ key: Type.String({ minLength: 1 }), values: values(), notValues: values() })),
  ),
});

export const AuthorizationSpec = closed({
  selector: optional(Selector),
  targetRef: optional(TargetRef),
  targetRefs: optional(Type.Array(TargetRef, { minItems: 1, maxItems: 16 })),
  action: optional(
    Type.Union(["ALLOW", "DENY", "AUDIT", "CUSTOM"].map((value) => Type.Literal(value))),
  ),
  rules: optional(Type.Array(Rule, { maxItems: 512 })),
  provider: optional(closed({ name: Type.String({ minLength: 1 }) })),
});

export type AuthorizationSpec = Static<typeof AuthorizationSpec>;
export type AuthorizationRule = Static<typeof Rule>;

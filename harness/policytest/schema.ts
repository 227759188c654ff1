/** PolicyTest, selvedge.dev/v1alpha1: requests, and what the policies beside them must say to each. */
import { Type, type Static } from "@sinclair/typebox";
import { closed, HeaderName, listOf, optional, Port, resource } from "../compose/schema/common.ts";

export const POLICY_TEST = "selvedge.dev/v1alpha1/PolicyTest";

const text = (expected: string, pattern: string) => {
  const one = Type.String({ minLength: 1, pattern, expected });
  return optional(Type.Union([one, Type.Array(one, { minItems: 1, maxItems: 64 })], { expected: `${expected}; or a list, which stands for a case each` }));
};

const request = {
  as: text("namespace/account, a SPIFFE ID, or anonymous", "^[^\\s]+$"),
  to: optional(Type.String({ pattern: "^[^/\\s]+/[^/\\s]+$", expected: "namespace/name of a workload or Backend" })),
  method: text("a method", "^[A-Za-z-]+$"),
  host: text("a host", "^[^\\s/]+$"),
  path: text("a path that starts with /", "^/"),
  headers: optional(Type.Record(HeaderName, Type.String(), { expected: "names with values, in quotes where YAML sees a number" })),
  port: optional(Port),
  ip: optional(Type.String({ pattern: "^[0-9a-fA-F:.]+$", expected: "the physical peer's IP address" })),
  remoteIp: optional(Type.String({ pattern: "^[0-9a-fA-F:.]+$", expected: "the client's IP address" })),
  localIp: optional(Type.String({ pattern: "^[0-9a-fA-F:.]+$", expected: "the IP address that the client connects to" })),
  sni: optional(Type.String({ minLength: 1 })),
  claims: optional(Type.Record(Type.String(), Type.Unknown(), { expected: "claims of a verified token" })),
};

const Case = closed({
  name: optional(Type.String({ minLength: 1 })),
  ...request,
  expect: Type.Union([Type.Literal("allow"), Type.Literal("deny"), Type.Literal("refuse")], { expected: "allow, deny, or refuse (no connection)" }),
  /** The rule that must decide: `namespace/name#index`, `namespace/name` for any of a policy's, `none`. */
  by: optional(Type.String({ pattern: "^(none|[^/\\s#]+/[^/\\s#]+(#[0-9]+)?)$", expected: "namespace/name#index of a rule, namespace/name of a policy, or none" })),
});

export const PolicyTestSpec = closed({
  /** What every case has that doesn't say otherwise. */
  defaults: optional(closed(request)),
  cases: listOf(Case, 2000),
});

export const PolicyTestResource = resource({ spec: PolicyTestSpec });
export type PolicyTestSpec = Static<typeof PolicyTestSpec>;
export type CaseSpec = Static<typeof Case>;

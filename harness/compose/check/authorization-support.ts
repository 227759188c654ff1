/**
 * What of AuthorizationPolicy the authorization filter and the composed chain don't carry out. Such a policy is refused
 * as a whole. Shrinks as the filter grows; every entry says what would be needed.
 */
import type { Resource } from "../load.ts";
import type { Path } from "../source.ts";

export function unsupportedPolicy(policy: Resource<"AuthorizationPolicy">): { path: Path; message: string; fix?: string } | undefined {
  const { action = "ALLOW" } = policy.spec;
  if (action === "CUSTOM") return { path: ["spec", "action"], message: "action CUSTOM is not supported: no external authorizer is composed" };
  if (action === "AUDIT") return { path: ["spec", "action"], message: "action AUDIT is not supported", fix: "use ALLOW or DENY; denials are logged" };
  return undefined;
}

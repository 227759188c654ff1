/** Decides a case on the Node host. */
import type { Gateway } from "../decide/node.ts";
import type { AuthzModule, RuleName } from "../decide/module.ts";
import type { PolicyCase } from "./cases.ts";

export interface Verdict {
  verdict: "allow" | "deny" | "refuse" | "redirect";
  /** `namespace/name#index`, or `none`. */
  by: string;
}

export function nameOfRule(rule: RuleName | undefined): string {
  return rule ? `${rule.policy}#${rule.rule}` : "none";
}

export function onHost({ asked }: PolicyCase): Verdict {
  const { arrival } = asked;
  if (arrival.kind === "refused") return { verdict: "refuse", by: "none" };
  if (arrival.kind === "redirected") return { verdict: "redirect", by: "none" };
  return decided(arrival.gateway, arrival.request, arrival.route?.name);
}

export function decided(decider: Gateway | AuthzModule, ...request: Parameters<AuthzModule["decide"]>): Verdict {
  const { allowed, rule } = decider.decide(...request);
  return { verdict: allowed ? "allow" : "deny", by: nameOfRule(rule) };
}

/** What differs from what the case expects; undefined: nothing. */
export function mismatch({ expect, by }: Pick<PolicyCase, "expect" | "by">, got: Verdict): { what: string; expected: string; got: string } | undefined {
  const words = ({ verdict, by: rule }: { verdict: string; by?: string }): string => `${verdict}${rule === undefined ? "" : ` by ${rule}`}`;
  if (got.verdict !== expect) return { what: "the decision", expected: words({ verdict: expect, ...(by !== undefined && { by }) }), got: words(got) };
  if (by === undefined || got.by === by || (!by.includes("#") && got.by.startsWith(`${by}#`))) return undefined;
  return { what: "who decides", expected: by, got: got.by };
}

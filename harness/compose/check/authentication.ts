/** RequestAuthentications among each other, with what they attach to, and with the policies that rely on them. */
import type { Resource } from "../load.ts";
import type { Report } from "../report.ts";
import { armSubject, attaches, attachesToGateway, gatewaySubject } from "../resolve/attachment.ts";
import { authenticationsOf, authenticationsOfGateway } from "../resolve/authentication.ts";
import { rulesOf } from "../resolve/index.ts";
import type { Authentication, GatewayModel, Model, RuleModel } from "../resolve/model.ts";
import type { Path } from "../source.ts";

export function checkAuthentications(model: Model, rootNamespace: string, report: Report): void {
  const used = new Set<Authentication>();
  const served = new Set<Resource>();
  for (const gateway of model.gateways) {
    const first = authenticationsOfGateway(gateway, model.authentications, rootNamespace);
    for (const each of first) used.add(each);
    for (const rule of rulesOf(gateway)) {
      const those = authenticationsOf(rule, model.authentications, rootNamespace);
      for (const each of those) used.add(each);
      const second = those.find((each) => !first.includes(each));
      if (first.length > 0 && second) {
        report.error("authentication-twice", second.resource, ["metadata", "name"], `requests to ${rule.id} would be authenticated twice: RequestAuthentication ${first[0]!.resource.id} attaches to the Gateway already`, {
          fix: "attach all of them to the Gateway, or none",
        });
      }
      for (const policy of model.policies) if (applies(policy, gateway, rule, rootNamespace) && first.length + those.length > 0) served.add(policy);
    }
  }
  for (const authentication of model.authentications) {
    if (used.has(authentication)) continue;
    const { resource } = authentication;
    report.warn("policy-unattached", resource, ["metadata", "name"], `RequestAuthentication ${resource.id} attaches to nothing, so it has no effect`, {
      fix: "compare its namespace and selector with those of the Backends that routes lead to",
    });
  }
  for (const policy of model.policies) {
    const path = tokenField(policy);
    if (!path || served.has(policy)) continue;
    report.warn("authorization-without-token", policy, path, "this asks for a token's claims, and no RequestAuthentication holds where the policy does: no request ever has any", {
      fix: "add a RequestAuthentication with the same selector or targetRefs",
      part: "key",
    });
  }
}

function applies(policy: Resource<"AuthorizationPolicy">, gateway: GatewayModel, rule: RuleModel, rootNamespace: string): boolean {
  if (attachesToGateway(policy, gateway, rootNamespace)) return true;
  return [gatewaySubject(gateway), ...rule.arms.map((arm) => armSubject(rule, arm))].some((subject) => attaches(policy, subject, rootNamespace));
}

/** The first field that looks at a token. */
function tokenField({ spec }: Resource<"AuthorizationPolicy">): Path | undefined {
  for (const [i, { from = [], when = [] }] of (spec.rules ?? []).entries()) {
    for (const [j, { source }] of from.entries()) {
      const name = (["requestPrincipals", "notRequestPrincipals"] as const).find((each) => source[each]?.length);
      if (name) return ["spec", "rules", i, "from", j, "source", name];
    }
    const j = when.findIndex(({ key }) => key.startsWith("request.auth."));
    if (j >= 0) return ["spec", "rules", i, "when", j, "key"];
  }
  return undefined;
}

/** RequestAuthentications among each other, and with what they attach to. Policies that rely on them are lint's (tokens.ts). */
import type { Report } from "../report.ts";
import { authenticationsOf, authenticationsOfGateway } from "../resolve/authentication.ts";
import { rulesOf } from "../resolve/index.ts";
import type { Authentication, Model } from "../resolve/model.ts";

export function checkAuthentications(model: Model, rootNamespace: string, report: Report): void {
  const used = new Set<Authentication>();
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
    }
  }
  for (const authentication of model.authentications) {
    if (used.has(authentication)) continue;
    const { resource } = authentication;
    report.warn("policy-unattached", resource, ["metadata", "name"], `RequestAuthentication ${resource.id} attaches to nothing, so it has no effect`, {
      fix: "compare its namespace and selector with those of the Backends that routes lead to",
    });
  }
}

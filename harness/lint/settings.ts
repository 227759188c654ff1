/** What a mounted filter's JSON says, where other settings of the Envoy configuration must fit it. */
import type { Report } from "../compose/report.ts";
import type { Source } from "../compose/source.ts";
import { fieldsOf, listOf, typedOf, typeOf, type Fields } from "./fields.ts";
import type { Plugin } from "./plugin.ts";

/** Policies that compare who calls. */
export const IDENTITY = /"(not)?(principals|namespaces|serviceAccounts|trustDomains)"|"source\.(principal|namespace|serviceAccount|trustDomain)"/i;
const TOKENS = /"(not)?requestPrincipals"|"request\.auth\./i;
const PATHS = /"(not)?paths"/i;

/** The policies as text; where a signed bundle brings them, all that is said of them is that they may ask for anything. */
export function policiesOf({ settings }: Plugin): string {
  return settings.signing === undefined ? JSON.stringify(settings.policies ?? settings) : '"principals" "paths"';
}

/** @param ahead the request's filters before it */
export function lintSettings(plugin: Plugin, ahead: Fields[], source: Source, report: Report): void {
  const policies = policiesOf(plugin);
  if (PATHS.test(policies) && plugin.settings.strictPaths !== true) {
    report.warn("strict-paths-off", source, plugin.path, "paths are compared as they stand on the wire: /admin;x and /%2561dmin are /admin to some backends, and slip past a policy on it", { fix: '"strictPaths": true' });
  }
  if (!TOKENS.test(policies)) return;
  const verifying = ahead.map(typedOf).filter((config) => typeOf(config) === "JwtAuthentication");
  if (verifying.length === 0) {
    report.warn("token-source-missing", source, plugin.path, "policies ask for tokens, and no jwt_authn filter ahead verifies any: nobody has one, and a DENY by token denies nothing", { fix: "put envoy.filters.http.jwt_authn before it, with payload_in_metadata: payload" });
    return;
  }
  const providers = verifying.flatMap((config) => Object.values(fieldsOf(config.providers)).map(fieldsOf));
  if (!providers.some((provider) => provider.payload_in_metadata === "payload")) {
    report.warn("token-source-missing", source, plugin.path, "jwt_authn keeps no payload where this filter reads it", { fix: "payload_in_metadata: payload, for each provider that policies speak of" });
  }
  if (verifying.some((config) => mentions(config, "extract_only_without_validation"))) {
    report.error("token-unverified", source, plugin.path, "jwt_authn ahead hands on claims that nobody verified: a caller writes its own", { fix: "remove extract_only_without_validation" });
  }
}

function mentions(value: unknown, name: string): boolean {
  if (Array.isArray(value)) return listOf(value).some((each) => mentions(each, name));
  return Object.entries(fieldsOf(value)).some(([key, each]) => key === name || mentions(each, name));
}

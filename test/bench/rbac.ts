import { extension, typed, type Config } from "../../harness/compose/emit/config.ts";
import type { AllowPolicy } from "./policies.ts";

const RBAC = "envoy.extensions.filters.http.rbac.v3.RBAC";

/** Envoy's RBAC filter with `rules.policies`, in the form that istiod generates for AuthorizationPolicies. */
export function rbacPolicies(policies: readonly AllowPolicy[]): Config {
  return extension("envoy.filters.http.rbac", RBAC, { rules: { action: "ALLOW", policies: toRbacPolicies(policies) } });
}

/** One RBAC policy a rule, `ns[…]-policy[…]-rule[…]`; every field an OR of its values, all fields ANDed. */
export function toRbacPolicies(policies: readonly AllowPolicy[]): Record<string, Config> {
  return Object.fromEntries(
    policies.flatMap(({ metadata, spec }) =>
      spec.rules.map(({ from, to }, index) => {
        const { principals } = from[0].source;
        const { methods, paths } = to[0].operation;
        const header = (value: string): Config => ({ header: { name: ":method", string_match: { exact: value } } });
        const permission = { and_rules: { rules: [{ or_rules: { rules: paths.map((path) => ({ url_path: { path: stringMatch(path) } })) } }, { or_rules: { rules: methods.map(header) } }] } };
        const principal = { and_ids: { ids: [{ or_ids: { ids: principals.map((value) => ({ authenticated: { principal_name: { exact: `spiffe://${value}` } } })) } }] } };
        return [`ns[${metadata.namespace}]-policy[${metadata.name}]-rule[${index}]`, { permissions: [permission], principals: [principal] }] as const;
      }),
    ),
  );
}

/**
 * The same decisions as a `matcher` tree, as a person would write it who knows these policies: the caller's URI SAN in
 * one map, below it the paths and methods of that caller. Nobody generates this; it is the limit to compare with.
 */
export function rbacMatcher(policies: readonly AllowPolicy[]): Config {
  const map: Record<string, Config> = {};
  for (const { metadata, spec } of policies) {
    for (const { from, to } of spec.rules) {
      const { methods, paths } = to[0].operation;
      const predicate = and([
        or(methods.map((method) => predicateOn(headerInput(":method"), { exact: method }))),
        // Unlike url_path this input is the whole :path: an exact path doesn't match one with a query.
        or(paths.map((path) => predicateOn(headerInput(":path"), stringMatch(path)))),
      ]);
      for (const principal of from[0].source.principals) {
        map[`spiffe://${principal}`] = { matcher: { matcher_list: { matchers: [{ predicate, on_match: action(metadata.name, "ALLOW") }] } } };
      }
    }
  }
  const input = extension("envoy.matching.inputs.uri_san", "envoy.extensions.matching.common_inputs.ssl.v3.UriSanInput");
  return extension("envoy.filters.http.rbac", RBAC, { matcher: { matcher_tree: { input, exact_match_map: { map } }, on_no_match: action("none", "DENY") } });
}

function stringMatch(value: string): Config {
  return value.endsWith("*") ? { prefix: value.slice(0, -1) } : { exact: value };
}

const and = (predicates: Config[]): Config => ({ and_matcher: { predicate: predicates } });
/** Envoy wants at least two in an OR. */
const or = (predicates: Config[]): Config => (predicates.length === 1 ? predicates[0]! : { or_matcher: { predicate: predicates } });
const predicateOn = (input: Config, match: Config): Config => ({ single_predicate: { input, value_match: match } });

function headerInput(name: string): Config {
  return { name: `header${name}`, typed_config: typed("envoy.type.matcher.v3.HttpRequestHeaderMatchInput", { header_name: name }) };
}

function action(name: string, what: "ALLOW" | "DENY"): Config {
  return { action: { name: "action", typed_config: typed("envoy.config.rbac.v3.Action", { name, action: what }) } };
}

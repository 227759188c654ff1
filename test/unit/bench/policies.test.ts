import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { makePolicies, type AllowPolicy } from "../../bench/policies.ts";
import { rbacMatcher, toRbacPolicies } from "../../bench/rbac.ts";
import { CALLER_ID, FORBIDDEN_PATH, PATH } from "../../bench/requests.ts";

interface Call {
  id: string;
  method: string;
  /** With its query. */
  path: string;
}

type Node = Record<string, any>; // eslint-disable-line @typescript-eslint/no-explicit-any

const matches = (match: Node, value: string): boolean => (match.exact === undefined ? value.startsWith(match.prefix) : value === match.exact);

/** What Istio's documentation says of these policies. */
function allowed(policies: readonly AllowPolicy[], { id, method, path }: Call): boolean {
  const bare = path.split("?")[0]!;
  return policies.some(({ spec: { rules: [{ from: [{ source }], to: [{ operation }] }] } }) =>
    source.principals.some((principal) => id === `spiffe://${principal}`) &&
    operation.methods.includes(method) &&
    operation.paths.some((each) => (each.endsWith("*") ? bare.startsWith(each.slice(0, -1)) : bare === each)));
}

/** What Envoy's documentation says of `rules.policies`, for the matchers used here. */
function rbacAllows(rules: Record<string, Node>, call: Call): boolean {
  const permission = (node: Node): boolean => {
    if (node.and_rules) return node.and_rules.rules.every(permission);
    if (node.or_rules) return node.or_rules.rules.some(permission);
    if (node.url_path) return matches(node.url_path.path, call.path.split("?")[0]!);
    expect(node.header.name).toBe(":method");
    return matches(node.header.string_match, call.method);
  };
  const principal = (node: Node): boolean => {
    if (node.and_ids) return node.and_ids.ids.every(principal);
    if (node.or_ids) return node.or_ids.ids.some(principal);
    return matches(node.authenticated.principal_name, call.id);
  };
  return Object.values(rules).some((rule) => rule.permissions.some(permission) && rule.principals.some(principal));
}

function matcherAllows(filter: Node, call: Call): boolean {
  const { matcher_tree: tree, on_no_match: otherwise } = filter.typed_config.matcher;
  expect(otherwise.action.typed_config.action).toBe("DENY");
  const below = tree.exact_match_map.map[call.id];
  const holds = (node: Node): boolean => {
    if (node.and_matcher) return node.and_matcher.predicate.every(holds);
    if (node.or_matcher) return node.or_matcher.predicate.some(holds);
    const { input, value_match: match } = node.single_predicate;
    return matches(match, input.typed_config.header_name === ":path" ? call.path : call.method);
  };
  return below !== undefined && below.matcher.matcher_list.matchers.some(({ predicate }: Node) => holds(predicate));
}

describe("the benchmark's policies", () => {
  it("let the caller in through the last one only, which also sorts last", () => {
    const policies = makePolicies(100);
    const call = { id: CALLER_ID, method: "GET", path: PATH };
    expect(allowed(policies, call)).toBe(true);
    expect(allowed(policies.slice(0, -1), call)).toBe(false);
    expect(allowed(policies, { ...call, path: FORBIDDEN_PATH })).toBe(false);
    const names = Object.keys(toRbacPolicies(policies));
    expect(names.toSorted().at(-1)).toBe(names.at(-1));
    expect(names.at(-1)).toBe("ns[prod]-policy[allow-client-00099]-rule[0]");
  });

  it("are about 2 MB of JSON for 5,000", () => {
    expect(JSON.stringify(makePolicies(5_000)).length).toBeGreaterThan(1_500_000);
    expect(JSON.stringify(makePolicies(5_000)).length).toBeLessThan(2_500_000);
  });

  it("decide the same as RBAC policies and as a matcher tree", () => {
    const policies = makePolicies(12);
    const [rules, tree] = [toRbacPolicies(policies), rbacMatcher(policies)];
    const ids = policies.map(({ spec }) => `spiffe://${spec.rules[0].from[0].source.principals[0]}`);
    const paths = policies.flatMap(({ spec }) => spec.rules[0].to[0].operation.paths).map((path) => path.replace(/\*$/, "x"));
    const call = fc.record({
      id: fc.constantFrom(...ids, "", "spiffe://other/ns/prod/sa/productpage"),
      method: fc.constantFrom("GET", "HEAD", "POST"),
      path: fc.constantFrom(...paths, "/api/v1/reviews", FORBIDDEN_PATH),
    });
    let yes = 0;
    fc.assert(fc.property(call, (each) => {
      const expected = allowed(policies, each);
      yes += Number(expected);
      expect(rbacAllows(rules, each)).toBe(expected);
      expect(matcherAllows(tree, each)).toBe(expected);
    }), { numRuns: 2_000 });
    expect(yes).toBeGreaterThan(0);
  });
});

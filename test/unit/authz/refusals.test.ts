import { beforeAll, describe, expect, test } from "vitest";
import { Core } from "./core.ts";

let core: Core;
beforeAll(async () => {
  core = await Core.load();
});

const withSpec = (spec: unknown) => ({ policies: [{ metadata: { name: "p" }, spec }] });
const withRule = (rule: unknown) => withSpec({ rules: [rule] });
const withSource = (source: unknown) => withRule({ from: [{ source }] });
const withOperation = (operation: unknown) => withRule({ to: [{ operation }] });
const withCondition = (condition: unknown) => withRule({ when: [condition] });
const at = "$.policies[0]";
const rule = `${at}.spec.rules[0]`;
const keys = "source.principal, source.namespace, source.serviceAccount, source.trustDomain, source.ip, remote.ip, destination.port, destination.ip, "
  + "connection.sni, request.auth.principal, request.auth.audiences, request.auth.presenter, request.headers[<name>], request.auth.claims[<name>]…, "
  + "experimental.envoy.filters.<filter>[<key>]";

describe("a configuration that isn't understood entirely is refused, and the message says where and why", () => {
  test.each<[string, unknown, string]>([
    ["no JSON", "{", "$: found the end of the document, expected ',' or '}'"],
    ["no object", [], "$: found an array, expected an object"],
    ["no policies", {}, "$: found no policies, expected 'policies': a list of AuthorizationPolicies, [] for none"],
    ["policies that are null", { policies: null }, "$.policies: found null, expected an array"],
    ["an unknown field", { policies: [], polices: [] },
      "$.polices: found an unknown field, expected one of namespace, labels, targets, rootNamespace, trustDomain, trustDomainAliases, workloads, gateway, policies, identity, directAddress, denial, logDenials, strictPaths, signing, bundle, source, custom, protocol, listener"],
    ["a field twice", '{"policies":[],"policies":[]}', "$.policies: found this field twice, expected each field once"],
    ["another kind", { policies: [{ kind: "PeerAuthentication" }] }, `${at}.kind: found 'PeerAuthentication', expected AuthorizationPolicy`],
    ["another version", { policies: [{ apiVersion: "v2" }] }, `${at}.apiVersion: found 'v2', expected security.istio.io/v1, security.istio.io/v1beta1`],
    ["no name", { policies: [{ metadata: {}, spec: {} }] }, `${at}: found a policy without metadata.name, expected a name: decisions are reported by it`],
    ["no spec", { policies: [{ metadata: { name: "p" } }] }, `${at}: found a policy without spec, expected a spec; an empty one allows nothing`],
    ["a name that isn't one", { policies: [{ metadata: { name: "a;b" } }] }, `${at}.metadata.name: found 'a;b', expected a name of lower-case letters, digits, '-' and '.'`],
    ["two policies of one name", { policies: [{ metadata: { name: "p" }, spec: {} }, { metadata: { name: "p" }, spec: {} }] },
      "$.policies[1]: found the name of another policy, expected one policy of a name in a namespace"],
    ["another action", withSpec({ action: "LOG" }), `${at}.spec.action: found 'LOG', expected ALLOW, DENY, AUDIT, CUSTOM`],
    ["a field of CUSTOM", withSpec({ provider: { name: "x" } }), `${at}: found action or provider alone, expected 'provider' for CUSTOM, and for nothing else`],
    ["CUSTOM without its field", withSpec({ action: "CUSTOM", rules: [{}] }), `${at}: found action or provider alone, expected 'provider' for CUSTOM, and for nothing else`],
    ["AUDIT on trial", { policies: [{ spec: { action: "AUDIT", rules: [{}] }, metadata: { name: "p", annotations: { "istio.io/dry-run": "true" } } }] }, `${at}: found AUDIT or CUSTOM on trial, expected ALLOW or DENY: Istio tries no others`],
    ["DENY without rules", withSpec({ action: "DENY" }), `${at}.spec: found no rules, expected rules: without any, only ALLOW means something`],
    ["AUDIT without rules", withSpec({ action: "AUDIT" }), `${at}.spec: found no rules, expected rules: without any, only ALLOW means something`],
    ["a dry run that isn't one", { policies: [{ metadata: { name: "p", annotations: { "istio.io/dry-run": "yes" } } }] },
      `${at}.metadata.annotations.istio.io/dry-run: found 'yes', expected 1, t, T, TRUE, true, True, 0, f, F, FALSE, false, False`],
    ["a selector with a wildcard", withSpec({ selector: { matchLabels: { app: "*" } } }),
      `${at}.spec.selector.matchLabels.app: found a wildcard, expected no '*': a selector compares labels as they are`],
    ["selector and targets", withSpec({ selector: {}, targetRefs: [{ kind: "Service", name: "x" }] }),
      `${at}.spec: found several of selector, targetRef and targetRefs, expected one of them`],
    ["targets that lead nowhere", withSpec({ targetRefs: [{ kind: "Service", name: "x" }] }),
      "$.policies[0]: found target references, expected 'targets' or 'workloads' beside the policies, to tell what they lead to"],
    ["a rule that isn't one", withRule(null), `${rule}: found null, expected an object`],
    ["an unknown field of a rule", withRule({ form: [] }), `${rule}.form: found an unknown field, expected one of from, to, when`],
    ["an empty from", withRule({ from: [] }), `${rule}.from: found an empty list, expected at least one element, or no such list, which means any`],
    ["an empty source", withSource({}), `${rule}.from[0]: found no field in 'source', expected at least one: an empty one would mean anything`],
    ["a from without source", withRule({ from: [{}] }), `${rule}.from[0]: found no field in 'source', expected at least one: an empty one would mean anything`],
    ["an empty operation", withOperation({}), `${rule}.to[0]: found no field in 'operation', expected at least one: an empty one would mean anything`],
    ["an unknown source", withSource({ principal: ["x"] }),
      `${rule}.from[0].source.principal: found an unknown field, expected one of principals, notPrincipals, namespaces, notNamespaces, serviceAccounts, notServiceAccounts, trustDomains, notTrustDomains, ipBlocks, notIpBlocks, remoteIpBlocks, notRemoteIpBlocks, requestPrincipals, notRequestPrincipals`],
    ["an unknown operation", withOperation({ path: ["/"] }),
      `${rule}.to[0].operation.path: found an unknown field, expected one of hosts, notHosts, ports, notPorts, methods, notMethods, paths, notPaths`],
    ["a request principal that isn't one", withSource({ requestPrincipals: [""] }),
      `${rule}.from[0].source.requestPrincipals[0]: found an empty string, expected a string that isn't empty`],
    ["service accounts beside namespaces", withSource({ serviceAccounts: ["a"], namespaces: ["b"] }),
      `${rule}.from[0].source: found service accounts beside principals or namespaces, expected either the one or the other`],
    ["a service account with a wildcard", withSource({ serviceAccounts: ["a*"] }),
      `${rule}.from[0].source.serviceAccounts[0]: found 'a*', expected '<account>' or '<namespace>/<account>', without wildcards`],
    ["a namespace with a slash", withSource({ namespaces: ["a/b"] }), `${rule}.from[0].source.namespaces[0]: found 'a/b', expected a namespace`],
    ["an empty value", withSource({ principals: ["a", ""] }),
      `${rule}.from[0].source.principals[1]: found an empty string, expected a string that isn't empty`],
    ["a value that isn't a string", withOperation({ ports: [null] }), `${rule}.to[0].operation.ports[0]: found null, expected a string`],
    ["values that are null", withOperation({ ports: null }), `${rule}.to[0].operation.ports: found null, expected an array`],
    ["a port out of range", withOperation({ ports: ["65536"] }), `${rule}.to[0].operation.ports[0]: found '65536', expected a port from 0 to 65535 in quotes`],
    ["an address that isn't one", withSource({ remoteIpBlocks: ["10.0.0.0/33"] }), `${rule}.from[0].source.remoteIpBlocks[0]: found '10.0.0.0/33', expected an IP address or CIDR range`],
    ["a template that Envoy refuses", withOperation({ paths: ["/{**}/{*}"] }),
      `${rule}.to[0].operation.paths[0]: found '/{**}/{*}', expected a path without braces, or a template with '{*}' and at last '{**}' as whole segments`],
    ["braces that are no template", withOperation({ notPaths: ["/a/{id}"] }),
      `${rule}.to[0].operation.notPaths[0]: found '/a/{id}', expected a path without braces, or a template with '{*}' and at last '{**}' as whole segments`],
    ...["a*b", "*a*", "**"].map((value): [string, unknown, string] => [`a trust domain ${value}`, withSource({ trustDomains: [value] }),
      `${rule}.from[0].source.trustDomains[0]: found '${value}', expected a trust domain, with '*' at most at its start or its end`]),
    ["an unknown key", withCondition({ key: "source.user", values: ["x"] }), `${rule}.when[0].key: found 'source.user', expected ${keys}`],
    ["a claim without a name", withCondition({ key: "request.auth.claims[]", values: ["x"] }), `${rule}.when[0].key: found 'request.auth.claims[]', expected ${keys}`],
    ["something of a token that isn't known", withCondition({ key: "request.auth.scope", values: ["x"] }), `${rule}.when[0].key: found 'request.auth.scope', expected ${keys}`],
    ["another filter's metadata without a key", withCondition({ key: "experimental.envoy.filters.x[]", values: ["x"] }), `${rule}.when[0].key: found 'experimental.envoy.filters.x[]', expected ${keys}`],
    ["values with and without brackets", withCondition({ key: "experimental.envoy.filters.x[k]", values: ["[a]", "b"] }),
      `${rule}.when[0]: found values with and without brackets, expected all like '[x]', for a list, or none, for a string`],
    ["a header without a name", withCondition({ key: "request.headers[]", values: ["x"] }), `${rule}.when[0].key: found 'request.headers[]', expected ${keys}`],
    ["no key", withCondition({ values: ["x"] }), `${rule}.when[0]: found a condition without key, expected ${keys}`],
    ["no values", withCondition({ key: "source.ip" }), `${rule}.when[0]: found a condition without values, expected 'values' or 'notValues'`],
    ["a value that doesn't fit its key, which comes last", '{"policies":[{"metadata":{"name":"p"},"spec":{"rules":[{"when":[{"values":["x"],"key":"remote.ip"}]}]}}]}',
      `${rule}.when[0]: found 'x', expected an IP address or CIDR range`],
    ["a workload without namespace", { policies: [], workloads: [{}] }, "$.workloads[0]: found no namespace, expected a namespace: policies attach by it"],
    ["a target that isn't one", { policies: [], targets: ["x"] }, "$.targets[0]: found 'x', expected '<kind>/<name>' or '<namespace>/<kind>/<name>'"],
    ["one route of two workloads", { policies: [], workloads: [{ namespace: "a", routes: ["r"] }, { namespace: "b", routes: ["r"] }] },
      "$.workloads[1]: found a route of another workload, expected each route in one workload"],
  ])("%s", (_, configuration, message) => expect(core.configure(configuration)).toBe(message));

  test("and what ran before goes on running", () => {
    expect(core.configure({ policies: [{ metadata: { name: "p" }, spec: {} }] })).toBe("");
    expect(core.configure({ policies: null })).not.toBe("");
    expect(core.decide({}).allowed).toBe(false);
  });
});

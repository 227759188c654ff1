import { beforeAll, describe, expect, test } from "vitest";
import { Core, type Request } from "./core.ts";
import type { Configuration, Operation, Policy, Rule, Source } from "./oracle.ts";

let core: Core;
beforeAll(async () => {
  core = await Core.load();
});

const policy = (name: string, action: "ALLOW" | "DENY", rules?: Rule[], more: Partial<Policy["metadata"]> = {}): Policy => ({
  metadata: { name, namespace: "prod", ...more }, spec: { action, ...(rules && { rules }) },
});
const source = (s: Source): Rule => ({ from: [{ source: s }] });
const operation = (o: Operation): Rule => ({ to: [{ operation: o }] });
const spiffe = (id: string): Request => ({ peer: `spiffe://${id}` });

const configure = (configuration: Partial<Configuration> & { policies: Policy[] }) =>
  expect(core.configure({ namespace: "prod", ...configuration })).toBe("");

/** Does one ALLOW rule match the request? */
function matches(rule: Rule, request: Request, more: Partial<Configuration> = {}): boolean {
  configure({ policies: [policy("p", "ALLOW", [rule])], ...more });
  return core.decide(request).allowed;
}

const web = "cluster.local/ns/prod/sa/web";

describe("a field, its patterns and its negation", () => {
  const table: [string, Rule, Request[], Request[]][] = [
    ["principals, exact", source({ principals: [web] }), [spiffe(web)], [spiffe(`${web}x`), spiffe(`x${web}`), { peer: web }, {}]],
    ["principals, prefix", source({ principals: ["cluster.local/ns/prod/*"] }), [spiffe(web)], [spiffe("cluster.local/ns/dev/sa/web"), {}]],
    ["principals, suffix", source({ principals: ["*/sa/web"] }), [spiffe(web), spiffe("td/sa/web")], [spiffe("cluster.local/ns/prod/sa/api"), { peer: "https://a/sa/web" }]],
    ["principals, presence", source({ principals: ["*"] }), [spiffe(web), { peer: "https://a" }], [{}, { peer: "" }]],
    ["principals, a dot is a dot", source({ principals: ["*cluster.local/ns/prod/sa/web"] }), [spiffe(web)], [spiffe("clusterXlocal/ns/prod/sa/web")]],
    ["notPrincipals", source({ notPrincipals: [web] }), [spiffe("cluster.local/ns/prod/sa/api"), {}], [spiffe(web)]],
    ["namespaces, exact", source({ namespaces: ["prod"] }), [spiffe(web), spiffe("any/ns/prod/sa/x")], [spiffe("cluster.local/ns/production/sa/web"), spiffe("cluster.local/ns/prod"), {}]],
    ["namespaces, wildcard", source({ namespaces: ["pro*"] }), [spiffe(web), spiffe("cluster.local/ns/production/sa/x")], [spiffe("cluster.local/ns/dev/sa/web")]],
    ["notNamespaces", source({ notNamespaces: ["dev"] }), [spiffe(web), {}], [spiffe("cluster.local/ns/dev/sa/web")]],
    ["serviceAccounts, of the policy's namespace", source({ serviceAccounts: ["web"] }), [spiffe(web), spiffe("other/ns/prod/sa/web")], [spiffe("cluster.local/ns/dev/sa/web"), spiffe(`${web}x`), {}]],
    ["serviceAccounts, of another", source({ serviceAccounts: ["dev/web"] }), [spiffe("cluster.local/ns/dev/sa/web")], [spiffe(web)]],
    ["notServiceAccounts", source({ notServiceAccounts: ["web"] }), [spiffe("cluster.local/ns/dev/sa/web"), {}], [spiffe(web)]],
    ["trustDomains", source({ trustDomains: ["td"] }), [spiffe("td/x")], [spiffe("td"), spiffe("tdx/y"), {}]],
    ["trustDomains, presence", source({ trustDomains: ["*"] }), [spiffe("td/x"), spiffe("td")], [{ peer: "https://td/x" }, {}]],
    ["trustDomains, a wildcard stays in the segment", source({ trustDomains: ["t*"] }), [spiffe("t-d/x")], [spiffe("s/td/x"), spiffe("x/t/d")]],
    ["notTrustDomains", source({ notTrustDomains: ["td"] }), [spiffe("other/x"), {}], [spiffe("td/x")]],
    ["remoteIpBlocks", source({ remoteIpBlocks: ["10.0.0.0/8", "2001:db8::/32"] }),
      [{ remote: "10.9.9.9:1" }, { remote: "[2001:db8:1::2]:1" }, { remote: "[::ffff:10.1.1.1]:1" }], [{ remote: "11.0.0.1:1" }, { remote: "/run/socket" }, { remote: "[2001:db9::]:1" }, {}]],
    ["notRemoteIpBlocks", source({ notRemoteIpBlocks: ["10.0.0.0/8"] }), [{ remote: "11.0.0.1:1" }, {}], [{ remote: "10.0.0.1:1" }]],
    ["ipBlocks, the physical peer", source({ ipBlocks: ["10.0.0.1"] }), [{ direct: "10.0.0.1", remote: "11.0.0.1:1" }], [{ direct: "10.0.0.2", remote: "10.0.0.1:1" }, {}]],
    ["hosts, in any case", operation({ hosts: ["Web.example"] }), [{ host: "web.EXAMPLE" }], [{ host: "web.example:8080" }, {}]],
    ["hosts, prefix", operation({ hosts: ["web.example:*"] }), [{ host: "web.example:8080" }], [{ host: "web.example" }]],
    ["hosts, suffix", operation({ hosts: ["*.example"] }), [{ host: "a.b.Example" }, { host: ".example" }], [{ host: "example" }]],
    ["hosts, presence, even if empty", operation({ hosts: ["*"] }), [{ host: "a" }, { host: "" }], [{}]],
    ["notHosts", operation({ notHosts: ["a"] }), [{ host: "b" }, {}], [{ host: "A" }]],
    ["ports", operation({ ports: ["443", "8080"] }), [{ port: 8080 }], [{ port: 80 }, {}]],
    ["notPorts", operation({ notPorts: ["443"] }), [{ port: 80 }, {}], [{ port: 443 }]],
    ["methods, case matters", operation({ methods: ["GET"] }), [{ method: "GET" }], [{ method: "get" }, {}]],
    ["methods, prefix", operation({ methods: ["P*"] }), [{ method: "PUT" }, { method: "POST" }], [{ method: "GET" }]],
    ["notMethods", operation({ notMethods: ["GET"] }), [{ method: "POST" }, {}], [{ method: "GET" }]],
    ["paths, exact, without query and fragment", operation({ paths: ["/a"] }), [{ path: "/a" }, { path: "/a?b" }, { path: "/a#b" }], [{ path: "/a/" }, { path: "/A" }, {}]],
    ["paths, prefix", operation({ paths: ["/a/*"] }), [{ path: "/a/" }, { path: "/a/b/c" }], [{ path: "/a" }, { path: "/b?x=/a/" }]],
    ["paths, suffix", operation({ paths: ["*.css"] }), [{ path: "/x/y.css" }, { path: "/y.css?v=1" }], [{ path: "/y.js?.css" }]],
    ["paths, presence is not empty", operation({ paths: ["*"] }), [{ path: "/" }], [{ path: "" }, { path: "?a" }, {}]],
    ["paths, a star inside is a star", operation({ paths: ["/a*b"] }), [{ path: "/a*b" }], [{ path: "/axb" }]],
    ["paths, {*} is one segment", operation({ paths: ["/a/{*}/c"] }), [{ path: "/a/b/c" }, { path: "/a/b*/c" }], [{ path: "/a//c" }, { path: "/a/b/b/c" }, { path: "/a/b[/c" }]],
    ["paths, {**} is any number", operation({ paths: ["/a/{**}"] }), [{ path: "/a/" }, { path: "/a/b/c" }, { path: "/a/b*" }], [{ path: "/a" }, { path: "/a/b|" }, { path: "/a/\u00e9" }]],
    ["notPaths", operation({ notPaths: ["/a"] }), [{ path: "/b" }, {}], [{ path: "/a" }]],
    ["request.headers", { when: [{ key: "request.headers[X-Role]", values: ["admin"] }] }, [{ headers: [["x-role", "admin"]] }, { headers: [["x-role", "x"], ["x-role", "admin"]] }],
      [{ headers: [["x-role", "admin,x"]] }, { headers: [["x-roles", "admin"]] }, {}]],
    ["request.headers, presence, even if empty", { when: [{ key: "request.headers[x]", values: ["*"] }] }, [{ headers: [["x", ""]] }], [{}]],
    ["request.headers, notValues: none of several", { when: [{ key: "request.headers[x]", notValues: ["a"] }] }, [{ headers: [["x", "b"]] }, {}], [{ headers: [["x", "b"], ["x", "a"]] }]],
    ["request.headers[host] is :authority", { when: [{ key: "request.headers[Host]", values: ["a"] }] }, [{ host: "a" }], [{ host: "A" }, { headers: [["host", "a"]] }]],
    ["connection.sni", { when: [{ key: "connection.sni", values: ["*.a"] }] }, [{ sni: "x.a" }], [{ sni: "x.b" }, { sni: "" }, {}]],
    ["destination.ip", { when: [{ key: "destination.ip", values: ["10.0.0.0/8"] }] }, [{ destination: "10.0.0.1:80" }], [{ destination: "11.0.0.1:80" }, {}]],
    ["destination.port", { when: [{ key: "destination.port", values: ["80"] }] }, [{ port: 80 }], [{ port: 81 }]],
    ["source.namespace", { when: [{ key: "source.namespace", values: ["prod"], notValues: ["dev"] }] }, [spiffe(web)], [spiffe("cluster.local/ns/dev/sa/web")]],
  ];
  test.each(table)("%s", (_, rule, those, others) => {
    for (const request of those) expect([request, matches(rule, request)]).toEqual([request, true]);
    for (const request of others) expect([request, matches(rule, request)]).toEqual([request, false]);
  });

  test.each(table)("%s, in a list too long to be compared one by one", (_, rule, those, others) => {
    const longer = JSON.parse(JSON.stringify(rule), (key, value: unknown) =>
      Array.isArray(value) && ["principals", "notPrincipals", "namespaces", "notNamespaces", "hosts", "notHosts", "methods", "notMethods", "paths", "notPaths", "values"].includes(key)
      && !("key" in (rule.when?.[0] ?? {}) && /ip|port/.test(rule.when![0]!.key))
        ? [...(value as string[]), ...Array.from({ length: 10 }, (_unused, i) => `no-such-${i}`)] : value) as Rule;
    for (const request of those) expect([request, matches(longer, request)]).toEqual([request, true]);
    for (const request of others) expect([request, matches(longer, request)]).toEqual([request, false]);
  });
});

describe("a rule", () => {
  const rule: Rule = {
    from: [{ source: { principals: [web], namespaces: ["prod"] } }, { source: { namespaces: ["ops"] } }],
    to: [{ operation: { methods: ["GET"], paths: ["/a"] } }, { operation: { methods: ["POST"], paths: ["/b"] } }],
    when: [{ key: "request.headers[x]", values: ["1"] }],
  };
  const x: [string, string][] = [["x", "1"]];
  test.each<[string, Request, boolean]>([
    ["a source and an operation", { ...spiffe(web), method: "GET", path: "/a", headers: x }, true],
    ["the other ones", { ...spiffe("cluster.local/ns/ops/sa/x"), method: "POST", path: "/b", headers: x }, true],
    ["half of one operation and half of another", { ...spiffe(web), method: "GET", path: "/b", headers: x }, false],
    ["half of a source", { ...spiffe("cluster.local/ns/prod/sa/api"), method: "GET", path: "/a", headers: x }, false],
    ["not the condition", { ...spiffe(web), method: "GET", path: "/a" }, false],
  ])("%s", (_, request, expected) => expect(matches(rule, request)).toBe(expected));

  test("of nothing matches everything", () => expect(matches({}, {})).toBe(true));
});

describe("evaluation order", () => {
  const decide = (policies: Policy[], request: Request = {}) => {
    configure({ policies });
    return core.decide(request);
  };
  const a = operation({ paths: ["/a"] });

  test("no policy: allowed", () => expect(decide([])).toEqual({ allowed: true, rule: "none" }));
  test("DENY only: the rest is allowed", () => {
    const policies = [policy("d", "DENY", [a])];
    expect(decide(policies, { path: "/a" })).toEqual({ allowed: false, rule: "prod/d#0" });
    expect(decide(policies, { path: "/b" })).toEqual({ allowed: true, rule: "none" });
  });
  test("DENY wins over ALLOW", () => expect(decide([policy("a", "ALLOW", [{}]), policy("z", "DENY", [a])], { path: "/a" })).toEqual({ allowed: false, rule: "prod/z#0" }));
  test("some ALLOW, none matches: denied", () => expect(decide([policy("a", "ALLOW", [a])], { path: "/b" })).toEqual({ allowed: false, rule: "none" }));
  test("ALLOW without rules allows nothing", () => {
    expect(decide([policy("nothing", "ALLOW")])).toEqual({ allowed: false, rule: "none" });
    expect(decide([{ metadata: { name: "n" }, spec: {} }])).toEqual({ allowed: false, rule: "none" });
    expect(decide([policy("nothing", "ALLOW"), policy("b", "ALLOW", [{}])]).allowed).toBe(true);
  });
  test("DENY of everything", () => expect(decide([policy("d", "DENY", [{}])])).toEqual({ allowed: false, rule: "prod/d#0" }));
  test("of several matches the first by Envoy's order of names is reported", () => {
    const names = ["b", "a", "a-b", "ab"];
    expect(decide(names.map((name) => policy(name, "ALLOW", [{}]))).rule).toBe("prod/a-b#0"); // "a-b]" < "a]"
    expect(decide([policy("p", "ALLOW", Array.from({ length: 11 }, () => ({})))]).rule).toBe("prod/p#0");
    expect(decide([policy("p", "ALLOW", [a, ...Array.from({ length: 10 }, () => ({}))])]).rule).toBe("prod/p#10"); // "10]" < "1]"
  });
});

describe("attachment", () => {
  const deny = (name: string, namespace: string, more: object = {}): Policy => ({ metadata: { name, namespace }, spec: { action: "DENY", rules: [{}], ...more } });
  const applies = (p: Policy, configuration: object, request: Request = {}) => {
    configure({ ...configuration, policies: [p] });
    return !core.decide(request).allowed;
  };
  const node = { namespace: "prod", labels: { app: "web" } };
  test.each<[string, Policy, boolean]>([
    ["the own namespace", deny("p", "prod"), true],
    ["another namespace", deny("p", "dev"), false],
    ["the root namespace", deny("p", "istio-system"), true],
    ["a selector that matches", deny("p", "prod", { selector: { matchLabels: { app: "web" } } }), true],
    ["a selector that doesn't", deny("p", "prod", { selector: { matchLabels: { app: "api" } } }), false],
    ["a selector of the root namespace", deny("p", "istio-system", { selector: { matchLabels: { app: "web" } } }), true],
    ["an empty selector", deny("p", "prod", { selector: {} }), true],
  ])("%s", (_, p, expected) => expect(applies(p, node)).toBe(expected));

  test("a policy that applies to nothing is mentioned", () => {
    applies(deny("p", "dev"), node);
    expect(core.unattached).toBe("dev/p");
  });

  const workloads = {
    ...node,
    workloads: [
      { name: "prod/reviews", namespace: "prod", labels: { app: "reviews" }, targets: ["Backend/reviews", "edge/HTTPRoute/r"], routes: ["prod/r/0"] },
      { name: "dev/x", namespace: "dev", routes: ["dev/x/0"] },
    ],
    gateway: { namespace: "edge", labels: { "gateway.networking.k8s.io/gateway-name": "edge" }, targets: ["Gateway/edge"] },
  };
  const routes: [string, string | undefined][] = [["reviews", "prod/r/0"], ["x", "dev/x/0"], ["the node itself", "other"], ["no route", undefined]];
  const targets = (kind: string, name: string) => ({ targetRefs: [{ group: "any", kind, name }] });
  test.each<[string, Policy, string[]]>([
    ["a namespace", deny("p", "prod"), ["reviews", "the node itself", "no route"]],
    ["another namespace", deny("p", "dev"), ["x"]],
    ["the root namespace", deny("p", "istio-system"), ["reviews", "x", "the node itself", "no route"]],
    ["a selector", deny("p", "prod", { selector: { matchLabels: { app: "reviews" } } }), ["reviews"]],
    ["a target", deny("p", "prod", targets("Backend", "reviews")), ["reviews"]],
    ["a target, singular", deny("p", "prod", { targetRef: { kind: "Backend", name: "reviews" } }), ["reviews"]],
    ["a target of another namespace's name", deny("p", "dev", targets("Backend", "reviews")), []],
    ["a target with a namespace of its own", deny("p", "edge", targets("HTTPRoute", "r")), ["reviews"]],
    ["the gateway, by target", deny("p", "edge", targets("Gateway", "edge")), ["reviews", "x", "the node itself", "no route"]],
    ["the gateway, by selector", deny("p", "edge", { selector: { matchLabels: { "gateway.networking.k8s.io/gateway-name": "edge" } } }), ["reviews", "x", "the node itself", "no route"]],
    ["the gateway's namespace alone: nothing", deny("p", "edge"), []],
  ])("with workloads: %s", (_, p, expected) => {
    expect(routes.filter(([, route]) => applies(p, workloads, { route })).map(([name]) => name)).toEqual(expected);
  });

  test("gateway and workload must both allow", () => {
    const allow = (name: string, namespace: string, path: string, more: object = {}): Policy =>
      ({ metadata: { name, namespace }, spec: { rules: [operation({ paths: [path] })], ...more } });
    configure({ ...workloads, policies: [allow("g", "edge", "/a*", targets("Gateway", "edge")), allow("w", "prod", "*b")] });
    expect(["/ab", "/a", "/b"].map((path) => core.decide({ path, route: "prod/r/0" }).allowed)).toEqual([true, false, false]);
  });
});

describe("trust-domain aliases", () => {
  const aliases = { trustDomain: "new", trustDomainAliases: ["old", "older"] };
  test.each<[string, string, boolean]>([
    ["cluster.local/ns/prod/sa/web", "old/ns/prod/sa/web", true],
    ["old/ns/prod/sa/web", "new/ns/prod/sa/web", true],
    ["old/ns/prod/sa/web", "strange/ns/prod/sa/web", false],
    ["strange/ns/prod/sa/web", "new/ns/prod/sa/web", false],
    ["old/ns/prod/*", "new/ns/prod/sa/web", false],
  ])("%s and %s", (value, id, expected) => expect(matches(source({ principals: [value] }), spiffe(id), aliases)).toBe(expected));
  test("trustDomains too", () => expect(matches(source({ trustDomains: ["old"] }), spiffe("new/x"), aliases)).toBe(true));
  test("namespaces never look at the trust domain", () => expect(matches(source({ namespaces: ["prod"] }), spiffe("strange/ns/prod/sa/x"), aliases)).toBe(true));
});

describe("claims", () => {
  const idp = { iss: "https://idp", sub: "alice" };
  const table: [string, Rule, Request[], Request[]][] = [
    ["requestPrincipals", source({ requestPrincipals: ["https://idp/alice", "*ob"] }), [{ claims: idp }, { claims: { iss: "x", sub: "bob" } }], [{ claims: { ...idp, sub: "a" } }, { claims: { sub: "alice" } }, {}]],
    ["notRequestPrincipals", source({ notRequestPrincipals: ["*"] }), [{}, { claims: { iss: "x" } }], [{ claims: idp }]],
    ["request.auth.principal", { when: [{ key: "request.auth.principal", values: ["https://idp/*"] }] }, [{ claims: idp }], [{ claims: { iss: "https://idp/x", sub: "alice" } }, {}]],
    ["request.auth.claims", { when: [{ key: "request.auth.claims[a][b]", values: ["x"] }] }, [{ claims: { a: { b: ["y", "x"] } } }], [{ claims: { a: { b: { 0: "x" } } } }, { claims: { a: "x" } }, {}]],
    ["experimental, a string", { when: [{ key: "experimental.envoy.filters.x[k]", values: ["v"] }] }, [{ metadata: { "envoy.filters.x": { k: "v" } } }], [{ metadata: { "envoy.filters.x": { k: ["v"] } } }, {}]],
    ["experimental, a list", { when: [{ key: "experimental.envoy.filters.x[k]", notValues: ["[v]"] }] }, [{ metadata: { "envoy.filters.x": { k: "v" } } }, {}], [{ metadata: { "envoy.filters.x": { k: ["v"] } } }]],
  ];
  test.each(table)("%s", (_, rule, those, others) => {
    for (const request of those) expect([request, matches(rule, request)]).toEqual([request, true]);
    for (const request of others) expect([request, matches(rule, request)]).toEqual([request, false]);
  });

  test("are read where they could decide, and once", () => {
    const asks = { when: [{ key: "request.auth.claims[role]", values: ["admin"] }] };
    configure({
      workloads: [{ namespace: "prod", routes: ["r"] }],
      policies: [
        policy("a", "ALLOW", [{ ...operation({ paths: ["/a"] }), ...asks }, { ...operation({ paths: ["/a"] }), ...asks }]),
        { metadata: { name: "b", namespace: "dev" }, spec: { rules: [asks] } },
      ],
    });
    expect(core.claimReads).toBeGreaterThanOrEqual(0); // those of other tests
    const reads = (request: Request) => {
      core.decide({ route: "r", ...request });
      return core.claimReads;
    };
    expect(reads({ path: "/b" })).toBe(0);
    expect(reads({ path: "/a", claims: { role: "user" } })).toBe(1);
    expect(reads({ path: "/a", claims: { role: "admin" } })).toBe(1);
  });
});

test("policies on trial decide nothing, and are decided on apart", () => {
  const trial = { annotations: { "istio.io/dry-run": "true" } };
  configure({ policies: [policy("t", "DENY", [operation({ paths: ["/a"] })], trial)] });
  expect(core.decide({ path: "/a" })).toEqual({ allowed: true, rule: "none", dryRunAllowed: false });
  expect(core.decide({ path: "/b" })).toEqual({ allowed: true, rule: "none", dryRunAllowed: true });
  configure({ policies: [policy("t", "ALLOW", [operation({ paths: ["/a"] })], trial)] });
  expect(core.decide({ path: "/b" })).toEqual({ allowed: true, rule: "none", dryRunAllowed: false });
});

import { describe, expect, it } from "vitest";
import { authorization, backend, codes, compose, doc, GATEWAY, plugin, ref, route, SIMPLE } from "./support.ts";

const check = (spec: string, meta?: string) => compose(doc(SIMPLE, authorization(spec, meta)));
const rule = (body: string, action = "ALLOW") => check(`action: ${action}\nrules:\n  - ${body}`);

describe("what Istio's validation refuses", () => {
  it.each([
    ["from: []", "authorization-empty"],
    ["to: []", "authorization-empty"],
    ["from: [{ source: {} }]", "authorization-empty"],
    ["to: [{ operation: {} }]", "authorization-empty"],
    ["from: [{}]", "missing-field"],
    ["from: [null]", "wrong-type"],
    ["from: [{ source: { principals: [] } }]", "authorization-empty"],
    ["from: [{ source: { principals: [''] } }]", "authorization-value"],
    ["from: [{ source: { principals: [a], serviceAccounts: [b] } }]", "authorization-combination"],
    ["from: [{ source: { notNamespaces: [a], notServiceAccounts: [b] } }]", "authorization-combination"],
    ["from: [{ source: { serviceAccounts: ['a*'] } }]", "authorization-value"],
    ["from: [{ source: { ipBlocks: [10.0.0.0/33] } }]", "authorization-value"],
    ["from: [{ source: { remoteIpBlocks: [10.0.0] } }]", "authorization-value"],
    ["from: [{ source: { notIpBlocks: ['::/129'] } }]", "authorization-value"],
    ["to: [{ operation: { ports: ['65536'] } }]", "authorization-value"],
    ["to: [{ operation: { ports: ['80-90'] } }]", "authorization-value"],
    ["to: [{ operation: { ports: [80] } }]", "wrong-type"],
    ["to: [{ operation: { paths: ['/a/{x}'] } }]", "authorization-value"],
    ["to: [{ operation: { paths: ['/{**}/{*}'] } }]", "authorization-value"],
    ["to: [{ operation: { paths: ['/{*}/*'] } }]", "authorization-value"],
    ["when: [{ key: request.headers, values: [a] }]", "authorization-condition"],
    ["when: [{ key: 'request.headers[]', values: [a] }]", "authorization-condition"],
    ["when: [{ key: source.namspace, values: [a] }]", "authorization-condition"],
    ["when: [{ key: destination.namespace, values: [a] }]", "authorization-condition"],
    ["when: [{ key: source.namespace }]", "authorization-condition"],
    ["when: [{ key: destination.port, values: [x] }]", "authorization-value"],
    ["when: [{ key: source.ip, notValues: [x] }]", "authorization-value"],
    ["if: []", "unknown-field"],
    ["to: [{ operation: { path: [/a] } }]", "unknown-field"],
  ])("rule %s", (body, code) => {
    const result = rule(body);
    expect(codes(result.findings)).toContain(code);
    expect(result.findings.every((each) => each.where?.line !== undefined)).toBe(true);
    expect(result.config).toBeUndefined();
  });

  it.each([
    ["action: DENY", "authorization-rules"],
    ["action: DENY\nrules: []", "authorization-rules"],
    ["rules: [{}]\nprovider: { name: x }", "authorization-provider"],
    ["selector: { matchLabels: { app: app } }\ntargetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: gw }]", "policy-target"],
    ["selector: { matchLabels: { app: 'a*' } }", "policy-target"],
    ["targetRefs: []", "wrong-value"],
    ["targetRefs: [{ kind: Pod, name: x }]", "reference-unsupported"],
    ["targetRefs: [{ kind: Gateway, name: gw }]", "reference-unsupported"],
    ["targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: nope }]", "target-missing"],
    ["targetRefs: [{ kind: Service, name: a, namespace: dev }]", "cross-namespace-reference"],
  ])("spec %s", (spec, code) => expect(codes(check(spec).findings)).toContain(code));

  it("suggests the nearest key of `when`", () => {
    expect(rule("when: [{ key: source.namspace, values: [a] }]").findings[0]).toMatchObject({ fix: "did you mean source.namespace?", found: "source.namspace" });
  });
});

describe("stricter than Istio: what could never match as meant", () => {
  it.each(["principals", "requestPrincipals"])("a wildcard in the middle of %s", (field) => {
    expect(codes(rule(`from: [{ source: { ${field}: ['a*b'] } }]`).findings)).toContain("authorization-value");
  });
  it.each(["/a/*/b", "*a*"])("a wildcard in the middle of the path %s", (path) => {
    expect(codes(rule(`to: [{ operation: { paths: ['${path}'] } }]`).findings)).toEqual(["authorization-value"]);
  });
  it("an unreadable dry-run annotation", () => {
    expect(codes(check("rules: [{}]", "name: p, namespace: prod, annotations: { istio.io/dry-run: 'yes' }").findings)).toEqual(["authorization-dry-run"]);
  });
});

describe("what is not carried out", () => {
  it.each([
    ["action: CUSTOM\nrules: [{}]\nprovider: { name: x }", "authorization-provider"],
  ])("%s", (spec, code) => expect(codes(check(spec).findings)).toEqual([code]));
});

describe("what is accepted and passed through whole", () => {
  const spec = `
action: DENY
rules:
  - from:
      - source: { principals: ["*", "a*", "*a", "td/ns/n/sa/s"], notNamespaces: ["a*b"], ipBlocks: ["10.0.0.0/8", "::1"] }
    to:
      - operation: { hosts: ["*.x"], methods: ["*"], paths: ["/a*", "/{*}/b", "/c/{**}/d"], ports: ["0", "65535"] }
    when:
      - { key: "request.headers[X-A]", values: ["a"], notValues: ["*b"] }
      - { key: connection.sni, values: ["*"] }
      - { key: destination.port, values: ["8080"] }`;
  it("keeps the spec, and of the metadata what has a meaning", () => {
    const result = check(spec.trim(), "name: p, namespace: prod, labels: { x: y }, annotations: { istio.io/dry-run: 'true', note: z }");
    expect(codes(result.findings)).toEqual([]);
    const [policy] = plugin(result).authz.policies;
    expect(policy.metadata).toEqual({ name: "p", namespace: "prod", annotations: { "istio.io/dry-run": "true" } });
    expect(policy.spec.action).toBe("DENY");
    expect(policy.spec.rules[0].when).toHaveLength(3);
    expect(policy.spec.rules[0].from[0].source.principals).toEqual(["*", "a*", "*a", "td/ns/n/sa/s"]);
  });
  it.each(["{}", "rules: [{}]", "rules: []", "action: DENY\nrules: [{}]"])("spec %s", (each) => {
    expect(codes(check(each).findings)).toEqual([]);
  });
  it("also as v1beta1", () => {
    expect(codes(compose(doc(SIMPLE, authorization("rules: [{}]").replace("/v1", "/v1beta1"))).findings)).toEqual([]);
  });
});

describe("attachment", () => {
  const world = (...policies: string[]) =>
    compose(doc(GATEWAY, backend("a", "app: a, v: '1'"), backend("b", "app: b"), route(`- backendRefs: [${ref("a")}]`, "ra"), route(`- matches: [{ path: { value: /b } }]\n  backendRefs: [${ref("b")}]`, "rb"), ...policies));
  const names = (result: ReturnType<typeof world>) => plugin(result).authz?.policies.map((each: { metadata: { name: string } }) => each.metadata.name) ?? [];
  const one = (spec: string, meta = "name: p, namespace: prod") => world(authorization(spec, meta));

  it("writes destinations with namespace, labels, targets and routes", () => {
    expect(plugin(one("{}")).authz.workloads).toEqual([
      { name: "prod/a", namespace: "prod", labels: { app: "a", v: "1" }, targets: ["Backend/a", "Service/a", "HTTPRoute/ra"], routes: ["prod/ra/0"] },
      { name: "prod/b", namespace: "prod", labels: { app: "b" }, targets: ["Backend/b", "Service/b", "HTTPRoute/rb"], routes: ["prod/rb/0"] },
    ]);
  });
  it("writes the Gateway as a first stage, by its labels", () => {
    expect(plugin(one("{}")).authz.gateway).toEqual({ namespace: "prod", labels: { "gateway.networking.k8s.io/gateway-name": "gw" }, targets: ["Gateway/gw"] });
  });

  it.each([
    ["its namespace", "rules: [{}]", "name: p, namespace: prod", true],
    ["another namespace", "rules: [{}]", "name: p, namespace: dev", false],
    ["the root namespace", "rules: [{}]", "name: p, namespace: istio-system", true],
    ["a selector that fits", "selector: { matchLabels: { app: b } }", "name: p, namespace: prod", true],
    ["a selector that fits in part", "selector: { matchLabels: { app: b, v: '1' } }", "name: p, namespace: prod", false],
    ["a Backend", "targetRefs: [{ group: gateway.envoyproxy.io, kind: Backend, name: a }]", "name: p, namespace: prod", true],
    ["a Service", "targetRefs: [{ group: '', kind: Service, name: a }]", "name: p, namespace: prod", true],
    ["an HTTPRoute", "targetRefs: [{ group: gateway.networking.k8s.io, kind: HTTPRoute, name: ra }]", "name: p, namespace: prod", true],
    ["a Gateway", "targetRefs: [{ group: gateway.networking.k8s.io, kind: Gateway, name: gw }]", "name: p, namespace: prod", true],
    ["a Gateway by label", "selector: { matchLabels: { gateway.networking.k8s.io/gateway-name: gw } }", "name: p, namespace: prod", true],
    ["a Gateway by the older field", "targetRef: { group: gateway.networking.k8s.io, kind: Gateway, name: gw }", "name: p, namespace: prod", true],
  ])("%s", (_, spec, meta, attached) => {
    const result = one(spec, meta);
    expect(names(result)).toEqual(attached ? ["p"] : []);
    expect(codes(result.findings, "warning").includes("policy-unattached")).toBe(!attached);
  });

  it("takes another root namespace", () => {
    const text = doc(SIMPLE, authorization("rules: [{}]", "name: p, namespace: root"));
    expect(plugin(compose(text, { rootNamespace: "root" })).authz.rootNamespace).toBe("root");
    expect(codes(compose(text).findings, "warning")).toContain("policy-unattached");
  });
  it("sorts policies, so that the order of files doesn't matter", () => {
    expect(names(world(authorization("{}", "name: z, namespace: prod"), authorization("{}", "name: b, namespace: prod")))).toEqual(["b", "z"]);
  });
  it("warns of a destination that nothing protects, once", () => {
    const result = world(authorization("selector: { matchLabels: { app: b } }"));
    expect(result.findings.filter((each) => each.code === "workload-unprotected").map((each) => each.message)).toEqual([expect.stringContaining("prod/a")]);
  });
  it("leaves authorization out where there is no policy", () => {
    expect(plugin(world()).authz).toBeUndefined();
  });

  const arms = (...policies: string[]) =>
    compose(doc(GATEWAY, backend("a", "app: x, version: v1"), backend("b", "app: x, version: v2"), route(`- backendRefs: [${ref("a")}, ${ref("b")}]`), ...policies));
  it("is the same for all arms of a rule, or refused", () => {
    expect(codes(arms(authorization("selector: { matchLabels: { app: x } }")).findings)).toEqual([]);
    const { findings } = arms(authorization("selector: { matchLabels: { version: v2 } }"));
    const finding = findings.find((each) => each.severity === "error");
    expect(findings.map((each) => each.code)).not.toContain("policy-unattached");
    expect(finding).toMatchObject({ code: "policy-splits-arms" });
    expect(finding!.message).toBe("this policy holds for b but not for a, which share the rule prod/r/0");
    const both = authorization("targetRefs: [{ kind: Service, name: a }, { kind: Service, name: b }]");
    expect(codes(arms(both).findings)).toEqual([]);
    expect(codes(arms(authorization("targetRefs: [{ kind: Service, name: a }]")).findings)).toEqual(["policy-splits-arms"]);
  });
  it("joins the rules of one destination, and names destinations apart", () => {
    const result = compose(doc(GATEWAY, backend("a", "app: x"), backend("b", "app: x"), route(`- backendRefs: [${ref("a")}]\n- matches: [{ path: { value: /2 } }]\n  backendRefs: [${ref("a")}]\n- matches: [{ path: { value: /3 } }]\n  backendRefs: [${ref("b")}]`), authorization("{}")));
    const workloads = plugin(result).authz.workloads as { name: string; routes: string[] }[];
    expect(workloads.map((each) => [each.name, each.routes])).toEqual([
      ["prod/x", ["prod/r/0", "prod/r/1"]],
      ["prod/x (b of HTTPRoute r)", ["prod/r/2"]],
    ]);
  });
});

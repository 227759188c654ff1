import { describe, expect, it } from "vitest";
import { backend, clusters, codes, compose, doc, GATEWAY, gateway, hcm, plugin, ref, route, routesOf, SIMPLE } from "./support.ts";

const one = (rules: string, rest = "") => compose(doc(GATEWAY, backend("a"), backend("b"), backend("c"), route(rules, "r", rest)));
const matchesOf = (yaml: string) => routesOf(one(`- matches: [${yaml}]\n  backendRefs: [${ref("a")}]`)).map((each) => each.match);

describe("matches", () => {
  it.each([
    ["{}", { prefix: "/" }],
    ["{ path: { value: /abc/ } }", { path_separated_prefix: "/abc" }],
    ["{ path: { type: PathPrefix, value: / } }", { prefix: "/" }],
    ["{ path: { type: Exact, value: /abc/ } }", { path: "/abc/" }],
    ["{ path: { type: RegularExpression, value: '/v[0-9]+/.*' } }", { safe_regex: { regex: "/v[0-9]+/.*" } }],
    ["{ method: POST }", { prefix: "/", headers: [{ name: ":method", string_match: { exact: "POST" } }] }],
    [
      "{ headers: [{ name: X-A, value: '1' }, { name: x-b, type: RegularExpression, value: '[0-9]' }] }",
      { prefix: "/", headers: [{ name: "x-a", string_match: { exact: "1" } }, { name: "x-b", string_match: { safe_regex: { regex: "[0-9]" } } }] },
    ],
    ["{ queryParams: [{ name: Q, value: '1' }] }", { prefix: "/", query_parameters: [{ name: "Q", string_match: { exact: "1" } }] }],
  ])("%s", (yaml, expected) => expect(matchesOf(yaml)).toEqual([expected]));

  it("are ORed: one route each, by precedence, all with the rule's name", () => {
    const routes = routesOf(one(`- name: n\n  matches: [{ path: { value: / } }, { path: { value: /long } }, { path: { type: Exact, value: /x } }]\n  backendRefs: [${ref("a")}]`));
    expect(routes.map((each) => [each.name, each.match.path ?? each.match.path_separated_prefix ?? each.match.prefix])).toEqual([
      ["prod/r/n", "/x"],
      ["prod/r/n", "/long"],
      ["prod/r/n", "/"],
    ]);
  });

  it("count only the first of two for one header, and say so", () => {
    const result = one(`- matches: [{ headers: [{ name: X, value: '1' }, { name: x, value: '2' }] }]\n  backendRefs: [${ref("a")}]`);
    expect(codes(result.findings, "warning")).toContain("match-duplicate");
    expect(routesOf(result)[0].match.headers).toHaveLength(1);
  });

  it.each(["abc", "/a//b", "/a/../b", "/a/.", "/a%2Fb", "/a#b", "/a?b"])("refuse the path %s, which never matches", (value) => {
    expect(codes(one(`- matches: [{ path: { value: '${value}' } }]\n  backendRefs: [${ref("a")}]`).findings)).toEqual(["wrong-value"]);
  });
  it.each(["a(?=b)", "(?<!a)b", "(a)\\1", "a(", "[b-a]"])("refuse the pattern %s", (value) => {
    expect(codes(one(`- matches: [{ path: { type: RegularExpression, value: '${value}' } }]\n  backendRefs: [${ref("a")}]`).findings)).toEqual(["wrong-value"]);
  });
  it.each(["/(?i)abc", "/(?P<name>a)", "/\\pL+", "/a\\z"])("take the RE2 pattern %s", (value) => {
    expect(codes(one(`- matches: [{ path: { type: RegularExpression, value: '${value}' } }]\n  backendRefs: [${ref("a")}]`).findings)).toEqual([]);
  });

  it("of several routes are ordered together", () => {
    const result = compose(doc(GATEWAY, backend("a"), route(`- backendRefs: [${ref("a")}]`, "z"), route(`- matches: [{ path: { value: /a } }]\n  backendRefs: [${ref("a")}]`, "y"), route(`- backendRefs: [${ref("a")}]`, "b")));
    // prod/z has the same matches as prod/b, so that nothing ever reaches it.
    expect(routesOf(result).map((each) => each.name)).toEqual(["prod/y/0", "prod/b/0"]);
  });
});

describe("backends and weights", () => {
  const arms = (refs: string) => one(`- name: n\n  backendRefs: [${refs}]`);
  const shape = (refs: string) =>
    routesOf(arms(refs)).map((each) => [each.name, each.match.filter_state?.[0].string_match.exact ?? null, each.route?.cluster ?? each.direct_response.status]);

  it("one backend is one route without filter state, and no rollout", () => {
    expect(shape(ref("a"))).toEqual([["prod/r/n", null, "prod/a"]]);
    expect(plugin(arms(ref("a"))).canary).toBeUndefined();
  });
  it("the largest weight is stable and last; the others match the arm", () => {
    expect(shape(`${ref("b", "weight: 1")}, ${ref("a", "weight: 99")}, ${ref("c", "weight: 5")}`)).toEqual([
      ["prod/r/n/b", "b", "prod/b"],
      ["prod/r/n/c", "c", "prod/c"],
      ["prod/r/n", null, "prod/a"],
    ]);
  });
  it("with equal weights the first listed is stable", () => {
    expect(shape(`${ref("b")}, ${ref("a")}`).at(-1)).toEqual(["prod/r/n", null, "prod/b"]);
  });
  it("weight 0 gets nothing", () => {
    expect(shape(`${ref("a", "weight: 1")}, ${ref("b", "weight: 0")}`)).toEqual([["prod/r/n", null, "prod/a"]]);
  });
  it("all weights 0 answer 500, with a warning", () => {
    expect(shape(`${ref("a", "weight: 0")}, ${ref("b", "weight: 0")}`)).toEqual([["prod/r/n", null, 500]]);
    expect(codes(arms(ref("a", "weight: 0")).findings, "warning")).toContain("rule-without-backend");
  });
  it("no backends answer 500, and so does a route without rules", () => {
    expect(routesOf(one("- name: n"))[0].direct_response).toEqual({ status: 500 });
    expect(routesOf(compose(doc(GATEWAY, route("").replace(/\n *rules:\s*$/, "\n"))))[0].direct_response).toEqual({ status: 500 });
  });
  it("a backend that stands twice has two arms", () => {
    expect(shape(`${ref("a", "weight: 9")}, ${ref("a")}`)).toEqual([
      ["prod/r/n/a.1", "a.1", "prod/a"],
      ["prod/r/n", null, "prod/a"],
    ]);
  });
  it("the filter state key is the one that the canary filter writes", () => {
    expect(routesOf(arms(`${ref("a")}, ${ref("b")}`))[0].match.filter_state[0].key).toBe("wasm.selvedge_arm");
  });

  it.each([
    ["a missing backend", ref("nope"), "route-backend-missing"],
    ["a Service", "{ name: a, port: 80 }", "reference-unsupported"],
    ["another namespace", ref("a", "namespace: dev"), "cross-namespace-reference"],
    ["a port", ref("a", "port: 80"), "unsupported-field"],
    ["a weight above a million", ref("a", "weight: 1000001"), "wrong-value"],
  ])("refuses %s", (_, refs, expected) => expect(codes(arms(refs).findings)).toContain(expected));

  it("points at the name of a missing backend and suggests one", () => {
    const text = doc(GATEWAY, backend("reviews"), route(`- backendRefs:\n    - ${ref("review")}`));
    const lines = text.split("\n");
    const line = lines.findIndex((each) => each.includes("name: review }")) + 1;
    const col = lines[line - 1]!.indexOf("review }") + 1;
    const result = compose(text);
    expect(result.findings).toHaveLength(1);
    expect(result.findings[0]).toMatchObject({ code: "route-backend-missing", where: { line, col }, fix: "did you mean reviews?" });
    expect(result.yaml).toBeUndefined();
  });
});

describe("filters", () => {
  const first = (rule: string) => routesOf(one(`- ${rule.trim().replace(/\n/g, "\n  ")}\n  backendRefs: [${ref("a")}]`))[0];
  const headerFilter = (kind: string, body: string) => `filters: [{ type: ${kind}Modifier, ${kind.charAt(0).toLowerCase()}${kind.slice(1)}Modifier: ${body} }]`;

  it("set, add and remove headers; a % is literal", () => {
    const made = first(headerFilter("RequestHeader", "{ set: [{ name: X-A, value: '50%' }], add: [{ name: b, value: c }], remove: [D] }"));
    expect(made.request_headers_to_add).toEqual([
      { header: { key: "x-a", value: "50%%" }, append_action: "OVERWRITE_IF_EXISTS_OR_ADD" },
      { header: { key: "b", value: "c" }, append_action: "APPEND_IF_EXISTS_OR_ADD" },
    ]);
    expect(made.request_headers_to_remove).toEqual(["d"]);
    expect(first(headerFilter("ResponseHeader", "{ remove: [server] }")).response_headers_to_remove).toEqual(["server"]);
  });
  it("of a backendRef hold for that arm alone, after the rule's", () => {
    const filter = "filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x, value: arm }], remove: [y] } }]";
    const routes = routesOf(
      one(`- filters: [{ type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x, value: rule }, { name: y, value: rule }] } }]\n  backendRefs: [${ref("a", "weight: 9")}, ${ref("b", filter)}]`),
    );
    const values = (each: { request_headers_to_add: { header: { key: string; value: string } }[] }) => each.request_headers_to_add.map(({ header }) => `${header.key}=${header.value}`);
    expect(values(routes[0])).toEqual(["x=arm"]);
    expect(routes[0].request_headers_to_remove).toEqual(["y"]);
    expect(values(routes[1])).toEqual(["x=rule", "y=rule"]);
  });
  it.each([
    ["one name in two lists", "{ set: [{ name: a, value: b }], remove: [A] }", "header-duplicate"],
    ["the Host header", "{ set: [{ name: Host, value: b }] }", "header-refused"],
  ])("refuse %s", (_, body, code) => {
    expect(codes(one(`- ${headerFilter("RequestHeader", body)}\n  backendRefs: [${ref("a")}]`).findings)).toEqual([code]);
  });

  it.each([
    ["/foo", "/xyz", { prefix_rewrite: "/xyz" }],
    ["/foo", "/xyz/", { prefix_rewrite: "/xyz" }],
    ["/foo/", "/xyz", { prefix_rewrite: "/xyz" }],
    ["/foo", "", { regex_rewrite: { pattern: { regex: "^/foo/*" }, substitution: "/" } }],
    ["/foo.b", "/", { regex_rewrite: { pattern: { regex: "^/foo\\.b/*" }, substitution: "/" } }],
    ["/", "/xyz", { prefix_rewrite: "/xyz/" }],
    ["/", "/", { prefix_rewrite: "/" }],
  ])("replace the prefix %s by '%s'", (from, to, expected) => {
    const made = first(`matches: [{ path: { value: ${from} } }]\nfilters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: '${to}' } } }]`);
    expect(made.route).toMatchObject(expected);
  });
  it("replace the full path and the host", () => {
    const made = first("filters: [{ type: URLRewrite, urlRewrite: { hostname: x.example, path: { type: ReplaceFullPath, replaceFullPath: '/a\\1' } } }]");
    expect(made.route).toMatchObject({ host_rewrite_literal: "x.example", regex_rewrite: { pattern: { regex: "^/.*$" }, substitution: "/a\\\\1" } });
  });
  it("mirror a share", () => {
    const mirror = (rest: string) => first(`filters: [{ type: RequestMirror, requestMirror: { backendRef: ${ref("b")}${rest} } }]`).route.request_mirror_policies;
    const share = (numerator: number) => [{ cluster: "prod/b", runtime_fraction: { default_value: { numerator, denominator: "MILLION" } } }];
    expect(mirror("")).toEqual(share(1_000_000));
    expect(mirror(", percent: 10")).toEqual(share(100_000));
    expect(mirror(", fraction: { numerator: 1, denominator: 1000 }")).toEqual(share(1000));
  });

  describe("redirect", () => {
    const redirect = (body: string, port = 8080, match = "") =>
      routesOf(compose(doc(GATEWAY.replace("8080", String(port)), route(`- filters: [{ type: RequestRedirect, requestRedirect: { ${body} } }]${match}`))))[0].redirect;
    it.each([
      ["scheme: https", 8080, { scheme_redirect: "https", port_redirect: 443, response_code: "FOUND" }],
      ["scheme: https", 80, { scheme_redirect: "https", port_redirect: 443, response_code: "FOUND" }],
      ["scheme: https, hostname: a.example", 80, { scheme_redirect: "https", host_redirect: "a.example", response_code: "FOUND" }],
      ["hostname: a.example, statusCode: 308", 8080, { host_redirect: "a.example", port_redirect: 8080, response_code: "PERMANENT_REDIRECT" }],
      ["hostname: a.example, statusCode: 301", 80, { host_redirect: "a.example", response_code: "MOVED_PERMANENTLY" }],
      ["port: 9090", 80, { port_redirect: 9090, response_code: "FOUND" }],
      ["path: { type: ReplaceFullPath, replaceFullPath: /x }", 80, { path_redirect: "/x", response_code: "FOUND" }],
      ["path: { type: ReplacePrefixMatch, replacePrefixMatch: /x }", 80, { prefix_rewrite: "/x/", response_code: "FOUND" }],
    ])("{ %s } on port %i", (body, port, expected) => expect(redirect(body, port)).toEqual(expected));
  });

  it.each([
    ["a redirect with backends", `- filters: [{ type: RequestRedirect, requestRedirect: { scheme: https } }]\n  backendRefs: [${ref("a")}]`, "filter-conflict"],
    ["a redirect with a rewrite", `- filters: [{ type: RequestRedirect, requestRedirect: { scheme: https } }, { type: URLRewrite, urlRewrite: { hostname: a } }]`, "filter-conflict"],
    ["a filter twice", `- filters: [{ type: URLRewrite, urlRewrite: { hostname: a } }, { type: URLRewrite, urlRewrite: { hostname: a } }]\n  backendRefs: [${ref("a")}]`, "filter-conflict"],
    ["a filter without its field", `- filters: [{ type: URLRewrite }]\n  backendRefs: [${ref("a")}]`, "missing-field"],
    ["a filter with another's field", `- filters: [{ type: URLRewrite, urlRewrite: { hostname: a }, requestMirror: { backendRef: ${ref("a")} } }]\n  backendRefs: [${ref("a")}]`, "wrong-value"],
    ["CORS", `- filters: [{ type: CORS, cors: {} }]\n  backendRefs: [${ref("a")}]`, "wrong-value"],
    ["ReplacePrefixMatch without PathPrefix", `- matches: [{ path: { type: Exact, value: /a } }]\n  filters: [{ type: URLRewrite, urlRewrite: { path: { type: ReplacePrefixMatch, replacePrefixMatch: /b } } }]\n  backendRefs: [${ref("a")}]`, "wrong-value"],
    ["a mirror to a missing backend", `- filters: [{ type: RequestMirror, requestMirror: { backendRef: ${ref("x")} } }]\n  backendRefs: [${ref("a")}]`, "route-backend-missing"],
    ["percent and fraction", `- filters: [{ type: RequestMirror, requestMirror: { backendRef: ${ref("b")}, percent: 1, fraction: { numerator: 1 } } }]\n  backendRefs: [${ref("a")}]`, "wrong-value"],
    ["session persistence", `- sessionPersistence: { type: Cookie }\n  backendRefs: [${ref("a")}]`, "unsupported-field"],
    ["two rules of one name", `- name: '1'\n  backendRefs: [${ref("a")}]\n- backendRefs: [${ref("a")}]`, "duplicate-rule"],
    ["a try longer than the whole", `- timeouts: { request: 1s, backendRequest: 2s }\n  backendRefs: [${ref("a")}]`, "wrong-value"],
    ["a duration without unit", `- timeouts: { request: '10' }\n  backendRefs: [${ref("a")}]`, "wrong-value"],
  ])("refuse %s", (_, rules, code) => expect(codes(one(rules).findings)).toContain(code));
});

describe("timeouts and retries", () => {
  const action = (rule: string) => routesOf(one(`- ${rule}\n  backendRefs: [${ref("a")}]`))[0].route;
  it.each([
    ["name: n", "15s"],
    ["timeouts: { request: 1m30s }", "90s"],
    ["timeouts: { request: 0s }", "0s"],
    ["timeouts: { request: 10s, backendRequest: 500ms }", "0.5s"],
    ["timeouts: { backendRequest: 30s }", "30s"],
    ["timeouts: { request: 0s, backendRequest: 3s }", "3s"],
    ["timeouts: { request: 4s, backendRequest: 0s }", "4s"],
  ])("%s is a limit of %s", (rule, expected) => {
    expect(action(rule).timeout).toBe(expected);
    expect(action(rule).retry_policy).toBeUndefined();
  });
  it("retry what is listed and connection errors, each try within its limit", () => {
    const made = action("timeouts: { request: 10s, backendRequest: 2s }\n  retry: { codes: [503], attempts: 3, backoff: 100ms }");
    expect(made.timeout).toBe("10s");
    expect(made.retry_policy).toEqual({
      retry_on: "connect-failure,refused-stream,reset,retriable-status-codes",
      num_retries: 3,
      retriable_status_codes: [503],
      per_try_timeout: "2s",
      retry_back_off: { base_interval: "0.1s", max_interval: "1s" },
    });
  });
});

describe("attachment to listeners", () => {
  const at = (spec: string, meta = "") => compose(doc(gateway(`listeners:\n  - { name: one, port: 8080, protocol: HTTP, hostname: "*.example.com"${meta} }\n  - { name: two, port: 8081, protocol: HTTP${meta} }`), backend("a"), route(`- backendRefs: [${ref("a")}]`).replace("parentRefs: [{ name: gw }]", spec)));
  const hosts = (result: ReturnType<typeof at>) => [0, 1].map((i) => hcm(result, i).route_config.virtual_hosts.flatMap((each: { routes: unknown[]; domains: string[] }) => (each.routes.length ? each.domains : [])));

  it("takes every listener of the Gateway, with the intersection of host names", () => {
    expect(hosts(at("parentRefs: [{ name: gw }]\n  hostnames: [a.example.com, b.org]"))).toEqual([["a.example.com"], ["a.example.com", "b.org"]]);
    expect(hosts(at("parentRefs: [{ name: gw }]"))).toEqual([["*.example.com"], ["*"]]);
  });
  it("takes one by sectionName or port", () => {
    expect(hosts(at("parentRefs: [{ name: gw, sectionName: two }]"))).toEqual([[], ["*"]]);
    expect(hosts(at("parentRefs: [{ name: gw, port: 8080 }]"))).toEqual([["*.example.com"], []]);
  });
  it.each([
    ["a missing Gateway", "parentRefs: [{ name: other }]", "route-parent-missing"],
    ["another namespace's", "parentRefs: [{ name: gw, namespace: x }]", "route-parent-missing"],
    ["a missing section", "parentRefs: [{ name: gw, sectionName: x }]", "route-parent-missing"],
    ["a section on another port", "parentRefs: [{ name: gw, sectionName: two, port: 8080 }]", "route-parent-missing"],
    ["a Service as parent", "parentRefs: [{ name: gw, kind: Service, group: '' }]", "reference-unsupported"],
    ["no common host", "parentRefs: [{ name: gw, sectionName: one }]\n  hostnames: [b.org]", "route-hostname-mismatch"],
  ])("refuses %s", (_, spec, code) => expect(codes(at(spec).findings)).toEqual([code]));
  it.each([
    ["from: None", false],
    ["from: Same", true],
    ["from: All", true],
    ["from: Selector, selector: { matchLabels: { kubernetes.io/metadata.name: prod } }", true],
    ["from: Selector, selector: { matchLabels: { kubernetes.io/metadata.name: dev } }", false],
    ["from: Selector, selector: { matchExpressions: [{ key: kubernetes.io/metadata.name, operator: NotIn, values: [prod] }] }", false],
  ])("{ %s } lets the route in: %s", (namespaces, allowed) => {
    expect(codes(at("parentRefs: [{ name: gw }]", `, allowedRoutes: { namespaces: { ${namespaces} } }`).findings)).toEqual(allowed ? [] : ["route-not-allowed"]);
  });
  it("refuses a selector on labels that namespaces don't have here", () => {
    expect(codes(at("parentRefs: [{ name: gw }]", ", allowedRoutes: { namespaces: { from: Selector, selector: { matchLabels: { team: x } } } }").findings)).toContain("unsupported-field");
  });

  it("gives a host the rules of its own route first, then those of wider ones", () => {
    const result = compose(doc(GATEWAY, backend("a"), route(`- name: wide\n  matches: [{ path: { type: Exact, value: /exact } }]\n  backendRefs: [${ref("a")}]`, "w", 'hostnames: ["*.example.com"]'), route(`- name: own\n  matches: [{ path: { value: /o } }]\n  backendRefs: [${ref("a")}]`, "o", "hostnames: [a.example.com]")));
    expect(routesOf(result, "a.example.com").map((each) => each.name)).toEqual(["prod/o/own", "prod/w/wide"]);
    expect(routesOf(result, "*.example.com").map((each) => each.name)).toEqual(["prod/w/wide"]);
    expect(hcm(result).route_config.ignore_port_in_host_matching).toBe(true);
  });
  it("keeps a request with the most specific listener of the port", () => {
    const result = compose(doc(gateway(`listeners:\n  - { name: any, port: 8080, protocol: HTTP }\n  - { name: own, port: 8080, protocol: HTTP, hostname: a.example.com }`), backend("a"), route(`- backendRefs: [${ref("a")}]`).replace("name: gw", "name: gw, sectionName: any")));
    expect(routesOf(result, "*")).toHaveLength(1);
    expect(routesOf(result, "a.example.com")).toEqual([]);
  });
  it("warns of a route that no request reaches, and of one without parents", () => {
    const shadowed = compose(doc(gateway(`listeners:\n  - { name: any, port: 8080, protocol: HTTP }\n  - { name: own, port: 8080, protocol: HTTP, hostname: a.example.com }`), backend("a"), route(`- backendRefs: [${ref("a")}]`, "r", "hostnames: [a.example.com]").replace("name: gw", "name: gw, sectionName: any")));
    expect(codes(shadowed.findings, "warning")).toContain("route-shadowed");
    const alone = compose(doc(SIMPLE, route(`- backendRefs: [${ref("a")}]`, "x").replace("parentRefs: [{ name: gw }]", "hostnames: [x]")));
    expect(codes(alone.findings, "warning")).toContain("route-unattached");
  });
});

describe("clusters", () => {
  it("hold only what routes lead to, with endpoints of any family", () => {
    const many = backend("m").replace("[{ ip: { address: 127.0.0.1, port: 9000 } }]", "[{ ip: { address: '::1', port: 1 } }, { fqdn: { hostname: b.example, port: 2 } }]");
    const result = compose(doc(GATEWAY, backend("unused"), many, route(`- backendRefs: [${ref("m")}]`)));
    expect(clusters(result).map((each) => [each.name, each.type])).toEqual([["prod/m", "STRICT_DNS"]]);
    expect(clusters(result)[0].load_assignment.endpoints[0].lb_endpoints.map((each: any) => each.endpoint.address.socket_address)).toEqual([ // eslint-disable-line @typescript-eslint/no-explicit-any
      { address: "::1", port_value: 1 },
      { address: "b.example", port_value: 2 },
    ]);
  });
  it.each([
    ["", "http_protocol_options"],
    ["appProtocols: [gateway.envoyproxy.io/h2c]", "http2_protocol_options"],
    ["appProtocols: [kubernetes.io/ws]", "http_protocol_options"],
  ])("%s speaks %s", (extra, expected) => {
    const result = compose(doc(GATEWAY, backend("a", "app: a", extra), route(`- backendRefs: [${ref("a")}]`)));
    const options = clusters(result)[0].typed_extension_protocol_options["envoy.extensions.upstreams.http.v3.HttpProtocolOptions"];
    expect(Object.keys(options.explicit_http_config)).toEqual([expected]);
    expect(routesOf(result)[0].route.upgrade_configs).toEqual(extra.includes("/ws") ? [{ upgrade_type: "websocket" }] : undefined);
  });
  it.each([
    ["an address that is none", "{ ip: { address: localhost, port: 1 } }", "wrong-value"],
    ["an address as a name", "{ fqdn: { hostname: 127.0.0.1, port: 1 } }", "wrong-value"],
    ["both", "{ ip: { address: 127.0.0.1, port: 1 }, fqdn: { hostname: a, port: 1 } }", "wrong-value"],
    ["neither", "{}", "wrong-value"],
    ["a socket path", "{ unix: { path: /x } }", "unsupported-field"],
    ["port 0", "{ ip: { address: 127.0.0.1, port: 0 } }", "wrong-value"],
  ])("refuse %s", (_, endpoint, code) => {
    expect(codes(compose(SIMPLE.replace("{ ip: { address: 127.0.0.1, port: 9000 } }", endpoint)).findings)).toContain(code);
  });
});

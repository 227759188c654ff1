/** What of a folder a bundle carries, and what a filter of connections makes of the same bundle as one of requests. */
import { beforeAll, describe, expect, test } from "vitest";
import { pack } from "../../../harness/bundle/pack.ts";
import { loadPolicies } from "../../../harness/compose/index.ts";
import { SelvedgeError } from "../../../harness/errors.ts";
import { tcpRoute } from "../../support/resources.ts";
import { authorization, backend, doc, folder, gateway, ref, route } from "../compose/support.ts";
import { authz, DAY, Node, NOW, signed, trust } from "./support.ts";

// Compiles the module, which takes its time on a busy machine.
beforeAll(authz, 300_000);

const TWO = gateway("listeners:\n  - { name: http, port: 8080, protocol: HTTP }\n  - { name: db, port: 5432, protocol: TCP }\n  - { name: open, port: 5433, protocol: TCP }");
const redirect = route("- filters: [{ type: RequestRedirect, requestRedirect: { hostname: elsewhere.test } }]\n  matches: [{ path: { type: PathPrefix, value: /old } }]", "old", "parentRefs: [{ name: gw, sectionName: http }]").replace("  parentRefs: [{ name: gw }]\n", "");
const NODE = doc(
  TWO, backend("web", "app: web"), backend("db", "app: db"), backend("free", "app: free"), backend("idle", "app: idle"),
  route(`- backendRefs: [${ref("web")}]`, "web", "parentRefs: [{ name: gw, sectionName: http }]").replace("  parentRefs: [{ name: gw }]\n", ""), redirect, tcpRoute("db"), tcpRoute("open", ["free"]),
);
const selector = (app: string): string => `selector: { matchLabels: { app: ${app} } }`;
const target = (kind: string, name: string, group = "gateway.networking.k8s.io"): string => `targetRefs: [{ group: ${group}, kind: ${kind}, name: ${name} }]`;
const GET = "rules: [{ to: [{ operation: { methods: [GET] } }] }]";

function packed(...policies: string[]) {
  const { payload, policies: names } = pack(loadPolicies(folder({ "p.yaml": doc(NODE, ...policies) })), { node: "edge-1", version: 1, expires: NOW + DAY });
  return { payload, names };
}

describe("a bundle carries", () => {
  test("the policies that hold for something on the node, and no others", () => {
    const { names } = packed(
      authorization(`${selector("web")}\n${GET}`, "name: by-selector, namespace: prod"),
      authorization(`${selector("idle")}\n${GET}`, "name: of-a-backend-without-a-route, namespace: prod"),
      authorization(`${selector("db")}\nrules: [{}]`, "name: of-connections, namespace: prod"),
      authorization(`${target("HTTPRoute", "web")}\n${GET}`, "name: by-route, namespace: prod"),
      authorization(`${target("TCPRoute", "db")}\nrules: [{}]`, "name: by-tcp-route, namespace: prod"),
      authorization(`${target("Gateway", "gw")}\n${GET}`, "name: of-the-gateway, namespace: prod"),
      authorization(`${target("Backend", "idle", "gateway.envoyproxy.io")}\n${GET}`, "name: by-an-idle-backend, namespace: prod"),
      authorization(GET, "name: of-the-namespace, namespace: prod"),
      authorization(GET, "name: of-another-namespace, namespace: dev"),
      authorization(GET, "name: of-the-root, namespace: istio-system"),
      authorization(`${selector("web")}\n${GET}`, "name: of-the-root-by-selector, namespace: istio-system"),
      authorization(`${selector("elsewhere")}\n${GET}`, "name: of-the-root-for-others, namespace: istio-system"),
    );
    expect(names).toEqual(["istio-system/of-the-root", "istio-system/of-the-root-by-selector", "prod/by-route", "prod/by-selector", "prod/by-tcp-route", "prod/of-connections", "prod/of-the-gateway", "prod/of-the-namespace"]);
  });

  test("every route and listener that leads somewhere, and the routes that the node answers itself", () => {
    const { payload } = packed(authorization(GET, "name: p, namespace: prod"));
    const workloads = payload.authz["workloads"] as { name: string; routes?: string[]; listeners?: string[] }[];
    expect(workloads.map(({ name, routes, listeners }) => [name, routes ?? listeners])).toEqual([["prod/web", ["prod/web/0"]], ["prod/gw", ["prod/old/0"]], ["prod/db", ["db"]], ["prod/free", ["open"]]]);
    expect(Object.keys(payload.authz)).not.toContain("directAddress");
  });

  test("no CUSTOM policy that connections would be held against", () => {
    const provider = `
apiVersion: selvedge.dev/v1alpha1
kind: ExtensionProvider
metadata: { name: ext, namespace: prod }
spec: { envoyExtAuthzHttp: { backendRef: ${ref("idle")} } }
`;
    const custom = (where: string): string => authorization(`${where}action: CUSTOM\nprovider: { name: ext }\nrules: [{}]`, "name: ask, namespace: prod");
    expect(packed(provider, custom(`${selector("web")}\n`)).names).toEqual(["prod/ask"]);
    expect(() => packed(provider, custom(""))).toThrow(SelvedgeError);
  });
});

describe("one bundle decides on requests and on connections", () => {
  const bundle = (...policies: string[]) => signed(packed(...policies).payload);
  const policies = [
    authorization(`${selector("web")}\n${GET}`, "name: web, namespace: prod"),
    authorization(`${selector("db")}\nrules: [{ from: [{ source: { remoteIpBlocks: [10.0.0.0/8] } }] }]`, "name: db, namespace: prod"),
  ];

  test("by what each of them leads to", async () => {
    const http = new Node();
    expect(await http.offer({ signing: trust(), bundle: bundle(...policies) })).toBe("");
    const ask = async (method: string, routes: string) => (await http.running!.http({ method, authority: "x" }, { stream: { routes } })).status;
    expect([await ask("GET", "prod/web/0"), await ask("PUT", "prod/web/0"), await ask("PUT", "prod/old/0"), await ask("GET", "prod/unheard-of/0")]).toEqual([200, 403, 200, 403]);

    const connects = async (listener: string, address: string): Promise<boolean> => {
      const node = new Node();
      expect(await node.offer({ protocol: "tcp", listener, signing: trust(), bundle: bundle(...policies) })).toBe("");
      return node.running!.tcp({ source: { address, port: 1 } }).closedBy === undefined;
    };
    expect([await connects("db", "10.0.0.1"), await connects("db", "192.0.2.1"), await connects("open", "192.0.2.1")]).toEqual([true, false, true]);
  });

  test("a listener that it doesn't know is no reason to let connections pass", async () => {
    const node = new Node();
    expect(await node.offer({ protocol: "tcp", listener: "new", signing: trust(), bundle: bundle(...policies) })).toContain("a bundle refused: policies: $: found no workload of this listener");
    const fetching = new Node({ clusters: { bundles: () => ({ status: 200, body: JSON.stringify(signed({ ...packed(...policies).payload, version: 9, authz: { policies: [] } })) }) } });
    await fetching.offer({ protocol: "tcp", listener: "db", signing: trust(), bundle: bundle(...policies), source: { cluster: "bundles", path: "/" } });
    fetching.running!.tick(3_000);
    expect([fetching.gauge("bundle_version"), fetching.rejected("policies")]).toEqual([1, 1]);
  });

  test.each<[string, object, string]>([
    ["a listener of requests", { listener: "db", policies: [] }, "found a listener, expected it with protocol tcp only"],
    ["two workloads of one listener", { protocol: "tcp", listener: "db", policies: [], workloads: [{ namespace: "a", listeners: ["db"] }, { namespace: "b", listeners: ["db"] }] }, "$.workloads[1]: found a listener of another workload"],
    ["workloads of connections without a listener", { protocol: "tcp", policies: [], workloads: [{ namespace: "a", listeners: ["db"] }] }, "but for workloads with 'listener'"],
    ["CUSTOM for connections", { protocol: "tcp", listener: "db", workloads: [{ namespace: "a", listeners: ["db"] }], policies: [{ metadata: { name: "p", namespace: "a" }, spec: { action: "CUSTOM", provider: { name: "x" }, rules: [{}] } }] }, "$.policies[0]: found CUSTOM for connections"],
  ])("%s is refused", async (_, config, why) => expect(await new Node().offer(config)).toContain(why));
});

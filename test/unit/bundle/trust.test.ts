/** Whom a folder's node believes, and what it starts with: PolicyBundle, options, and what it has kept. */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { seal } from "../../../harness/bundle/envelope.ts";
import { readState, stateFile, writeState } from "../../../harness/bundle/state.ts";
import { trustOf, type TrustOptions } from "../../../harness/bundle/trust.ts";
import { checkPolicies, composeEnvoy, loadPolicies } from "../../../harness/compose/index.ts";
import { SelvedgeError, UsageError } from "../../../harness/errors.ts";
import { backend, clusters, codes, doc, folder, gateway, GATEWAY, OPTIONS, places, ref, route, SIMPLE } from "../compose/support.ts";
import { allowing, DAY, NOW, signer, stranger, successor, type Pair } from "./support.ts";

const pem = ({ publicKey }: Pair): string => publicKey.export({ type: "spki", format: "pem" }).toString();
const resource = (spec: string, keys: Pair[] = [signer], name = "signed"): string => `
apiVersion: selvedge.dev/v1alpha1
kind: PolicyBundle
metadata: { name: ${name}, namespace: prod }
spec:
  keys: ${JSON.stringify(keys.map(pem))}
${spec.replace(/^/gm, "  ")}
`;
const SOURCE = `source: { backendRef: ${ref("bundles")}, path: "/{audience}.json", interval: 30s }`;
const bundles = backend("bundles").replace("127.0.0.1", "10.0.0.9");
const envelope = (version: number, rest: { expires?: number; audience?: string[]; authz?: Record<string, unknown> } = {}, by: Pair = signer): string =>
  JSON.stringify(seal({ version, expires: NOW + DAY, audience: ["edge-1"], authz: allowing(`/v${version}`), ...rest }, [{ key: by.privateKey }]));

function outcome(dir: string, options: TrustOptions): string | { version: number | undefined; mounted: boolean; findings: string[] } {
  try {
    const policies = loadPolicies(dir);
    const trusted = trustOf(policies, { now: NOW, ...options });
    const composition = composeEnvoy(policies, { ...OPTIONS, modules: "separate", ...(trusted && { signing: trusted.signing }) });
    if (!composition.config) return places(composition.findings).join();
    const { signing, bundle } = JSON.parse(composition.plugins.find(({ kind }) => kind === "authz")!.json) as { signing: { minimumVersion?: number }; bundle?: unknown };
    return { version: signing.minimumVersion, mounted: bundle !== undefined, findings: trusted!.findings.map(({ code }) => code) };
  } catch (error) {
    if (error instanceof UsageError) return "usage";
    if (error instanceof SelvedgeError) return error.code;
    throw error;
  }
}

describe("a PolicyBundle", () => {
  test("becomes a cluster and a filter that fetches", () => {
    const dir = folder({ "p.yaml": doc(SIMPLE, bundles, resource(`audience: edge-1\nminimumVersion: 4\nonExpiry: deny\n${SOURCE}`, [signer, successor])) });
    const policies = loadPolicies(dir);
    const composition = composeEnvoy(policies, { ...OPTIONS, modules: "separate", capabilities: { ...OPTIONS.capabilities, authz: ["proxy_log", "proxy_http_call"] }, signing: trustOf(policies, {})!.signing });
    const config = JSON.parse(composition.plugins.find(({ kind }) => kind === "authz")!.json) as Record<string, unknown>;
    expect(config).toMatchObject({
      signing: { audience: "edge-1", minimumVersion: 4, onExpiry: "deny", keys: [expect.stringMatching(/^MFkw/), expect.stringMatching(/^MFkw/)] },
      source: { cluster: "bundles/prod/bundles", path: "/edge-1.json", authority: "10.0.0.9:9000", intervalSeconds: 30, timeoutSeconds: 5 },
    });
    expect(config).not.toHaveProperty("policies");
    expect(clusters(composition).map(({ name }: { name: string }) => name)).toContain("bundles/prod/bundles");
    expect(JSON.stringify(composition.config)).toContain('"proxy_http_call":{}');
    expect(codes(composition.findings, "warning")).toContain("bundle-source-plain");
  });

  test("whose newer bundles nobody keeps is worth a warning where the node is run", () => {
    const dir = folder({ "p.yaml": doc(SIMPLE, bundles, resource(`audience: edge-1\n${SOURCE}`)) });
    expect(outcome(dir, { runs: true })).toMatchObject({ findings: ["bundle-not-kept"] });
    expect(outcome(dir, { runs: true, state: join(dir, "state") })).toMatchObject({ findings: [] });
    expect(outcome(dir, {})).toMatchObject({ findings: [] });
  });

  test("several Gateways fetch each their own", () => {
    const dir = folder({ "p.yaml": doc(SIMPLE, gateway("listeners:\n  - { name: http, port: 8081, protocol: HTTP }", "second"), route(`- backendRefs: [${ref("a")}]`, "r2").replace("name: gw", "name: second"), bundles, resource(SOURCE)) });
    const policies = loadPolicies(dir);
    const { plugins } = composeEnvoy(policies, { ...OPTIONS, modules: "separate", signing: trustOf(policies, { node: "edge-1" })!.signing });
    const paths = plugins.filter(({ kind }) => kind === "authz").map(({ json }) => (JSON.parse(json) as { source: { path: string } }).source.path);
    expect(paths.sort()).toEqual(["/edge-1/prod/gw.json", "/edge-1/prod/second.json"]);
  });

  test("is never left out because nobody asked", () => {
    const policies = loadPolicies(folder({ "p.yaml": doc(SIMPLE, bundles, resource(SOURCE)) }));
    expect(codes(composeEnvoy(policies, OPTIONS).findings)).toEqual(["bundle-node-missing"]);
    expect(composeEnvoy(policies, { ...OPTIONS, signing: false }).config).toBeDefined();
  });

  test.each<[string, string, string]>([
    ["two of them", doc(SIMPLE, bundles, resource(SOURCE), resource(SOURCE, [signer], "other")), "duplicate-resource"],
    ["an interval of part of a second", doc(SIMPLE, bundles, resource(SOURCE.replace("30s", "500ms"))), "wrong-value"],
    ["an interval of none", doc(SIMPLE, bundles, resource(SOURCE.replace("30s", "0s"))), "wrong-value"],
    ["something else to fill in", doc(SIMPLE, bundles, resource(SOURCE.replace("{audience}", "{node}"))), "wrong-value"],
    ["a Backend that isn't there", doc(SIMPLE, resource(SOURCE)), "route-backend-missing"],
    ["a Backend of HTTP/2", doc(SIMPLE, backend("bundles", "app: b", "appProtocols: [gateway.envoyproxy.io/h2c]"), resource(SOURCE)), "unsupported-field"],
    ["one path for several Gateways", doc(SIMPLE, gateway("listeners:\n  - { name: http, port: 8081, protocol: HTTP }", "second"), bundles, resource(SOURCE.replace("{audience}", "all"))), "wrong-value"],
    ["no key", doc(SIMPLE, bundles, resource(SOURCE, [])), "wrong-value"],
    ["three keys", doc(SIMPLE, bundles, resource(SOURCE, [signer, successor, stranger])), "wrong-value"],
    ["an unknown field", doc(SIMPLE, bundles, resource(`trust: all\n${SOURCE}`)), "unknown-field"],
  ])("with %s is refused", (_, text, code) => expect(codes(checkPolicies(folder({ "p.yaml": text })))).toContain(code));

  test.each<[string, string, TrustOptions, string]>([
    ["a private key", resource(SOURCE).replace(/keys: .*/, `keys: [${JSON.stringify(pem(signer) + signer.privateKey.export({ type: "pkcs8", format: "pem" }).toString())}]`), { node: "n" }, "bundle-key-private"],
    ["two keys in one text", resource(SOURCE).replace(/keys: .*/, `keys: [${JSON.stringify(pem(signer) + pem(successor))}]`), { node: "n" }, "bundle-key-unreadable"],
    ["a text that is no key", resource(SOURCE).replace(/keys: .*/, 'keys: ["-----BEGIN PUBLIC KEY-----\\nMFkw\\n-----END PUBLIC KEY-----"]'), { node: "n" }, "bundle-key-unreadable"],
    ["another node than the flag", resource(`audience: edge-1\n${SOURCE}`), { node: "edge-2" }, "bundle-node-twice"],
    ["keys twice", resource(SOURCE), { node: "n", keys: ["k.pem"] }, "bundle-trust-twice"],
    ["no bundle and no source", resource("audience: edge-1"), {}, "bundle-missing@3:19"],
    ["a node's name with a slash", resource(SOURCE), { node: "edge-1/prod/gw" }, "usage"],
  ])("with %s is refused", (_, text, options, code) => expect(outcome(folder({ "p.yaml": doc(GATEWAY, backend("a"), route(`- backendRefs: [${ref("a")}]`), bundles, text) }), options)).toBe(code));
});

describe("what a node has kept", () => {
  const setUp = (kept: string | undefined, given: string | undefined, { source = false, keys = [signer] }: { source?: boolean; keys?: Pair[] } = {}) => {
    const dir = folder({ "p.yaml": doc(SIMPLE, bundles, resource(source ? SOURCE : "onExpiry: keep", keys)) });
    const state = join(dir, "state");
    const file = join(dir, "given.json");
    if (kept !== undefined) writeState(state, "edge-1", kept, Number.MAX_SAFE_INTEGER, []);
    if (given !== undefined) writeFileSync(file, given);
    return outcome(dir, { node: "edge-1", state, ...(given !== undefined && { bundles: [file] }) });
  };

  test.each<[string, string | undefined, string | undefined, ReturnType<typeof outcome>]>([
    ["nothing yet: what is given", undefined, envelope(1), { version: 1, mounted: true, findings: [] }],
    ["the same", envelope(2), undefined, { version: 2, mounted: true, findings: [] }],
    ["something newer than what is given", envelope(3), envelope(2), { version: 3, mounted: true, findings: ["bundle-older"] }],
    ["another of the same version", envelope(3), envelope(3, { authz: allowing("/") }), { version: 3, mounted: true, findings: ["bundle-older"] }],
    ["something older", envelope(2), envelope(3), { version: 3, mounted: true, findings: [] }],
    ["something that isn't signed", envelope(2, {}, stranger), undefined, "bundle-state-signature"],
    ["something that isn't signed and says it is newer than what is given", envelope(4, {}, stranger), envelope(3), "bundle-state-signature"],
    ["something signed by a key that was replaced, no newer than what is given", envelope(3, {}, stranger), envelope(3), { version: 3, mounted: true, findings: [] }],
    ["something for another node", envelope(2, { audience: ["edge-2"] }), undefined, "bundle-state-audience"],
    ["something cut off", envelope(2).slice(0, -40), envelope(3), "bundle-state-malformed"],
    ["an empty file", "", envelope(3), "bundle-state-malformed"],
    ["something expired", envelope(2, { expires: NOW }), undefined, "bundle-expired"],
    ["something expired, and what is given is older", envelope(2, { expires: NOW }), envelope(1), "bundle-expired"],
    ["something expired, and what is given is newer", envelope(2, { expires: NOW }), envelope(3), { version: 3, mounted: true, findings: [] }],
  ])("%s", (_, kept, given, expected) => expect(setUp(kept, given)).toEqual(expected));

  test("something expired, where newer ones can be fetched, only says what is too old", () => {
    expect(setUp(envelope(2, { expires: NOW }), undefined, { source: true })).toEqual({ version: 2, mounted: false, findings: ["bundle-expired"] });
  });

  test("is replaced by newer bundles only, whole, and is nobody else's to read", () => {
    const state = join(folder({}), "deep", "state");
    const keys = [signer.publicKey];
    const [two, three] = [envelope(2), envelope(3)];
    expect(writeState(state, "edge-1/prod/gw", two, 2, keys)).toBe(true);
    expect(writeState(state, "edge-1/prod/gw", envelope(2, { authz: {} }), 2, keys)).toBe(false);
    expect(writeState(state, "edge-1/prod/gw", envelope(1), 1, keys)).toBe(false);
    expect(readFileSync(stateFile(state, "edge-1/prod/gw"), "utf8")).toBe(two);
    expect(writeState(state, "edge-1/prod/gw", three, 3, keys)).toBe(true);
    expect(readState(state, "edge-1/prod/gw", keys, NOW)).toMatchObject({ text: three, payload: { version: 3 } });
    expect(existsSync(`${stateFile(state, "edge-1/prod/gw")}.${process.pid}.tmp`)).toBe(false);
  });

  test("an audience can't lead out of the folder", () => expect(stateFile("/state", "../../etc/x")).toBe(join("/state", "..%2F..%2Fetc%2Fx.json")));
});

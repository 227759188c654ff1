/** What the authz filter does with signed bundles, on the host with Envoy's VMs. */
import { beforeAll, describe, expect, test } from "vitest";
import type { FakeClock } from "../../../harness/host/index.ts";
import { allowing, authz, Node, NOW, payload, signed, signer, stranger, successor, trust } from "./support.ts";

// Compiles the module, which takes its time on a busy machine.
beforeAll(authz, 300_000);

const SOON = { expires: NOW + 60 };
const mounted = (version: number, rest: Parameters<typeof payload>[1] = {}, signing = trust()) => ({ signing, bundle: signed(payload(version, rest)) });

describe("at start", () => {
  test("a good bundle decides, also on the second worker", async () => {
    const node = new Node({ workers: 2 });
    expect(await node.offer(mounted(1))).toBe("");
    expect(await node.allowed("/v1", "/v2")).toEqual(["/v1"]);
    expect(await node.details()).toBe("selvedge_authz_denied[none]");
    expect([node.gauge("bundle_version"), node.gauge("bundle_expired"), node.gauge("bundle_rejected"), node.gauge("configuration_rejected")]).toEqual([1, 0, 0, 0]);
  });

  test.each<[string, () => unknown, string]>([
    ["policies without a signature", () => ({ signing: trust(), ...allowing("/") }), "found what decides, unsigned, expected it in the signed bundle"],
    ["policies beside a bundle", () => ({ ...mounted(1), policies: [] }), "found what decides, unsigned"],
    ["labels beside a bundle", () => ({ ...mounted(1), labels: { app: "other" } }), "found what decides, unsigned"],
    ["neither bundle nor source", () => ({ signing: trust() }), "found no bundle, expected 'bundle' or 'source'"],
    ["a bundle without anyone to trust", () => ({ bundle: signed(payload(1)) }), "found nobody to trust, expected 'signing'"],
    ["no signature", () => ({ signing: trust(), bundle: { ...signed(payload(1)), signatures: [] } }), "$: found a bundle refused: signature"],
    ["a stranger's signature", () => ({ signing: trust(), bundle: signed(payload(1), stranger) }), "$: found a bundle refused: signature"],
    ["another payload under the signature", () => ({ signing: trust(), bundle: { ...signed(payload(1)), payload: signed(payload(2)).payload } }), "$: found a bundle refused: signature"],
    ["a bundle for another node", () => mounted(1, { audience: ["edge-2"] }), "$: found a bundle refused: audience"],
    ["a bundle for nobody", () => mounted(1, { audience: [] }), "$: found a bundle refused: audience"],
    ["policies that can't be compiled", () => mounted(1, { authz: { policies: [{ metadata: { name: "p" }, spec: { action: "LOG" } }] } }), "$: found a bundle refused: malformed: $.authz.policies[0].spec.action: found 'LOG'"],
    ["policies that need what the node doesn't have", () => mounted(1, { authz: { policies: [{ metadata: { name: "p" }, spec: { rules: [{ from: [{ source: { ipBlocks: ["10.0.0.0/8"] } }] }] } }] } }), "$: found a bundle refused: policies: "],
    ["no policies", () => mounted(1, { authz: {} }), "$: found a bundle refused: policies: "],
    ["a setting of the node in the bundle", () => mounted(1, { authz: { ...allowing("/"), identity: { filterState: "x" } } }), "found a setting of the node"],
    ["an unknown field in the bundle", () => ({ signing: trust(), bundle: signed({ ...payload(1), extra: 1 } as never) }), "$: found a bundle refused: malformed: $.extra: found an unknown field"],
    ["another type of payload", () => ({ signing: trust(), bundle: { ...signed(payload(1)), payloadType: "application/json" } }), "expected application/vnd.selvedge.policy+json"],
    ["three keys", () => ({ ...mounted(1), signing: trust({}, signer, successor, stranger) }), "expected one or two P-256 public keys"],
    ["no key", () => ({ ...mounted(1), signing: { audience: "edge-1", keys: [] } }), "found nobody to trust"],
  ])("%s is refused", async (_, config, why) => {
    const node = new Node();
    expect(await node.offer(config())).toContain(why);
    expect(node.gauge("configuration_rejected")).toBe(1);
  });

  const late = [["expired", mounted(1, { expires: NOW })], ["version", mounted(1, {}, trust({ minimumVersion: 2 }))]] as const;

  test.each(late)("a bundle refused for %s, with nowhere to fetch another, is refused by the VM that is asked first", async (reason, config) => {
    const node = new Node();
    expect(await node.offer(config)).toContain(`found a bundle refused: ${reason}, expected a newer one, or 'source' to fetch one`);
    expect([node.gauge("configuration_rejected"), node.rejected(reason)]).toEqual([1, 1]);
  });

  test.each(late)("with a bundle refused for %s and a source of others everything is denied until one comes", async (reason, config) => {
    const node = new Node({ clusters: { bundles: () => ({ status: 200, body: JSON.stringify(signed(payload(3))) }) } });
    expect(await node.offer({ ...config, source: { cluster: "bundles", path: "/" } })).toBe("");
    expect(await node.allowed("/v1")).toEqual([]);
    expect(await node.details("/v1")).toBe("selvedge_no_valid_bundle");
    expect(node.lines).toContain(`bundle refused: ${reason}`);
    expect(node.lines).toContain("no valid bundle: everything is denied");
    expect(node.gauge("bundle_rejected")).toBe(1);
    node.running!.tick(3_000);
    expect(await node.allowed("/v1", "/v3")).toEqual(["/v3"]);
    expect(node.gauge("bundle_rejected")).toBe(0);
  });

  // A worker that refuses what the VM before it took would let requests pass.
  test("a configuration that one VM took is refused by no other, whatever happened in between", async () => {
    const node = new Node();
    const first = mounted(1, SOON);
    await node.offer(first);
    await node.offer(mounted(2, SOON));
    (node.host.clock as FakeClock).step(90_000);
    expect(await node.offer(first)).toBe("");
    expect(await node.allowed("/v1", "/v2")).toEqual(["/v2"]);
    // Nor does that speak for another minimum.
    expect(await node.offer(mounted(1, SOON, trust({ minimumVersion: 1 })))).toContain("a bundle refused: ");
  });
});

describe("on update", () => {
  test("what any VM would refuse leaves the running policies alone, and a gauge says so", async () => {
    const node = new Node();
    await node.offer(mounted(1));
    expect(await node.offer({ signing: trust(), bundle: signed(payload(2), stranger) })).toContain("a bundle refused: signature");
    expect(await node.allowed("/v1", "/v2")).toEqual(["/v1"]);
    expect(node.gauge("configuration_rejected")).toBe(1);
    expect(await node.offer(mounted(3))).toBe("");
    expect(await node.allowed("/v1", "/v3")).toEqual(["/v3"]);
    expect(node.gauge("configuration_rejected")).toBe(0);
  });

  test.each<[string, string, unknown]>([
    ["an older bundle", "version", mounted(1)],
    ["another bundle of the same version", "version", mounted(2, { authz: allowing("/v1") })],
    ["an expired bundle", "expired", mounted(3, { expires: NOW - 1 })],
  ])("%s leaves the running policies alone", async (_, reason, config) => {
    const node = new Node();
    await node.offer(mounted(2));
    expect(await node.offer(config)).toContain(`a bundle refused: ${reason}`);
    expect(await node.allowed("/v1", "/v2", "/v3")).toEqual(["/v2"]);
    expect([node.gauge("configuration_rejected"), node.gauge("bundle_version"), node.rejected(reason)]).toEqual([1, 2, 1]);
  });

  test("a key is replaced: both are trusted for a while, and what only the old one signed no longer counts afterwards", async () => {
    const node = new Node();
    await node.offer(mounted(1));
    expect(await node.offer({ signing: trust({}, signer, successor), bundle: signed(payload(2), successor) })).toBe("");
    expect(await node.allowed("/v2")).toEqual(["/v2"]);
    // Stolen, the old key signs what nothing could ever replace.
    await node.offer({ signing: trust({}, signer, successor), bundle: signed(payload(999), signer) });
    expect(await node.allowed("/v999")).toEqual(["/v999"]);
    expect(await node.offer({ signing: trust({}, successor), bundle: signed(payload(3), successor) })).toBe("");
    expect(await node.allowed("/v3", "/v999")).toEqual(["/v3"]);
    expect(await node.offer({ signing: trust({}, successor), bundle: signed(payload(1000), signer) })).toContain("a bundle refused: signature");
  });

  test("who claims to have signed doesn't matter", async () => {
    const node = new Node();
    const bundle = signed(payload(1), stranger, signer);
    for (const each of bundle.signatures) each.keyid = "none";
    expect(await node.offer({ signing: trust(), bundle })).toBe("");
    expect(await node.offer({ signing: trust(), bundle: { ...bundle, signatures: bundle.signatures.slice(0, 1) } })).toContain("a bundle refused: signature");
  });
});

describe("when the running bundle expires", () => {
  test("it goes on deciding, and says so", async () => {
    const node = new Node();
    await node.offer(mounted(1, SOON));
    node.running!.tick(60_000);
    expect(await node.allowed("/v1", "/v2")).toEqual(["/v1"]);
    expect(node.gauge("bundle_expired")).toBe(1);
    expect(node.lines).toContain("the bundle has expired");
  });

  test("everything is denied where the node says so, until a new one comes", async () => {
    const node = new Node();
    await node.offer(mounted(1, SOON, trust({ onExpiry: "deny" })));
    node.running!.tick(60_000);
    expect(await node.allowed("/v1")).toEqual([]);
    expect(await node.details()).toBe("selvedge_no_valid_bundle");
    await node.offer(mounted(2, {}, trust({ onExpiry: "deny" })));
    expect(await node.allowed("/v2")).toEqual(["/v2"]);
    expect(node.gauge("bundle_expired")).toBe(0);
  });

  test("the decision log tells who is denied, and nothing of who came before or of the request", async () => {
    const node = new Node();
    const spiffe = (name: string): string => `spiffe://cluster.local/ns/prod/sa/${name}`;
    const authz = { namespace: "prod", policies: [{ metadata: { name: "web" }, spec: { rules: [{ from: [{ source: { principals: ["cluster.local/ns/prod/sa/web"] } }] }] } }] };
    await node.offer({ ...mounted(1, { ...SOON, authz }, trust({ onExpiry: "deny" })), logDenials: true });
    const send = async (name: string, headers: Record<string, string> = {}) => (await node.running!.http({ path: "/", headers, peer: { uriSans: [spiffe(name)] } })).status;
    expect(await send("web")).toBe(200);
    node.running!.tick(60_000);
    expect(await send("a-client-of-another-name", { authorization: `Bearer ${"secret".repeat(30)}` })).toBe(403);
    const line = node.lines.find((each) => each.startsWith("denied: policy=no_valid_bundle"));
    expect(line).toContain(` principal="${spiffe("a-client-of-another-name")}" `);
    expect(node.lines.join()).not.toContain("secret");
  });

  test("a VM that starts later still takes it", async () => {
    const node = new Node();
    await node.offer(mounted(1, SOON));
    node.running!.tick(90_000);
    await node.offer(mounted(1, SOON));
    expect(await node.allowed("/v1")).toEqual(["/v1"]);
  });
});

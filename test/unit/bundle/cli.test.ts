/** `selvedge bundle`, and a folder composed for signed bundles. */
import { generateKeyPairSync } from "node:crypto";
import { existsSync, readFileSync, statSync, writeFileSync, chmodSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { composeEnvoy, loadPolicies } from "../../../harness/compose/index.ts";
import { open, type Envelope } from "../../../harness/bundle/envelope.ts";
import { readPublicKey } from "../../../harness/bundle/keys.ts";
import { trustOf } from "../../../harness/bundle/trust.ts";
import { selvedge } from "../../support/cli.ts";
import { authorization, backend, doc, folder, gateway, GATEWAY, OPTIONS, ref, route } from "../compose/support.ts";
import { authz as authzModule } from "./support.ts";
import { loadFilter } from "../../../harness/host/index.ts";

let dir: string;
let key: string;
const policies = doc(
  GATEWAY,
  backend("reviews"),
  route(`- backendRefs: [${ref("reviews")}]`),
  authorization("action: ALLOW\nrules: [{ to: [{ operation: { methods: [GET] } }] }]", "name: readers, namespace: prod"),
  authorization("selector: { matchLabels: { app: elsewhere } }\naction: DENY\nrules: [{}]", "name: not-here, namespace: prod"),
);

beforeAll(async () => {
  dir = folder({ "policies/p.yaml": policies, "several/p.yaml": doc(policies, gateway("listeners:\n  - { name: http, port: 8081, protocol: HTTP }", "second")), "none/p.yaml": doc(GATEWAY, backend("reviews"), route(`- backendRefs: [${ref("reviews")}]`)) });
  key = join(dir, "keys", "signing.pem");
  writeFileSync(join(dir, "rsa.pem"), generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }), { mode: 0o600 });
  writeFileSync(join(dir, "p384.pem"), generateKeyPairSync("ec", { namedCurve: "secp384r1" }).publicKey.export({ type: "spki", format: "pem" }));
});

const at = (name: string): string => join(dir, name);
const publicKey = (): string => at("signing.pub.pem");
const sign = (...rest: string[]) => selvedge("bundle", at("policies"), "--node", "edge-1", "--key", key, "--version", "7", ...rest);

describe("selvedge bundle", () => {
  test("keygen writes a pair that only its owner reads, and overwrites nothing", async () => {
    key = at("signing.pem");
    expect((await selvedge("bundle", "keygen", "--key", key)).code).toBe(0);
    expect(statSync(key).mode & 0o777).toBe(0o600);
    expect(readPublicKey(publicKey()).asymmetricKeyDetails?.namedCurve).toBe("prime256v1");
    const before = readFileSync(key, "utf8");
    const again = await selvedge("bundle", "keygen", "--key", key);
    expect([again.code, again.stderr]).toEqual([1, expect.stringContaining("error[bundle-key-exists]")]);
    expect(readFileSync(key, "utf8")).toBe(before);
  });

  test("packs what applies to the node's workloads, and no more", async () => {
    const { code, stdout, stderr } = await sign("--json");
    expect([code, stderr]).toEqual([0, ""]);
    const { envelope, policies: names, audience } = JSON.parse(stdout) as { envelope: Envelope; policies: string[]; audience: string[] };
    expect([names, audience]).toEqual([["prod/readers"], ["edge-1"]]);
    const opened = open(JSON.stringify(envelope), { keys: [readPublicKey(publicKey())], audience: "edge-1", now: Date.now() / 1000 });
    expect(opened).toMatchObject({ payload: { version: 7, authz: { namespace: "prod", policies: [{ metadata: { name: "readers" } }] } } });
    expect(Object.keys(opened.payload!.authz)).not.toContain("directAddress");
  });

  test("verify says what a node would", async () => {
    const file = at("verify.json");
    expect((await sign("-o", file)).code).toBe(0);
    expect((await selvedge("bundle", "verify", file, "--key", publicKey(), "--node", "edge-1")).stdout).toContain("version 7 for edge-1, 1 policy, until ");
    expect((await selvedge("bundle", "verify", file, "--key", publicKey(), "--node", "edge-2")).stderr).toContain("error[bundle-audience]");
    writeFileSync(file, readFileSync(file, "utf8").replace('"sig":"', '"sig":"MAMA'));
    expect((await selvedge("bundle", "verify", file, "--key", publicKey(), "--node", "edge-1")).stderr).toContain("error[bundle-signature]");
    writeFileSync(file, "{}");
    expect((await selvedge("bundle", "verify", file, "--key", publicKey(), "--node", "edge-1")).stderr).toContain("error[bundle-malformed]");
  });

  test("a version that nodes would refuse isn't written", async () => {
    const file = at("growing.json");
    await sign("-o", file);
    const before = readFileSync(file, "utf8");
    expect((await sign("-o", file)).stderr).toContain("error[bundle-version]");
    expect(readFileSync(file, "utf8")).toBe(before);
    expect((await selvedge("bundle", at("policies"), "--node", "edge-1", "--key", key, "--version", "8", "-o", file)).code).toBe(0);
    writeFileSync(file, "something of mine");
    expect((await sign("-o", file)).stderr).toContain("error[bundle-output]");
    expect(readFileSync(file, "utf8")).toBe("something of mine");
  });

  test.each<[string, () => string[], string]>([
    ["a key of another type", () => [at("policies"), "--key", at("rsa.pem"), "--node", "n", "--version", "1"], "bundle-key-type"],
    ["no key there", () => [at("policies"), "--key", at("nowhere.pem"), "--node", "n", "--version", "1"], "bundle-key-unreadable"],
    ["a public key to sign with", () => [at("policies"), "--key", publicKey(), "--node", "n", "--version", "1"], "bundle-key-unreadable"],
    ["a private key to verify with", () => ["verify", at("verify.json"), "--key", key, "--node", "n"], "bundle-key-private"],
    ["a public key on another curve", () => ["verify", at("verify.json"), "--key", at("p384.pem"), "--node", "n"], "bundle-key-type"],
    ["a time that is over", () => [at("policies"), "--key", key, "--node", "n", "--version", "1", "--expires", "2020-01-01"], "bundle-expired"],
    ["no policies", () => [at("none"), "--key", key, "--node", "n", "--version", "1"], "bundle-empty"],
    ["several Gateways", () => [at("several"), "--key", key, "--node", "n", "--version", "1"], "bundle-gateway"],
  ])("refuses %s", async (_, args, code) => {
    const result = await selvedge("bundle", ...args());
    expect([result.code, result.stderr]).toEqual([1, expect.stringContaining(`error[${code}]`)]);
  });

  test("one of several Gateways is named in the audience, so that bundles can't be swapped", async () => {
    const { stdout } = await selvedge("bundle", at("several"), "--node", "edge-1", "--key", key, "--version", "1", "--gateway", "prod/second", "--json");
    expect((JSON.parse(stdout) as { audience: string[] }).audience).toEqual(["edge-1/prod/second"]);
  });

  test("a private key that others can read is a warning", async () => {
    const file = at("exposed.pem");
    writeFileSync(file, readFileSync(key));
    chmodSync(file, 0o644);
    const { code, stderr } = await selvedge("bundle", at("policies"), "--node", "edge-1", "--key", file, "--version", "1");
    expect([code, stderr]).toEqual([0, expect.stringContaining("warning[bundle-key-exposed]")]);
  });

  test.each([["no node", ["--key", "k", "--version", "1"]], ["no version", ["--key", "k", "--node", "n"]], ["a version that is no number", ["--key", "k", "--node", "n", "--version", "one"]], ["a node that no PolicyBundle can name", ["--key", "k", "--node", "../n", "--version", "1"]], ["a time that is none", ["--key", "k", "--node", "n", "--version", "1", "--expires", "soon"]]])("%s is wrong usage", async (_, args) => {
    expect((await selvedge("bundle", "policies", ...args)).code).toBe(2);
  });
});

describe("compose for signed bundles", () => {
  test("leaves the policies to the bundle, and the filter takes the two together", async () => {
    const file = at("composed.json");
    await sign("-o", file);
    const policies = loadPolicies(at("policies"));
    const { signing } = trustOf(policies, { keys: [publicKey()], node: "edge-1", bundles: [file] })!;
    const { plugins, findings } = composeEnvoy(policies, { ...OPTIONS, modules: "separate", signing });
    expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
    const { json } = plugins.find(({ kind }) => kind === "authz")!;
    const config = JSON.parse(json) as Record<string, unknown>;
    expect(Object.keys(config).sort()).toEqual(["bundle", "directAddress", "identity", "signing", "strictPaths"]);
    expect(config["signing"]).toMatchObject({ audience: "edge-1", minimumVersion: 7 });
    // Envoy's clock is what the bundle is held against, and here it stands still before its end.
    const filter = (await loadFilter(await authzModule(), { rootId: "authz", config: json })).requireRunning();
    const ask = (method: string, route: string) => filter.http({ method, authority: "x" }, { stream: { routes: route } });
    expect((await ask("GET", "prod/r/0")).status).toBe(200);
    expect((await ask("PUT", "prod/r/0")).localReply?.details).toBe("selvedge_authz_denied[none]");
    // The node has a route that the bundle knows nothing of.
    expect((await ask("GET", "prod/new/0")).localReply?.details).toBe("selvedge_authz_denied[none]");
  });

  test("a bundle that the node would refuse is a finding before Envoy starts", async () => {
    const file = at("other.json");
    await selvedge("bundle", at("policies"), "--node", "edge-2", "--key", key, "--version", "1", "-o", file);
    const { code, stderr } = await selvedge("check", at("policies"), "--offline", "--trust", publicKey(), "--node", "edge-1", "--bundle", file);
    expect([code, stderr]).toEqual([1, expect.stringContaining("error[bundle-audience]")]);
    expect((await selvedge("check", at("policies"), "--offline", "--bundle", file)).code).toBe(2);
    expect(existsSync(file)).toBe(true);
  });
});

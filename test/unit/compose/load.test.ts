import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadPolicies, ofKind } from "../../../harness/compose/index.ts";
import { formatFinding } from "../../../harness/errors.ts";
import { backend, doc, folder, GATEWAY, places, SIMPLE } from "./support.ts";

const load = (text: string) => loadPolicies(folder({ "p.yaml": text }));

describe("reading a folder", () => {
  it("reads files recursively, several documents each, and skips dot names", () => {
    const dir = folder({ "a.yaml": doc(GATEWAY, backend("a")), "deep/er/b.yml": backend("b"), ".hidden/c.yaml": backend("c"), "notes.txt": "kind: x" });
    const policies = loadPolicies(dir);
    expect(policies.findings).toEqual([]);
    expect(policies.resources.map((each) => each.id)).toEqual(["prod/gw", "prod/a", "prod/b"]);
    expect(ofKind(policies, "Backend")).toHaveLength(2);
  });

  it("follows the links of a mounted ConfigMap", () => {
    const dir = folder({ "..2026/a.yaml": backend("a") });
    symlinkSync("..2026", join(dir, "..data"));
    symlinkSync("..data/a.yaml", join(dir, "a.yaml"));
    expect(loadPolicies(dir).resources.map((each) => each.name)).toEqual(["a"]);
  });

  it("ends on links that form a circle", () => {
    const dir = folder({ "a.yaml": backend("a") });
    mkdirSync(join(dir, "sub"));
    symlinkSync("..", join(dir, "sub", "up"));
    expect(loadPolicies(dir).findings.map((each) => each.code)).toContain("duplicate-resource");
  });

  it("takes the namespace default where none is given", () => {
    const policies = load("apiVersion: v1\nkind: ConfigMap\nmetadata: { name: x }");
    expect(policies.resources[0]!.id).toBe("default/x");
  });

  it("passes over an Envoy bootstrap that lies beside the policies, and empty documents", () => {
    const policies = loadPolicies(folder({ "envoy.yaml": "static_resources: {}\nadmin: {}\n", "a.yaml": `---\n---\n${backend("a").trim()}\n---\n# nothing\n` }));
    expect(policies.findings).toEqual([]);
    expect(policies.resources).toHaveLength(1);
  });

  it("reads manifests in JSON, and no other JSON", () => {
    const policies = loadPolicies(folder({ "a.json": JSON.stringify({ apiVersion: "v1", kind: "ConfigMap", metadata: { name: "x" } }), "log.json": '{"method":"GET"}\n{"method":"GET"}\n', "package.json": '{ "name": "x" }', "p.yaml": backend("a") }));
    expect(policies.findings).toEqual([]);
    expect(policies.resources.map((each) => each.name)).toEqual(["x", "a"]);
    expect(load('{ "apiVersion": "v1", "kind": "List", "items": [] }').findings).toMatchObject([{ code: "unknown-kind", fix: expect.stringContaining("documents of their own") as never }]);
    expect(loadPolicies(folder({ "log.json": "{}" })).findings).toMatchObject([{ code: "policies-missing" }]);
  });

  it("passes over a bootstrap in the other spelling of field names", () => {
    expect(loadPolicies(folder({ "envoy.yaml": "staticResources: {}\n", "a.yaml": backend("a") })).findings).toEqual([]);
  });

  it.each([
    ["a tag of nobody's", "x: !secret y", ["yaml-tag"]],
    ["bytes", "x: !!binary L2FkbWlu", ["wrong-type"]],
    ["half a character", 'x: "/\\ud800"', ["yaml-text"]],
    ["nothing in a whole one", 'x: "\\U0001F600"', []],
    ["nothing in the tag of a string", "x: !!str 1", []],
  ])("finds %s", (_, annotation, codes) => {
    expect(load(`apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: x\n  annotations:\n    ${annotation}\n`).findings.map(({ code }) => code)).toEqual(codes);
  });

  it("names what says the same here as a kind of Istio's", () => {
    expect(load("apiVersion: security.istio.io/v1\nkind: PeerAuthentication\nmetadata: { name: x }\n").findings).toMatchObject([{ code: "unknown-kind", fix: expect.stringContaining("spec.tls.frontend") as never }]);
  });

  it("refuses a file that isn't UTF-8: a character that got lost would match no request", () => {
    const dir = folder({ "p.yaml": "" });
    writeFileSync(join(dir, "p.yaml"), Buffer.from(SIMPLE.replace("name: gw", "name: g\xfc"), "latin1"));
    expect(loadPolicies(dir).findings).toMatchObject([{ code: "file-unreadable", message: expect.stringContaining("UTF-8") as never, where: { file: join(dir, "p.yaml") } }]);
  });

  it.each([["no such folder", "/nowhere/at-all"], ["no .yaml file", folder({ "a.txt": "" })]])("says %s", (message, dir) => {
    const [finding] = loadPolicies(dir).findings;
    expect(finding).toMatchObject({ code: "policies-missing", severity: "error", where: { file: dir } });
    expect(finding!.message).toContain(message);
  });

  it("hands documents of foreign kinds to their owner", () => {
    const text = doc(SIMPLE, "apiVersion: selvedge.dev/v1alpha1\nkind: Scenario\nmetadata: { name: s }\nspec: { x: 1 }");
    const dir = folder({ "p.yaml": text });
    const policies = loadPolicies(dir, {
      externalKinds: { "selvedge.dev/v1alpha1/Scenario": ({ source }) => [{ code: "mine", severity: "warning", message: "hm", where: source.at(["spec", "x"]) }] },
    });
    expect(policies.external.map((each) => each.kind)).toEqual(["Scenario"]);
    expect(places(policies.findings, "warning")).toEqual([`mine@${text.split("\n").length - 1}:12`]);
    expect(loadPolicies(dir).findings.map((each) => each.code)).toEqual(["unknown-kind"]);
  });
});

describe("refusing what is not a policy", () => {
  it.each([
    ["a syntax error", "kind: [x\nmetadata: 1\n", "yaml-syntax"],
    ["a tab", "kind: x\n\tapiVersion: y\n", "yaml-syntax"],
    ["an unknown alias", "kind: *x\n", "yaml-alias"],
    ["a key that stands twice", `${backend("a").trim()}\n  endpoints: []\n`, "duplicate-key@6:3"],
    ["a list", "- 1\n", "not-a-resource@1:1"],
    ["no kind", "apiVersion: v1\nmetadata: {}\n", "not-a-resource@1:1"],
    ["a kind that is no text", "apiVersion: v1\nkind: 3\n", "not-a-resource@2:7"],
    ["an unknown kind", "apiVersion: v1\nkind: Pod\n", "unknown-kind@2:7"],
    ["an unknown version", "apiVersion: v9\nkind: Secret\n", "unknown-version@1:13"],
    ["a kind of Object's prototype", "apiVersion: v1\nkind: constructor\n", "unknown-kind@2:7"],
    ["a resource twice", doc(backend("a"), backend("a")), "duplicate-resource@9:19"],
  ])("%s", (_, text, expected) => {
    const found = places(load(text).findings);
    expect(found.length).toBeGreaterThan(0);
    expect(found[0]).toMatch(new RegExp(`^${expected}`));
  });

  it("names the first of two resources", () => {
    const [finding] = load(doc(backend("a"), backend("a"))).findings;
    expect(finding!.message).toBe("Backend prod/a is defined twice");
    expect(finding!.found).toMatch(/p\.yaml:3$/);
  });
});

describe("schema findings", () => {
  const inSpec = (text: string) => load(`apiVersion: gateway.envoyproxy.io/v1alpha1\nkind: Backend\nmetadata: { name: a }\nspec:\n${text}`).findings;

  it("points at an unknown field's key and suggests the nearest one", () => {
    const [finding] = inSpec("  endpoint:\n    - {}\n  endpoints: [{ ip: { address: 1.1.1.1, port: 1 } }]\n");
    expect(finding).toMatchObject({ code: "unknown-field", where: { line: 5, col: 3 }, fix: "did you mean `endpoints`?" });
    expect(formatFinding(finding!)).toContain("p.yaml:5:3: error[unknown-field]: unknown field `endpoint` in `spec`");
  });

  it("points at the value that has the wrong type", () => {
    const [finding] = inSpec("  endpoints:\n    - ip: { address: 1.1.1.1, port: '80' }\n");
    expect(finding).toMatchObject({ code: "wrong-type", where: { line: 6, col: 37 }, found: '"80"', expected: "a port, 1 to 65535" });
  });

  it("says to quote what YAML reads as a number", () => {
    const [finding] = load(backend("a", "version: 1")).findings;
    expect(finding).toMatchObject({ code: "wrong-type", found: "the number 1", fix: 'put quotes around it: "1"' });
  });

  it("points at the owner of a missing field", () => {
    expect(places(inSpec("  endpoints:\n    - ip: { address: 1.1.1.1 }\n"))).toEqual(["missing-field@6:7"]);
  });

  it("says why a field that exists upstream is refused", () => {
    const [finding] = inSpec("  endpoints: [{ ip: { address: 1.1.1.1, port: 1 } }]\n  fallback: true\n");
    expect(finding).toMatchObject({ code: "unsupported-field", where: { line: 6, col: 3 } });
    expect(finding!.message).toContain("fallback backends are not supported");
  });

  it("lists what an enumeration allows, and reports it once", () => {
    const findings = load(GATEWAY.replace("protocol: HTTP", "protocol: HTPS")).findings;
    expect(findings).toHaveLength(1);
    expect(findings[0]).toMatchObject({ code: "wrong-value", found: '"HTPS"', fix: "did you mean HTTPS?" });
  });

  it("reads what kubectl prints: status and the cluster's own metadata", () => {
    const text = SIMPLE.replace("metadata: { name: gw,", 'metadata: { uid: x, generation: 3, resourceVersion: "9", creationTimestamp: "2026-01-01T00:00:00Z", name: gw,');
    expect(load(`${text}status: { conditions: [] }\n`).findings).toEqual([]);
  });
});

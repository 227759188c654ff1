import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { readFolder } from "../../../harness/scenario/prepare.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";
import { findingsOf, policyFolder, SCENARIO } from "./support.ts";

const scratch = temporaryDirectory("test");
afterAll(() => scratch.remove());
let folders = 0;
const read = (scenario?: string) => readFolder(policyFolder(join(scratch.path, String(folders++)), scenario));

describe("a Scenario", () => {
  it("is resolved against the policies beside it", () => {
    const { scenario } = read();
    expect(scenario).toMatchObject({
      name: "demo",
      trustDomain: "cluster.local",
      target: { address: "127.0.0.1", port: 18443, tls: true, mutualTls: true },
      workloads: [
        { id: "prod/api", spiffeId: "spiffe://cluster.local/ns/prod/sa/api" },
        { id: "dev/ci", spiffeId: "spiffe://cluster.local/ns/dev/sa/robot" },
      ],
      upstreams: [{ id: "prod/web-v1", endpoints: [{ address: "127.0.0.1", port: 19101 }] }],
    });
    expect(scenario!.traffic).toMatchObject([
      {
        from: { id: "prod/api" },
        method: "GET",
        count: 80,
        expect: "allow",
        canary: { route: "prod/web/split", sticky: true, users: 40, arms: [{ name: "web-v1", backend: "prod/web-v1", weight: 3 }, { name: "web-v2", backend: "prod/web-v2", weight: 1 }] },
      },
      { from: { id: "dev/ci" }, method: "POST", path: "/", count: 20, expect: "allow", by: "prod/all" },
    ]);
  });

  it("is optional", () => {
    expect(read("").scenario).toBeUndefined();
  });

  // What is wrong → where it stands, what it is called, and what the message must tell.
  it.each<[string, string, string, { line: number; code: string; says: string }]>([
    ["an unknown field", "  traffic:", "  trafic: []\n  traffic:", { line: 10, code: "unknown-field", says: "did you mean `traffic`?" }],
    ["an outcome that doesn't exist", "expect: allow", "expect: alow", { line: 16, code: "wrong-value", says: "did you mean allow?" }],
    ["a number as text", "users: 40", 'users: "40"', { line: 13, code: "wrong-type", says: "integer" }],
    ["a path without its slash", "path: /x", "path: x", { line: 12, code: "wrong-value", says: "a path that starts with /" }],
    ["a workload that isn't listed", "from: dev/ci", "from: dev/cj", { line: 14, code: "reference-missing", says: "did you mean dev/ci?" }],
    ["a policy that isn't there", "by: prod/all", "by: prod/al", { line: 17, code: "reference-missing", says: "one of prod/all" }],
    ["a rule that isn't there", "by: prod/all", 'by: "prod/all#1"', { line: 17, code: "reference-missing", says: "has no rule 1" }],
    ["a Backend that isn't there", "name: web-v1", "name: web-v3", { line: 9, code: "reference-missing", says: "there is no Backend prod/web-v3" }],
    ["an upstream twice", "  traffic:", "    - backend: { name: web-v1, namespace: prod }\n  traffic:", { line: 10, code: "upstream-twice", says: "Backend prod/web-v1 is started twice" }],
    ["an upstream elsewhere", "name: web-v1", "name: web-v2", { line: 9, code: "upstream-not-local", says: "Backend prod/web-v2 can't be started here" }],
    ["a route that doesn't split", "route: prod/web", "route: prod/other", { line: 13, code: "route-missing", says: "one of prod/web/split" }],
    ["users who are all the same", '"{user}"', '"x"', { line: 12, code: "wrong-value", says: "every user would send the same request" }],
    ["too few users to tell a canary from none", "users: 40", "users: 30", { line: 13, code: "canary-too-small", says: "33 or more" }],
    ["a decision where nobody decides", "expect: allow", "expect: refuse", { line: 17, code: "wrong-value", says: "no policy decides" }],
    ["a Gateway that isn't there", "spec:", "spec:\n  gateway: { name: other }", { line: 5, code: "reference-missing", says: "there is no Gateway default/other" }],
    ["a listener that isn't there", "spec:", "spec:\n  listener: http", { line: 5, code: "listener-missing", says: "one of https" }],
    ["a workload twice", "- { name: ci,", "- { name: api, namespace: prod }\n    - { name: ci,", { line: 7, code: "workload-twice", says: "prod/api" }],
    ["p99 below p50", "namespace: prod }\n  traffic", "namespace: prod }\n      latency: { p50: 5, p99: 4 }\n  traffic", { line: 10, code: "wrong-value", says: "5 or more" }],
  ])("with %s is refused", async (_, from, to, { line, code, says }) => {
    expect(SCENARIO).toContain(from);
    const [finding, ...others] = await findingsOf(() => read(SCENARIO.replace(from, to)));
    expect(finding).toMatchObject({ code, severity: "error", where: { line } });
    expect(finding!.where!.file).toMatch(/scenario\.yaml$/);
    if (code === "unknown-field") expect(finding!.where!.col, "the field's own place").toBe(3);
    expect(JSON.stringify(finding)).toContain(says);
    if (code !== "reference-missing") expect(others).toEqual([]);
  });

  it("that a second one contradicts is refused", async () => {
    expect(await findingsOf(() => read(`${SCENARIO}---\n${SCENARIO}`))).toMatchObject([{ code: "scenario-twice", where: { line: 20 } }]);
  });

  it("may only name directories for certificates inside its folder", async () => {
    const [finding] = await findingsOf(() => read(SCENARIO.replace("namespace: prod }", "namespace: prod, certificates: ../elsewhere }")));
    expect(finding).toMatchObject({ code: "certificate-outside" });
  });
});

/** What the verbs say of connections: explain, reach, replay, PolicyTests and --mutate, all on one folder. */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { EdgeNode } from "../../../harness/decide/node.ts";
import { explain as explained, type Explanation } from "../../../harness/explain/explain.ts";
import { agrees, askedAgain } from "../../../harness/explain/log.ts";
import { askedBy, type RequestFlags } from "../../../harness/explain/request.ts";
import { explanationText } from "../../../harness/explain/text.ts";
import { mutate } from "../../../harness/mutate/mutate.ts";
import { testPolicies } from "../../../harness/policytest/run.ts";
import { passed } from "../../../harness/cases/run.ts";
import { reach } from "../../../harness/reach/reach.ts";
import { replay } from "../../../harness/replay/replay.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";
import { APP, CONNECTION_TESTS, connections } from "../../support/connections.ts";
import { doc } from "../compose/support.ts";
import { moduleFolder } from "./support.ts";

const scratch = temporaryDirectory("connections");
let modules: { path: string; remove: () => void };
let node: EdgeNode;
const options = () => ({ moduleDir: modules.path, modules: "separate" as const });

function write(name: string, rules: string, tests = ""): string {
  const dir = join(scratch.path, name);
  mkdirSync(dir);
  writeFileSync(join(dir, "policies.yaml"), doc(connections(rules), ...(tests ? [tests] : [])));
  return dir;
}

beforeAll(async () => {
  modules = await moduleFolder();
  node = EdgeNode.load(write("now", APP, CONNECTION_TESTS), options());
}, 120_000);
afterAll(() => {
  node?.close();
  modules?.remove();
  scratch.remove();
});

function ask(flags: RequestFlags): Explanation {
  const { arrival, request, assumed } = askedBy(node, flags);
  return explained(node, arrival, request, { assumed });
}

describe("explain", () => {
  it("names the rule that lets a connection through, by destination or by port and server name", () => {
    for (const flags of [{ to: "prod/db" }, { port: "7001", sni: "db.test" }]) {
      const told = ask({ as: "prod/app", ...flags });
      expect(told).toMatchObject({ verdict: "allow", by: { name: "prod/db#0", conditions: [{ field: "principals" }] }, request: undefined, connection: { principal: "cluster.local/ns/prod/sa/app", destination: "127.0.0.1:7001", sni: "db.test" }, workload: "prod/db" });
      expect(told.by!.where!.line).toBeGreaterThan(1);
    }
  });

  it("tells what the nearest rules lack; a field of HTTP nobody fulfils", () => {
    const { verdict, nearest } = ask({ as: "ops/x", to: "prod/db" });
    expect(verdict).toBe("deny");
    expect(nearest).toMatchObject([{ rule: 1, fulfilled: 1, conditions: 2, failed: [{ field: "methods", found: "nothing: connections have none", expected: '"GET"' }] }]);
  });

  it("tells that a DENY rule goes on without it", () => {
    const told = ask({ as: "dev/x", to: "prod/mail" });
    expect(told).toMatchObject({ verdict: "deny", by: { name: "prod/mail#0", conditions: [{ field: "namespaces" }] } });
    expect(told.reason).toContain("a connection has no methods");
  });

  it("knows addresses, listeners that close, and what is no connection at all", () => {
    expect(ask({ port: "7002" }).verdict).toBe("allow");
    expect(ask({ port: "7002", remoteIp: "10.9.1.1" })).toMatchObject({ verdict: "deny", nearest: [{ failed: [{ field: "notRemoteIpBlocks", found: "10.9.1.1" }] }] });
    expect(ask({ port: "7004" })).toMatchObject({ verdict: "allow", by: undefined });
    expect(ask({ port: "7003" })).toMatchObject({ verdict: "refuse", reason: expect.stringContaining("no TCPRoute") as unknown });
    expect(ask({ port: "7001", as: "prod/app", sni: "other.test" }).verdict).toBe("refuse");
    expect(ask({ port: "7001", sni: "db.test" })).toMatchObject({ verdict: "refuse", reason: expect.stringContaining("client certificate") as unknown });
  });

  it("takes nothing of a request", () => {
    expect(() => ask({ port: "7002", path: "/x" })).toThrow("takes connections, which have no --path");
    expect(() => ask({ to: "prod/db", headers: ["a:b"] })).toThrow("--header");
  });

  it("is read by people", () => {
    const plain = (text: string): string => text;
    expect(explanationText(ask({ as: "prod/app", to: "prod/db" }), { red: plain, green: plain, yellow: plain, dim: plain, bold: plain })).toMatch(/^ALLOWED {2}cluster\.local\/ns\/prod\/sa\/app {2}connection from 127\.0\.0\.1 to 127\.0\.0\.1:7001 as db\.test\n/);
  });
});

const LINE = { protocol: "TCP", bytes_received: 2, bytes_sent: 7, closed: null, peer: "127.0.0.1", remote: "127.0.0.1", local: "127.0.0.1:7001", sni: "db.test", principal: "spiffe://cluster.local/ns/prod/sa/app", upstream: "127.0.0.1:1", upstream_bytes_sent: 2 };
const line = (changes: object): string => JSON.stringify({ ...LINE, ...changes });

describe("a line of the access log", () => {
  it.each<[string, object, string, boolean | undefined]>([
    ["that was let through", {}, "allow", true],
    ["that was denied", { principal: "spiffe://cluster.local/ns/dev/sa/x", closed: "wasm_downstream_close", bytes_sent: 0, upstream_bytes_sent: 0 }, "deny", true],
    ["that would be denied today", { principal: "spiffe://cluster.local/ns/dev/sa/x" }, "deny", false],
    ["that ended before it was decided", { bytes_sent: 0, upstream_bytes_sent: 0 }, "allow", undefined],
  ])("%s is explained", (_, changes, verdict, agreed) => {
    const { arrival, request, assumed, recorded } = askedAgain(node, line(changes), 1, "log");
    const told = explained(node, arrival, request, { assumed });
    expect(told.verdict).toBe(verdict);
    expect(agrees(recorded, told.verdict, told.by?.name)).toBe(agreed);
    expect(told.assumed).toEqual([]);
  });

  it("without what tells the listener is refused", () => {
    expect(() => askedAgain(node, line({ local: undefined }), 1, "log")).toThrow("no field `local`");
  });

  it("is decided again with other policies", async () => {
    const log = join(scratch.path, "access.log");
    const dev = { principal: "spiffe://cluster.local/ns/dev/sa/x", closed: "wasm_downstream_close", bytes_sent: 0, upstream_bytes_sent: 0 };
    writeFileSync(log, [line({}), line(dev), line({ ...dev, sni: "mail.test" }), line({ principal: undefined })].join("\n"));
    const wide = EdgeNode.load(write("next", "{ from: [{ source: { namespaces: [dev] } }] }"), options());
    const result = await replay(log, EdgeNode.load(join(scratch.path, "now"), options()), wide);
    expect(result).toMatchObject({ lines: 4, decided: 3, flips: 2, unlikeRecorded: { count: 0 }, undecided: [{ reason: expect.stringContaining("principal") as unknown }] });
    expect(result.groups.map(({ from, to, workload, method, path }) => [from.verdict, to.verdict, workload, method, path])).toEqual([["allow", "deny", "prod/db", "connection", "db.test"], ["deny", "allow", "prod/db", "connection", "db.test"]]);
  });
});

describe("reach", () => {
  it("lists connections beside requests, with conditions and one that got through", () => {
    const { reaches, findings } = reach(node, ["spiffe://cluster.local/ns/prod/sa/app"]);
    expect(findings).toEqual([]);
    expect(reaches.map(({ workload, access }) => [workload, access])).toEqual([["prod/db", "all"], ["prod/mail", "all"], ["prod/plain", "some"], ["nowhere", "refused"], ["prod/open", "all"]]);
    expect(reaches[2]!.own!.allowed).toMatchObject([{ rule: "prod/plain#0", conditions: [{ field: "ipBlocks" }, { field: "notRemoteIpBlocks" }], sample: { direct: "127.0.0.0" } }]);
  });

  it("knows that rules with fields of HTTP allow nothing, and deny more", () => {
    const of = (peer: string): Record<string, string> => Object.fromEntries(reach(node, [peer]).reaches.map(({ workload, access }) => [workload, access]));
    expect(of("spiffe://cluster.local/ns/ops/sa/x")).toMatchObject({ "prod/db": "none", "prod/mail": "all" });
    expect(of("spiffe://cluster.local/ns/dev/sa/x")).toMatchObject({ "prod/db": "none", "prod/mail": "none" });
    expect(reach(node, undefined).reaches.map(({ access }) => access)).toEqual(["refused", "refused", "some", "refused", "all"]);
  });
});

describe("PolicyTests", () => {
  it("hold connections, and notice changes of the policies", async () => {
    const { run, node: tested, cases } = await testPolicies(join(scratch.path, "now"), { engine: "host", compose: options() });
    try {
      expect(run.findings).toEqual([]);
      expect(passed(run)).toBe(true);
      expect(cases).toHaveLength(13);
      expect(cases.filter(({ hostOnly }) => hostOnly).map(({ name }) => name)).toEqual(["connections: anonymous to port 7002 from 10.1.2.3 deny"]);
      expect(mutate(tested, cases).survivors).toEqual([]);
      const { survivors } = mutate(tested, cases.filter(({ name }) => !name.includes("app2")));
      expect(survivors).toMatchObject([{ policy: "prod/db", change: expect.stringContaining('sa/app*"') as unknown, difference: { connection: { sni: "db.test" }, from: "deny", to: "allow" } }]);
    } finally {
      tested.close();
    }
  });
});

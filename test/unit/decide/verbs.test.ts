/** explain, reach, replay and test on the example, through the command line. */
import { cpSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { gzipSync } from "node:zlib";
import { afterAll, beforeAll, expect, it } from "vitest";
import { temporaryDirectory } from "../../../harness/tempdir.ts";
import { selvedge, type CliResult } from "../../support/cli.ts";
import { moduleFolder } from "./support.ts";

const EDGE = "envoy-configs/edge";
const scratch = temporaryDirectory("test");
let modules: Awaited<ReturnType<typeof moduleFolder>>;
beforeAll(async () => {
  modules = await moduleFolder();
});
afterAll(() => {
  scratch.remove();
  modules.remove();
});

/** A copy of the example with a text replaced. */
function changed(name: string, from: string, to: string): string {
  const dir = join(scratch.path, name);
  cpSync(EDGE, dir, { recursive: true });
  const file = join(dir, "authorization.yaml");
  const text = readFileSync(file, "utf8");
  expect(text).toContain(from);
  writeFileSync(file, text.replace(from, to));
  return dir;
}

const run = (verb: string, ...args: string[]): Promise<CliResult> => selvedge(verb, ...args, "--chain", "separate", "--modules", modules.path);
const json = async (verb: string, ...args: string[]) => JSON.parse((await run(verb, ...args, "--json")).stdout) as Record<string, never>;

it("explain names the rule that decides, with its place", async () => {
  const allowed = await run("explain", EDGE, "--as", "prod/frontend", "--path", "/reviews/42?token=x");
  expect(allowed.code).toBe(0);
  expect(allowed.stdout).toMatch(/^ALLOWED.*\/reviews\/42$/m);
  expect(allowed.stdout).toMatch(/by ALLOW prod\/reviews#0 +envoy-configs\/edge\/authorization\.yaml:\d+:\d+/);
  expect((await run("explain", EDGE, "--as", "dev/tester", "--to", "prod/payments")).stdout).toMatch(/by DENY prod\/no-dev#0 /);
  expect((await run("explain", EDGE, "--path", "/")).stdout).toMatch(/^REFUSED[^]*wants a client certificate/);
  expect(await json("explain", EDGE, "--as", "spiffe://a/b,spiffe://a/c", "--path", "/")).toMatchObject({ verdict: "deny", reason: expect.stringContaining("more than one URI SAN") as never });
});

it("explain says when it was another reading of the path that decided, or that there is no clear one", async () => {
  expect(await json("explain", EDGE, "--as", "prod/frontend", "--path", "/%2561")).toMatchObject({ verdict: "deny", reason: expect.stringContaining("no clear reading") as never, nearest: [] });
  const dir = changed("reading", '        - source:\n            namespaces: ["dev"]', '        - source:\n            namespaces: ["dev"]\n    - to:\n        - operation:\n            paths: ["/admin", "/admin/*"]');
  expect(await json("explain", dir, "--as", "prod/frontend", "--path", "/admin;x")).toMatchObject({ by: { name: "prod/no-dev#1" }, reason: expect.stringContaining("another reading") as never });
  expect(await json("explain", dir, "--as", "prod/frontend", "--path", "/admin/x")).toMatchObject({ by: { name: "prod/no-dev#1" }, reason: "a DENY rule matches" });
});

it("explain shows for a miss the nearest rule and the first condition that it lacks", async () => {
  const { nearest, verdict, stage } = await json("explain", EDGE, "--as", "dev/tester", "--method", "POST", "--host", "catalog.dev.example", "--path", "/items", "--header", "a:1", "--header", "X-Purpose: other") as unknown as { nearest: { policy: string; rule: number; failed: { field: string; found: string; expected: string; where: { line: number } }[] }[]; verdict: string; stage: string };
  expect({ verdict, stage }).toEqual({ verdict: "deny", stage: "workload" });
  expect(nearest[0]).toMatchObject({ policy: "dev/catalog", rule: 1, failed: [{ field: "request.headers[x-purpose]", found: '"other"', expected: '"test"' }] });
  expect(readFileSync(join(EDGE, "authorization.yaml"), "utf8").split("\n")[nearest[0]!.failed[0]!.where.line - 1]).toContain("test");
  expect(nearest[1]).toMatchObject({ rule: 0, failed: [{ field: "methods", found: '"POST"' }] });
});

it.each([[["--as", "a/b", "--log", "x"], "doesn't go with --as"], [[], "needs a request"], [["--path", "x"], "starts with /"], [["--ip", "a.b"], "IP address"], [["--jwt-claims", "ey.J"], "JSON object"], [["--header", "x"], "name:value"]])("explain %j is wrong usage", async (args, message) => {
  const { code, stderr } = await run("explain", EDGE, ...args);
  expect(code).toBe(2);
  expect(stderr).toContain(message);
});

const line = (fields: object): string => JSON.stringify({ method: "GET", authority: "shop.example", path: "/reviews/7", principal: "spiffe://cluster.local/ns/prod/sa/frontend", peer: "127.0.0.1", remote: "127.0.0.1", local: "127.0.0.1:18443", sni: "shop.example", route: "prod/reviews/split", status: 200, details: "via_upstream", ...fields });

it("explain takes a line of the access log, and says whether it is decided so today", async () => {
  const log = join(scratch.path, "explain.json");
  writeFileSync(log, [line({}), line({ principal: "spiffe://cluster.local/ns/dev/sa/tester", status: 403, details: "selvedge_authz_denied[prod/no-dev#0]" }), line({ method: "PUT" })].join("\n"));
  expect((await run("explain", EDGE, "--log", `${log}:1`)).stdout).toContain("the same today");
  expect((await run("explain", EDGE, "--log", `${log}:2`)).stdout).toContain("the same today");
  const { stdout, stderr } = await run("explain", EDGE, "--log", log);
  expect(stdout).toContain("DENIED");
  expect(stderr).toMatch(/explain\.json:3: warning\[log-disagrees\]/);
  writeFileSync(`${log}.gz`, gzipSync(readFileSync(log)));
  expect((await run("explain", EDGE, "--log", `${log}.gz:2`)).stdout).toContain("the same today");
});

it.each([["text:1", /text:1: error\[log-line\]: no JSON\n +found: \[2026.*\n.*\n +fix: a Telemetry/], ["text:7", /text: error\[log-line\]: there is no line 7.*\n +found: 2 lines/], ["empty", /empty: error\[log-line\]: there is no line\n/], ["none", /none: error\[log-unreadable\]/]])("explain --log %s says what is wrong, and where", async (name, message) => {
  writeFileSync(join(scratch.path, "text"), '[2026-01-01] "GET / HTTP/1.1" 200\n\n');
  writeFileSync(join(scratch.path, "empty"), "");
  const { code, stderr } = await run("explain", EDGE, "--log", join(scratch.path, name));
  expect([code, stderr]).toEqual([1, expect.stringMatching(message)]);
});

it("replay lists what flips, and counts what it can't decide", async () => {
  const log = join(scratch.path, "replay.json");
  const tester = { principal: "spiffe://cluster.local/ns/dev/sa/tester", authority: "catalog.dev.example", path: "/items/1" };
  writeFileSync(log, [line({}), line({ path: "/reviews/8" }), line({ path: "/payments" }), line(tester), line({ ...tester, method: "POST" }), "not json", line({ local: undefined, path: "/reviews/9" })].join("\n"));
  const next = changed("new", 'paths: ["/reviews", "/reviews/{*}"]', 'paths: ["/reviews"]');
  const { code, stdout } = await run("replay", "--log", log, "--old", EDGE, "--new", next);
  expect(code).toBe(1);
  expect(stdout).toMatch(/allowed → denied {2}3× .*prod\/sa\/frontend .* prod\/reviews {2}GET \/reviews\/\{id\}/);
  expect(stdout).toMatch(/was allowed by prod\/reviews#0 +envoy-configs\/edge\/authorization\.yaml:\d+/);
  expect(stdout).toMatch(/not decided {2}1: it depends on header x-purpose, which the log doesn't have .*replay\.json:5/);
  expect(stdout).toMatch(/not decided {2}1: no JSON .*replay\.json:6/);
  expect((await run("replay", "--log", log, "--old", EDGE, "--new", next, "--allow-flips")).code).toBe(0);
  expect(await json("replay", "--log", log, "--old", EDGE, "--new", EDGE)).toMatchObject({ ok: true, flips: 0, decided: 5, lines: 7 });
  writeFileSync(log, "\n");
  expect((await run("replay", "--log", log, "--old", EDGE, "--new", EDGE)).code).toBe(1);
});

it("reach tells what is open, under which conditions, and by which rule nothing is", async () => {
  const { stdout } = await run("reach", EDGE, "--as", "dev/tester");
  expect(stdout).toMatch(/nothing +prod\/payments [^]*prod\/no-dev#0 denies every request +envoy-configs\/edge\/authorization\.yaml:\d+/);
  expect(stdout).toMatch(/some +dev\/catalog [^]*methods GET, HEAD +dev\/catalog#0[^]*methods POST, PUT, DELETE; request\.headers\[x-purpose\] test +dev\/catalog#1/);
  expect(stdout).toContain("tried: POST catalog.dev.example/ x-purpose: test");
  expect((await run("reach", EDGE, "--as", "anonymous")).stdout).toContain("0 of 4 destinations");
});

it("reach settles what the listener does: its port", async () => {
  const ported = (port: string): string => changed(`port-${port}`, '        - source:\n            namespaces: ["dev"]', `        - source:\n            notPrincipals: ["cluster.local/ns/prod/sa/payments"]\n      to:\n        - operation:\n            ports: ["${port}"]`);
  expect((await run("reach", ported("18443"), "--as", "prod/frontend")).stdout).toMatch(/nothing +prod\/reviews [^]*prod\/no-dev#0 denies every request/);
  const elsewhere = (await run("reach", ported("18444"), "--as", "prod/frontend")).stdout;
  expect(elsewhere).toMatch(/some +prod\/reviews /);
  expect(elsewhere).not.toMatch(/ports 18444/);
});

it("test runs PolicyTests; --mutate tells what none of them notices", async () => {
  const fine = await run("test", EDGE, "--mutate");
  expect(fine.stdout).toMatch(/host: \d+ passed of \d+/);
  expect(fine.stdout).toMatch(/\d+ of \d+ changes noticed/);
  expect(fine.code).toBe(0);

  const broken = await run("test", changed("broken", 'methods: ["POST"]', 'methods: ["PUT"]'), "--mutate");
  expect(broken.code).toBe(1);
  expect(broken.stdout).toMatch(/expected allow by prod\/payments#0\n +got +deny by none/);
  expect(broken.stdout).not.toContain("noticed");

  const weak = changed("weak", "# Only the frontend makes payments.", "# Only the frontend makes payments, and nobody tests it.");
  const tests = join(weak, "tests.yaml");
  writeFileSync(tests, readFileSync(tests, "utf8").replace(/ {4}- name: nobody else pays\n(?: {6}.*\n)+/, "").replace("as: [prod/payments, prod/frontend2, spiffe", "as: [spiffe"));
  const survived = await run("test", weak, "--mutate");
  expect(survived.code).toBe(1);
  expect(survived.stdout).toMatch(/unnoticed +prod\/payments: without principals .*authorization\.yaml:\d+:\d+\n +no test asks: .* POST .*\/payments .*: deny became allow/);
  expect((await run("test", weak, "--mutate", "--survivors", "100")).code).toBe(0);
});

it("--mutate takes no change for harmless that some caller could tell", async () => {
  const dir = changed("untested", "", "");
  writeFileSync(join(dir, "authorization.yaml"), `apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: all, namespace: prod }
spec:
  rules:
    - from: [{ source: { principals: ["cluster.local/ns/prod/sa/frontend"], namespaces: ["prod"] } }]
      to: [{ operation: { methods: ["GET"], paths: ["/a*", "/abc"] } }]
    - to: [{ operation: { paths: ["/public/*"], notPaths: ["/public/secret*"] } }]
      when: [{ key: "request.headers[x-a]", notValues: ["no"] }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: deny, namespace: prod }
spec:
  action: DENY
  rules:
    - from: [{ source: { ipBlocks: ["10.0.0.0/8"] } }]
    - from: [{ source: { notNamespaces: ["prod"] } }]
      to: [{ operation: { ports: ["18443"] } }]
---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata: { name: none, namespace: dev }
spec: {}
`);
  writeFileSync(join(dir, "tests.yaml"), `apiVersion: selvedge.dev/v1alpha1
kind: PolicyTest
metadata: { name: one, namespace: prod }
spec: { cases: [{ as: prod/frontend, host: shop.example, path: /a, expect: allow }] }
`);
  const { stdout } = await run("test", dir, "--mutate");
  const harmless = [...stdout.matchAll(/^no difference found +(.*?) {2}/gm)].map((match) => match[1]);
  // A principal tells its namespace, a prefix what starts with it, and the node has one port.
  expect(harmless).toEqual(["without namespaces", 'namespaces: "prod" became "prod*"', 'namespaces: any value ("*")', 'paths: without "/abc"', 'paths: "/abc" became "/abc*"'].map((change) => `prod/all: ${change}`).concat("prod/deny: without ports"));
});

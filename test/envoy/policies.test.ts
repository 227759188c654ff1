/** PolicyTests in a real Envoy, and its access log as `selvedge explain` and `replay` take it. */
import { readFileSync, writeFileSync } from "node:fs";
import { request } from "node:http";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { buildAll } from "../../harness/build/index.ts";
import { composeEnvoy, loadPolicies } from "../../harness/compose/index.ts";
import { textReport } from "../../harness/cases/index.ts";
import { passed } from "../../harness/cases/run.ts";
import { findEnvoy, startEnvoy } from "../../harness/envoy/index.ts";
import { testPolicies } from "../../harness/policytest/run.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { APP, CONNECTION_TESTS, connections } from "../support/connections.ts";
import { selvedge } from "../support/cli.ts";
import { NOBODYS_PORT } from "../support/ports.ts";
import { ACCESS_LOG, workload } from "../support/resources.ts";
import { authorization, doc, gateway, ref, route } from "../unit/compose/support.ts";

const NODE = doc(gateway("addresses: [{ value: 127.0.0.1 }]\nlisteners: [{ name: http, port: 18097, protocol: HTTP }]"), workload("a", NOBODYS_PORT));

const scratch = temporaryDirectory("test");
const folder = temporaryDirectory("test-connections");
const moduleDir = join(scratch.path, "modules");
let envoy: Awaited<ReturnType<typeof findEnvoy>>;
beforeAll(async () => {
  envoy = await findEnvoy();
  await buildAll({ outDir: moduleDir, only: ["edge", "authz"] });
});
afterAll(() => {
  scratch.remove();
  folder.remove();
});

it("decides the example's tests as the host does", async () => {
  const { run, node } = await testPolicies("envoy-configs/edge", { engine: "both", compose: { moduleDir }, envoy: envoy.path });
  node.close();
  expect(run.files.flatMap(({ cases }) => cases).filter(({ differences, results }) => differences.length > 0 || results.length !== 2)).toEqual([]);
  expect(passed(run)).toBe(true);
});

it("takes addresses of both families on the two ends of a connection", async () => {
  const own = temporaryDirectory("test");
  const dir = join(own.path, "families.yaml");
  writeFileSync(dir, doc(
    NODE, route(`- backendRefs: [${ref("a")}]`),
    authorization('rules: [{ from: [{ source: { remoteIpBlocks: ["2001:db8::/32", 10.0.0.0/8] } }], when: [{ key: destination.ip, values: [127.0.0.1, "2001:db9::/32"] }] }]'),
    `apiVersion: selvedge.dev/v1alpha1
kind: PolicyTest
metadata: { name: t, namespace: prod }
spec:
  cases:
    - { remoteIp: "2001:db8::1", expect: allow }
    - { remoteIp: "2001:db9::1", expect: deny }
    - { remoteIp: 10.0.0.1, localIp: "2001:db9::1", expect: allow }
    - { remoteIp: 10.0.0.1, localIp: "2001:db8::1", expect: deny }`,
  ));
  const { run, node } = await testPolicies(dir, { engine: "both", compose: { moduleDir }, envoy: envoy.path });
  node.close();
  own.remove();
  expect(run.files.flatMap(({ cases }) => cases).flatMap(({ differences }) => differences)).toEqual([]);
  expect(passed(run)).toBe(true);
});

it("decides tests of connections as the host does, and by the same rules", async () => {
  writeFileSync(join(folder.path, "policies.yaml"), `${connections(APP)}\n---\n${CONNECTION_TESTS}`);
  const { run, node } = await testPolicies(folder.path, { engine: "both", compose: { moduleDir }, envoy: envoy.path });
  node.close();
  expect(run.findings).toEqual([]);
  expect(run.files.flatMap(({ cases }) => cases).filter(({ differences, results }) => differences.length > 0 || results.length !== 2)).toEqual([]);
  expect(passed(run), textReport(run, false)).toBe(true);
});

it("logs what deciding again takes, as the client sent it, and nothing that may be a credential", async () => {
  const dir = join(scratch.path, "policies.yaml");
  writeFileSync(dir, doc(
    NODE,
    route(`- matches: [{ path: { value: /foo } }]
  filters:
    - { type: URLRewrite, urlRewrite: { hostname: in.example, path: { type: ReplacePrefixMatch, replacePrefixMatch: /inner } } }
    - { type: RequestHeaderModifier, requestHeaderModifier: { set: [{ name: x-purpose, value: changed }] } }
  backendRefs: [${ref("a")}]`),
    authorization('rules: [{ to: [{ operation: { paths: ["/foo/*"] } }], when: [{ key: "request.headers[x-purpose]", values: ["test"] }] }]'),
    ACCESS_LOG.replace("namespace: prod", 'namespace: prod, annotations: { selvedge.dev/access-log-headers: "x-purpose" }'),
  ));
  const { config, findings } = composeEnvoy(loadPolicies(scratch.path), { moduleDir, adminPort: null });
  expect(findings.filter(({ severity }) => severity === "error")).toEqual([]);
  const log = join(scratch.path, "access.json");
  // The same log, in a file that this test can read; and a port that is free.
  const text = JSON.stringify(config).replaceAll("envoy.access_loggers.stdout", "envoy.access_loggers.file").replaceAll("envoy.extensions.access_loggers.stream.v3.StdoutAccessLog\"", `envoy.extensions.access_loggers.file.v3.FileAccessLog","path":"${log}"`).replace('"port_value":18097', '"port_value":0');
  const running = await startEnvoy({ config: JSON.parse(text) as never, envoy, concurrency: 1, logLevel: "warning" });
  try {
    const [{ port } = { port: 0 }] = await running.admin.listeners();
    const get = (path: string, headers: Record<string, string>): Promise<number> => new Promise((resolve, reject) => request({ port, host: "127.0.0.1", path, headers: { host: "shop.example", ...headers } }, (response) => response.resume().on("end", () => resolve(response.statusCode!))).on("error", reject).end());
    expect(await get("/foo/1?token=SECRET", { "x-purpose": "test", "x-envoy-original-path": "/SECRET", authorization: "Bearer SECRET" })).toBe(503);
    expect(await get("/foo/1?token=SECRET", { cookie: "session=SECRET", "x-token": "SECRET" })).toBe(403);
  } finally {
    await running.stop();
  }
  const lines = readFileSync(log, "utf8").trim().replaceAll(/"local":"127.0.0.1:\d+"/g, '"local":"127.0.0.1:18097"');
  expect(lines).not.toContain("SECRET");
  const [first, second] = lines.split("\n").map((line) => JSON.parse(line) as object);
  expect(first).toMatchObject({ path: "/foo/1", authority: "shop.example", headers: { "x-purpose": "test" }, principal: null, peer: "127.0.0.1", remote: "127.0.0.1", route: "prod/r/0" });
  expect(second).toMatchObject({ details: "selvedge_authz_denied[none]", headers: { "x-purpose": null } });
  writeFileSync(log, lines);
  for (const line of [1, 2]) expect((await selvedge("explain", scratch.path, "--log", `${log}:${line}`, "--modules", moduleDir)).stdout).toContain("the same today");
});

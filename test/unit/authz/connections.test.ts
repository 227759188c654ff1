/** The filter on connections, on the host: when it decides, what it lets through, and what it refuses to be. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { buildFilter } from "../../../harness/build/index.ts";
import { loadFilter, type Filter } from "../../../harness/host/index.ts";

const dir = mkdtempSync(join(tmpdir(), "selvedge-authz-tcp-"));
let authz: Uint8Array;
let edge: Uint8Array;
beforeAll(async () => {
  const build = async (name: string): Promise<Uint8Array> => readFileSync((await buildFilter({ entry: `filters/${name}/assembly/index.ts`, outDir: dir })).path);
  authz = await build("authz");
  edge = await build("edge");
}, 120_000);
afterAll(() => rmSync(dir, { recursive: true }));

const policy = (name: string, spec: object) => ({ metadata: { name }, spec });
const load = (configuration: object, module = authz): Promise<Filter> => (async () => (await loadFilter(module, { name: "t", rootId: "x", config: JSON.stringify(configuration), logLevel: "info" })).requireRunning())();
const tcp = (policies: object[], more = {}): Promise<Filter> => load({ protocol: "tcp", namespace: "prod", identity: { filterState: "peer" }, logDenials: true, policies, ...more });

/** Opens with TLS; the handshake puts the identity into filter state. */
function handshaken(filter: Filter, peer: string) {
  const connection = filter.tcp({ tls: { serverName: "db.test" } });
  connection.info.filterState.set("peer", { from: "envoy", value: Buffer.from(peer) } as never);
  return connection;
}

const APP = "spiffe://cluster.local/ns/prod/sa/app";
const ALLOW_APP = policy("app", { rules: [{ from: [{ source: { principals: ["cluster.local/ns/prod/sa/app"] } }] }] });
const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString();

describe("with TLS", () => {
  test("decides at the client's first byte, once", async () => {
    const filter = await tcp([ALLOW_APP]);
    const good = handshaken(filter, APP);
    good.data("a");
    good.data("b");
    good.upstreamData("c");
    expect([text(good.toUpstream), text(good.toClient), good.closedBy]).toEqual(["ab", "c", undefined]);
    const bad = handshaken(filter, "spiffe://cluster.local/ns/dev/sa/x");
    bad.data("a");
    expect([text(bad.toUpstream), bad.closedBy]).toEqual(["", "filter"]);
    expect(filter.metrics.counter("selvedge_authz_allowed_total.policy=.prod/app;.rule=.0;")).toBe(1);
    expect(filter.metrics.counter("selvedge_authz_denied_total.policy=.none;.rule=.none;")).toBe(1);
  });

  test("decides at the server's first byte", async () => {
    const filter = await tcp([ALLOW_APP]);
    const good = handshaken(filter, APP);
    good.upstreamData("220");
    expect([text(good.toClient), good.closedBy]).toEqual(["220", undefined]);
    const bad = handshaken(filter, "-");
    bad.upstreamData("220");
    expect([text(bad.toClient), bad.closedBy]).toEqual(["", "filter"]);
  });

  test("denies a certificate with two identities, whatever the policies", async () => {
    const two = handshaken(await tcp([policy("any", { rules: [{}] })]), `${APP},spiffe://x/y`);
    two.data("a");
    expect([text(two.toUpstream), two.closedBy]).toEqual(["", "filter"]);
  });
});

describe("without TLS", () => {
  test("decides before anything is sent", async () => {
    const filter = await tcp([policy("near", { rules: [{ from: [{ source: { remoteIpBlocks: ["10.0.0.0/8"] } }] }] })]);
    expect(filter.tcp({ source: { address: "10.1.2.3" } }).closedBy).toBeUndefined();
    const far = filter.tcp({ source: { address: "192.0.2.1", port: 7 } });
    expect(far.closedBy).toBe("filter");
    expect(filter.logs.map(({ message }) => message)).toContain('selvedge: authz: denied: policy=none rule=none principal="" source="192.0.2.1:7" sni=""');
  });
});

describe("rules with fields of HTTP", () => {
  const GET = { to: [{ operation: { methods: ["GET"] } }] };
  const HERE = { to: [{ operation: { ports: ["10000"] } }] };
  test.each<[string, object[], boolean]>([
    ["an ALLOW rule is dropped", [policy("a", { rules: [GET] })], false],
    ["and another of its policy stays", [policy("a", { rules: [GET, HERE] })], true],
    ["an ALLOW rule is dropped though the other operation would match", [policy("a", { rules: [{ to: [...GET.to, ...HERE.to] }] })], false],
    ["a DENY rule is left without the field", [policy("d", { action: "DENY", rules: [GET] })], false],
    ["and with its others", [policy("d", { action: "DENY", rules: [{ to: [{ operation: { methods: ["GET"], ports: ["1"] } }] }] })], true],
    ["where nothing is left of one source, any will do", [policy("d", { action: "DENY", rules: [{ from: [{ source: { namespaces: ["x"] } }, { source: { requestPrincipals: ["*"] } }] }] })], false],
    ["conditions on tokens and headers are dropped too", [policy("d", { action: "DENY", rules: [{ when: [{ key: "request.headers[x]", values: ["y"] }, { key: "request.auth.claims[a]", values: ["b"] }, { key: "destination.port", values: ["1"] }] }] })], true],
    ["all of them", [policy("d", { action: "DENY", rules: [{ when: [{ key: "request.headers[x]", values: ["y"] }] }] })], false],
    ["a policy on trial is widened, and decides nothing", [{ ...policy("d", { action: "DENY", rules: [GET] }), metadata: { name: "d", annotations: { "istio.io/dry-run": "true" } } }], true],
    ["an AUDIT rule decides nothing", [policy("w", { action: "AUDIT", rules: [GET] })], true],
  ])("%s", async (_, policies, allowed) => {
    expect((await tcp(policies)).tcp().closedBy).toBe(allowed ? undefined : "filter");
  });

  test("an AUDIT rule is widened, counted and logged", async () => {
    const filter = await tcp([policy("w", { action: "AUDIT", rules: [GET] })]);
    filter.tcp();
    expect(filter.metrics.counter("selvedge_authz_audited_total.policy=.prod/w;.rule=.0;")).toBe(1);
    expect(filter.logs.map(({ message }) => message).join()).toContain("audited: policy=prod/w rule=0");
  });

  test("metadata of other filters isn't HTTP's", async () => {
    const filter = await tcp([policy("m", { rules: [{ when: [{ key: "experimental.envoy.filters.network.mysql_proxy[db.table]", values: ["[select]"] }] }] })]);
    expect(filter.tcp().closedBy).toBe("filter");
  });
});

describe("in the wrong place", () => {
  test("a filter for requests lets no connection through, nor one for connections a request", async () => {
    const requests = await load({ policies: [] });
    const connection = requests.tcp();
    connection.data("x");
    expect([text(connection.toUpstream), connection.closedBy]).toEqual(["", "filter"]);
    const { status, localReply } = await (await tcp([])).http();
    expect([status, localReply?.details]).toEqual([403, "selvedge_wrong_protocol"]);
  });

  test("nor does the fused one", async () => {
    expect((await load({ authz: { policies: [] } }, edge)).tcp().closedBy).toBe("filter");
    await expect(load({ authz: { protocol: "tcp", policies: [] } }, edge)).rejects.toThrow(/protocol tcp/);
  });

  test.each<[string, object]>([
    ["workloads", { workloads: [{ namespace: "prod", routes: ["r"] }] }],
    ["identity from a header", { identity: { xfcc: "single" } }],
    ["custom", { custom: { filterState: "c", providers: ["p"] } }],
  ])("%s can't be told of connections", async (_, more) => {
    await expect(tcp([], more)).rejects.toThrow(/none of them with protocol tcp/);
  });
});

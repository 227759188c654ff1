/** Signed bundles in a real Envoy: at start, by its own updates from files, and from a server that comes and goes. */
import { mkdtempSync, rmSync } from "node:fs";
import { createServer, get, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { buildAll } from "../../harness/build/index.ts";
import { writeAtomically } from "../../harness/build/files.ts";
import { findEnvoy, startEnvoy, type Bootstrap, type EnvoyBinary, type RunningEnvoy } from "../../harness/envoy/index.ts";
import { attacks } from "../unit/bundle/attacks.ts";
import { payload as payloadOf, signed, signer, stranger, successor, trust } from "../unit/bundle/support.ts";

type Filter = "authz" | "edge";
const TYPE = "type.googleapis.com/envoy";
const WASM = `${TYPE}.extensions.filters.http.wasm.v3.Wasm`;
/** Envoy's clock is the real one. */
const now = (): number => Math.floor(Date.now() / 1000);
const payload: typeof payloadOf = (version, rest) => payloadOf(version, { expires: now() + 3600, ...rest });

let binary: EnvoyBinary;
let directory: string;
const running: RunningEnvoy[] = [];
const servers: Server[] = [];
beforeAll(async () => {
  binary = await findEnvoy({ containers: false });
  directory = mkdtempSync(join(tmpdir(), "selvedge-bundle-"));
  await buildAll({ outDir: directory, only: ["authz", "edge"] });
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((envoy) => envoy.stop()));
  for (const server of servers.splice(0)) server.close();
});
afterAll(() => rmSync(directory, { recursive: true, force: true }));

const wasm = (filter: Filter, config: object | string): object => ({
  "@type": WASM,
  config: {
    name: `edge-${filter}`,
    root_id: filter,
    failure_policy: "FAIL_RELOAD",
    vm_config: { vm_id: filter, runtime: "envoy.wasm.runtime.v8", code: { local: { filename: join(directory, `${filter}.wasm`) } } },
    configuration: { "@type": "type.googleapis.com/google.protobuf.StringValue", value: typeof config === "string" ? config : JSON.stringify(filter === "edge" ? { authz: config } : config) },
  },
});

function listener(filter: object): object {
  return {
    name: "edge",
    address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
    filter_chains: [{ filters: [{
      name: "envoy.filters.network.http_connection_manager",
      typed_config: {
        "@type": `${TYPE}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager`,
        stat_prefix: "edge",
        route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, direct_response: { status: 200, body: { inline_string: "fine" } } }] }] },
        http_filters: [filter, { name: "envoy.filters.http.router", typed_config: { "@type": `${TYPE}.extensions.filters.http.router.v3.Router` } }],
      },
    }] }],
  };
}

const cluster = (name: string, port: number): object => ({
  name,
  connect_timeout: "1s",
  load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } } }] }] },
});

class Node {
  constructor(readonly envoy: RunningEnvoy, private readonly file: string, private readonly render: (config: object | string) => object) {}

  /** Replaces the file that Envoy watches, and waits for what it makes of it. */
  async update(config: object | string, counter: RegExp): Promise<void> {
    const read = async (): Promise<number> => [...(await this.envoy.admin.stats()).entries()].filter(([name]) => counter.test(name)).reduce((sum, [, value]) => sum + value, 0);
    const before = await read();
    await writeAtomically(this.file, JSON.stringify(this.render(config)));
    await eventually(async () => expect(await read()).toBeGreaterThan(before));
  }

  async status(path: string): Promise<number> {
    const port = await this.envoy.port("edge");
    return new Promise((resolve, reject) => {
      get({ host: "127.0.0.1", port, path, agent: false }, (answer) => {
        answer.resume();
        resolve(answer.statusCode!);
      }).on("error", reject);
    });
  }

  /** Statuses on enough connections that each worker gets some. */
  async statuses(path: string): Promise<number[]> {
    return [...new Set(await Promise.all(Array.from({ length: 12 }, () => this.status(path))))];
  }

  async gauge(name: string): Promise<number | undefined> {
    const samples = await this.envoy.admin.stats(`selvedge_authz_${name}[.;]`);
    return [...samples.values()].reduce<number | undefined>((sum, value) => (sum ?? 0) + value, undefined);
  }
}

async function eventually(check: () => Promise<void>, milliseconds = 20_000): Promise<void> {
  for (const end = Date.now() + milliseconds; ; await sleep(100)) {
    try {
      return await check();
    } catch (error) {
      if (Date.now() > end) throw error;
    }
  }
}

type How = "static" | "lds" | "ecds";
let files = 0;

/** An Envoy whose filter comes from its bootstrap, from a discovered listener, or by extension config discovery. */
async function start(config: object, how: How, { filter = "authz", clusters = [] }: { filter?: Filter; clusters?: object[] } = {}): Promise<Node> {
  const file = join(directory, `discovery-${files++}.json`);
  const watched = { path_config_source: { path: file, watched_directory: { path: directory } }, resource_api_version: "V3" };
  const inline = (each: object | string): object => ({ name: "selvedge", typed_config: wasm(filter, each) });
  const render = how === "ecds"
    ? (each: object | string) => ({ resources: [{ "@type": `${TYPE}.config.core.v3.TypedExtensionConfig`, ...inline(each) }] })
    : (each: object | string) => ({ resources: [{ "@type": `${TYPE}.config.listener.v3.Listener`, ...listener(inline(each)) }] });
  await writeAtomically(file, JSON.stringify(render(config)));
  const discovered = { name: "selvedge", config_discovery: { config_source: watched, type_urls: [WASM] } };
  const bootstrap = {
    node: { id: "edge-1", cluster: "test" },
    ...(how === "lds" && { dynamic_resources: { lds_config: watched } }),
    static_resources: { listeners: how === "lds" ? [] : [listener(how === "ecds" ? discovered : inline(config))], clusters },
    stats_flush_on_admin: true,
  };
  const envoy = await startEnvoy({ config: bootstrap as unknown as Bootstrap, envoy: binary, concurrency: 2, logLevel: "warn" });
  running.push(envoy);
  return new Node(envoy, file, render);
}

const mounted = (version: number, rest: Parameters<typeof payload>[1] = {}, signing = trust()): object => ({ signing, bundle: signed(payload(version, rest)) });

describe("an Envoy that starts with a bundle", () => {
  it.each<Filter>(["authz", "edge"])("decides by a good one: %s", async (filter) => {
    const node = await start(mounted(1), "static", { filter });
    expect([await node.statuses("/v1"), await node.statuses("/v2")]).toEqual([[200], [403]]);
    expect(await node.gauge("bundle_version")).toBe(1);
  });

  it.each<[string, () => object, RegExp]>([
    ["unsigned policies", () => ({ signing: trust(), policies: [] }), /found what decides, unsigned/],
    ["a stranger's bundle", () => ({ signing: trust(), bundle: signed(payload(1), stranger) }), /found a bundle refused: signature/],
    ["a bundle that was tampered with", () => ({ signing: trust(), bundle: { ...signed(payload(1)), payload: signed(payload(2)).payload } }), /found a bundle refused: signature/],
    ["a bundle for another node", () => mounted(1, { audience: ["edge-2"] }), /found a bundle refused: audience/],
    ["a bundle that has expired", () => mounted(1, { expires: now() - 1 }), /found a bundle refused: expired, expected a newer one/],
    ["a bundle below the least version", () => mounted(1, {}, trust({ minimumVersion: 2 })), /found a bundle refused: version, expected a newer one/],
  ])("doesn't come up with %s", async (_, config, why) => {
    await expect(start(config(), "static")).rejects.toThrow(why);
  });

  it("denies everything with one that has expired while newer ones can be fetched", async () => {
    const node = await start({ ...mounted(1, { expires: now() - 1 }), source: { cluster: "nowhere", path: "/" } }, "static");
    expect(await node.statuses("/v1")).toEqual([403]);
    expect(node.envoy.log()).toContain("no valid bundle: everything is denied");
  });

  it("takes bundles of two keys while one replaces the other", async () => {
    const node = await start(mounted(1, {}, trust({}, signer, successor)), "ecds");
    await node.update({ signing: trust({}, signer, successor), bundle: signed(payload(2), successor) }, /config_reload$/);
    await eventually(async () => expect(await node.statuses("/v2")).toEqual([200]));
    await node.update({ signing: trust({}, successor), bundle: signed(payload(2), successor) }, /config_reload$/);
    expect(await node.statuses("/v2")).toEqual([200]);
  });
});

describe.each<[How, RegExp, RegExp]>([
  ["ecds", /extension_config_discovery.*\.config_reload$/, /extension_config_discovery.*\.config_fail$/],
  ["lds", /listener_manager\.lds\.update_success$/, /listener_manager\.lds\.update_rejected$/],
])("an update by %s", (how, accepted, refused) => {
  it("is taken when it is good; otherwise what runs stays, and a gauge says so", async () => {
    const node = await start(mounted(2), how);
    await eventually(async () => expect(await node.statuses("/v2")).toEqual([200]));
    for (const bad of [{ signing: trust(), bundle: signed(payload(9), stranger) }, { signing: trust(), policies: [] }]) {
      await node.update(bad, refused);
      expect([await node.statuses("/v2"), await node.statuses("/v9")]).toEqual([[200], [403]]);
      expect(await node.gauge("configuration_rejected")).toBe(1);
    }
    await node.update(mounted(3), accepted);
    await eventually(async () => expect([await node.statuses("/v2"), await node.statuses("/v3")]).toEqual([[403], [200]]));
    expect(await node.gauge("configuration_rejected")).toBe(0);
  });

  it("with an older or an expired bundle is refused, so that the newest stays in place", async () => {
    const node = await start(mounted(2), how);
    await eventually(async () => expect(await node.statuses("/v2")).toEqual([200]));
    for (const [bad, reason] of [[mounted(1), "version"], [mounted(2, { audience: ["edge-1", "edge-2"] }), "version"], [mounted(3, { expires: now() - 1 }), "expired"]] as const) {
      await node.update(bad, refused);
      expect([await node.statuses("/v2"), await node.statuses("/v1"), await node.statuses("/v3")]).toEqual([[200], [403], [403]]);
      expect([await node.gauge("configuration_rejected"), await node.gauge("bundle_version")]).toEqual([1, 2]);
      expect(node.envoy.log()).toContain(`a bundle refused: ${reason}`);
    }
  });

  // Workers that refuse what the main thread took would let requests pass.
  it("back to what ran before is no reason to open up: the newest of the process decides", async () => {
    const [first, second] = [mounted(1), mounted(2)];
    const node = await start(first, how);
    await eventually(async () => expect(await node.statuses("/v1")).toEqual([200]));
    await node.update(second, accepted);
    await eventually(async () => expect([await node.statuses("/v1"), await node.statuses("/v2")]).toEqual([[403], [200]]));
    await node.update(first, accepted);
    await eventually(async () => expect([await node.statuses("/v1"), await node.statuses("/v2")]).toEqual([[403], [200]]));
  });
});

it("a bundle that was meddled with changes nothing, and says so; another spelling of a good one is taken", async () => {
  const node = await start(mounted(5), "ecds");
  const raw = (text: string): string => `{"signing":${JSON.stringify(trust())},"bundle":${text}}`;
  const list = attacks(now(), 5).filter(({ whole }) => whole === undefined);
  for (const { name, text } of list.filter(({ reason }) => reason !== undefined)) {
    await node.update(raw(text), /extension_config_discovery.*\.config_fail$/);
    expect([await node.status("/v5"), await node.status("/v6"), await node.status("/")], name).toEqual([200, 403, 403]);
  }
  expect([await node.gauge("configuration_rejected"), await node.gauge("bundle_version"), await node.statuses("/v5")]).toEqual([1, 5, [200]]);
  const respelled = list.filter(({ name }) => /^(two signatures, a stranger|an unknown name|base64url|white space|the other s)/.test(name));
  expect(respelled.length).toBe(5);
  for (const { name, text } of respelled) {
    await node.update(raw(text), /extension_config_discovery.*\.config_reload$/);
    await eventually(async () => expect([await node.status("/v5"), await node.status("/v6")], name).toEqual([403, 200]));
  }
}, 300_000);

describe("a source", () => {
  async function serve(): Promise<{ port: number; requests: { etag: string | undefined }[]; set(body: string | undefined, etag?: string): void; close(): Promise<void> }> {
    let current: { body: string; etag: string | undefined } | undefined;
    const requests: { etag: string | undefined }[] = [];
    const server = createServer((incoming, answer) => {
      const known = incoming.headers["if-none-match"];
      requests.push({ etag: known });
      if (current === undefined) answer.writeHead(503).end();
      else if (current.etag !== undefined && known === current.etag) answer.writeHead(304).end();
      else answer.writeHead(200, current.etag === undefined ? {} : { etag: current.etag }).end(current.body);
    });
    await new Promise<void>((done) => server.listen(0, "127.0.0.1", done));
    servers.push(server);
    return {
      port: (server.address() as AddressInfo).port,
      requests,
      set: (body, etag) => (current = body === undefined ? undefined : { body, etag }),
      close: () => new Promise((done) => {
        server.closeAllConnections();
        server.close(() => done());
      }),
    };
  }

  it.each<Filter>(["authz", "edge"])("brings newer bundles to every worker, and nothing when it is gone: %s", async (filter) => {
    const server = await serve();
    const config = { signing: trust(), source: { cluster: "bundles", path: "/edge-1", intervalSeconds: 1, timeoutSeconds: 1 } };
    const node = await start(config, "static", { filter, clusters: [cluster("bundles", server.port)] });
    expect(await node.statuses("/v1")).toEqual([403]);
    server.set(JSON.stringify(signed(payload(1))), '"1"');
    await eventually(async () => expect(await node.statuses("/v1")).toEqual([200]));
    await eventually(async () => expect(server.requests.at(-1)!.etag).toBe('"1"'));

    server.set(JSON.stringify(signed(payload(2), stranger)));
    await eventually(async () => expect(await node.gauge("bundle_rejected")).toBe(1));
    server.set(JSON.stringify(signed(payload(0))));
    await eventually(async () => expect(await node.gauge("bundle_rejections_total\\.reason=\\.version")).toBeGreaterThan(0));
    expect([await node.statuses("/v1"), await node.statuses("/v2")]).toEqual([[200], [403]]);

    server.set(JSON.stringify(signed(payload(3))));
    await eventually(async () => expect([await node.statuses("/v3"), await node.statuses("/v1")]).toEqual([[200], [403]]));
    await server.close();
    await eventually(async () => expect(await node.gauge("bundle_rejections_total\\.reason=\\.unreachable")).toBeGreaterThan(0));
    expect(await node.statuses("/v3")).toEqual([200]);
    expect(await node.gauge("bundle_version")).toBe(3);
  });
});

/** What the SDK does with a VM in a real Envoy: several plugins in one, TCP connections, and memory that stays flat. */
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { RunningEnvoy } from "../../harness/envoy/index.ts";
import { bootstrap, httpListener, tcpListener } from "./fixtures/bootstrap.ts";
import { Client } from "./fixtures/client.ts";
import { compileInProject, readmeFilter } from "./fixtures/project.ts";
import { startFixtures, type Fixtures } from "./fixtures/start.ts";
import { startTcpUpstream, startUpstream, type Upstream } from "./fixtures/upstream.ts";

/** Ends its VM at the first request. */
const TRAP = `
  export * from "selvedge/filters/sdk/assembly/proxy";
  import { Context, FilterHeadersStatusValues, RootContext, registerRootContext } from "selvedge/filters/sdk/assembly";
  class Root extends RootContext { createContext(id: u32): Context { return new Stream(id, this); } }
  class Stream extends Context {
    onRequestHeaders(headers: u32, end: bool): FilterHeadersStatusValues { throw new Error("on purpose"); }
  }
  registerRootContext((id: u32) => new Root(id), "trap");`;

let fixtures: Fixtures;
let envoy: RunningEnvoy;
const upstreams: Upstream[] = [];

beforeAll(async () => {
  upstreams.push(await startUpstream(), await startTcpUpstream("alpha"), await startTcpUpstream("beta"));
  const [upstream, alpha, beta] = upstreams.map(({ port }) => port);
  const readme = (await compileInProject(readmeFilter())).wasm;
  const trap = (await compileInProject(TRAP)).wasm;
  const config: Parameters<typeof startFixtures>[1] = ({ tenants, tcp, memory, readme, trap }) => {
    const shared = { module: tenants!, vmId: "shared" };
    const listeners = [
      httpListener("first", [{ ...shared, rootId: "tenant", configuration: "TENANT-A" }]),
      httpListener("second", [{ ...shared, rootId: "tenant", configuration: "TENANT-B with more" }]),
      httpListener("third", [{ ...shared, rootId: "other", configuration: "OTHER" }]),
      httpListener("fourth", [{ ...shared, rootId: "other" }]),
      httpListener("readme", [{ module: readme!, rootId: "keys", vmId: "readme", configuration: '{"header": "x-key", "greeting": "hi"}' }]),
      httpListener("trap", [{ module: trap!, rootId: "trap", vmId: "trap" }]),
      httpListener("memory", [{ module: memory!, rootId: "memory", vmId: "memory" }]),
      tcpListener("tcp", { module: tcp!, rootId: "tcp", vmId: "tcp", configuration: "alpha" }),
      tcpListener("rerouted", { module: tcp!, rootId: "tcp", vmId: "tcp", configuration: "beta" }),
    ];
    return bootstrap(listeners, { upstream: upstream!, alpha: alpha!, beta: beta! });
  };
  fixtures = await startFixtures(["tenants", "tcp", "memory"], config, { readme, trap });
  envoy = fixtures.envoy;
});

afterAll(async () => {
  await fixtures?.stop();
  for (const upstream of upstreams) await upstream.close();
});

describe("plugins that share one VM", () => {
  it("never see each other's configuration", async () => {
    const visit = async (listener: string): Promise<Record<string, string>> => {
      const client = new Client(await envoy.port(listener));
      try {
        return await client.report({ path: "/" });
      } finally {
        client.close();
      }
    };
    const expected = [
      ["first", "tenant", "TENANT-A"],
      ["second", "tenant", "TENANT-B with more"],
      ["third", "other", "OTHER"],
      ["fourth", "other", ""],
    ] as const;
    for (const round of [1, 2]) {
      for (const [index, [listener, kind, config]] of expected.entries()) {
        expect(await visit(listener)).toEqual({
          kind, config, "own requests": String(round), "late configuration": "false",
          // All four are in one VM: it counts them together.
          "requests of the VM": String((round - 1) * expected.length + index + 1),
        });
      }
    }
  });

  it("can log while the module loads", () => {
    expect(envoy.log()).toMatch(/\[info\]\[wasm\].*fixture loads/);
  });
});

describe("the example in the README", () => {
  it("does what the README says", async () => {
    const client = new Client(await envoy.port("readme"));
    try {
      const [refused, accepted] = [await client.send({ path: "/" }), await client.send({ path: "/", headers: { "x-key": "k" } })];
      expect([refused.status, refused.body, accepted.status, accepted.headers.greeting]).toEqual([401, "an API key, please\n", 200, "hi"]);
      const stats = await envoy.admin.stats("keys_");
      expect([stats.get("wasmcustom.keys_refused"), stats.get("wasmcustom.keys_accepted")]).toEqual([1, 1]);
    } finally {
      client.close();
    }
  });
});

describe("TCP connections", () => {
  /** Sends each chunk after the answer to the one before, and gives all that came back until somebody closes. */
  async function talk(listener: string, chunks: string[]): Promise<string[]> {
    const port = await envoy.port(listener);
    return new Promise((resolve, reject) => {
      const answers: string[] = [];
      const waiting = [...chunks];
      const socket = connect(port, "127.0.0.1", () => socket.write(waiting.shift()!));
      socket.setTimeout(5_000, () => socket.destroy(new Error(`no answer after ${answers.join(", ")}`)));
      socket.on("data", (data) => {
        answers.push(data.toString());
        const next = waiting.shift();
        if (next === undefined) socket.end();
        else socket.write(next);
      });
      socket.on("close", () => resolve(answers));
      socket.on("error", reject);
    });
  }

  it("reads and edits both directions, and chooses the cluster", async () => {
    expect(await talk("tcp", ["hello", "again"])).toEqual(["alpha:HELLO (11)", "alpha:AGAIN (11)"]);
    expect(await talk("rerouted", ["hello"])).toEqual(["beta:HELLO (10)"]);
    await envoy.waitForLog(/fixture downstream closed by/);
    await envoy.waitForLog(/fixture upstream closed by/);
    await envoy.waitForLog(/fixture connection logged/);
  });

  it("closes a connection, and deletes each context once", async () => {
    expect(await talk("tcp", ["hello", "close it"])).toEqual(["alpha:HELLO (11)"]);
    const deleted = async () => (await envoy.admin.stats("fixture_tcp")).get("wasmcustom.fixture_tcp_deleted");
    const opened = (await envoy.admin.stats("fixture_tcp")).get("wasmcustom.fixture_tcp_opened");
    expect(opened).toBe(3);
    await expect.poll(deleted).toBe(opened);
  });
});

describe("a trap", () => {
  it("says why and where, and the failure policy answers", async () => {
    const client = new Client(await envoy.port("trap"));
    try {
      expect((await client.send({ path: "/" })).status).toBe(503);
      await envoy.waitForLog(/\[critical\]\[wasm\].*selvedge: abort: on purpose at index\.ts:6/);
    } finally {
      client.close();
    }
  });
});

describe("memory", () => {
  it("stays flat for a filter that allocates on each request", async () => {
    const client = new Client(await envoy.port("memory"));
    const load = async (requests: number): Promise<number | undefined> => {
      let left = requests;
      const worker = async (): Promise<void> => {
        while (left-- > 0) {
          const { status, headers } = await client.send({ path: `/body/${left}`, headers: { "x-long": "x".repeat(left % 300) } });
          if (status !== 200 || !headers["x-summary"]) throw new Error(`request ${left} was answered with ${status}`);
        }
      };
      await Promise.all(Array.from({ length: 32 }, worker));
      return (await envoy.admin.stats("fixture_memory_pages")).get("wasmcustom.fixture_memory_pages");
    };
    try {
      const warm = await load(2_000);
      expect(warm).toBeLessThan(64); // 4 MiB
      expect(await load(20_000)).toBe(warm);
    } finally {
      client.close();
    }
  });
});

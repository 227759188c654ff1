import { writeFileSync } from "node:fs";
import { connect, createServer, type AddressInfo, type Server, type Socket } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { beforeAll, describe, expect, test } from "vitest";
import { findEnvoy, startEnvoy, type EnvoyBinary } from "../../harness/envoy/index.ts";
import { Host, loadFilter, type FakeClock, type Filter, type TcpConnection } from "../../harness/host/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { cluster, collect, plugin } from "./on-envoy.ts";
import { observe, parseLine, type Observations } from "./scenario.ts";
import { tcpScenarios, type TcpScenario, type TcpStep } from "./tcp-scenarios.ts";
import { compileProbes } from "./wat.ts";

/** Time between two steps, so that the proxy sees them apart. */
const GAP_MS = 90;
const module = (await compileProbes(["tcp"])).get("tcp")!;
const envoy: EnvoyBinary | undefined = await findEnvoy({ containers: false }).catch(() => undefined);

/** What both ends saw of one connection. */
interface Ends {
  client: string;
  upstream: string;
  clientClosed: boolean;
  upstreamClosed: boolean;
}

function observeEnds(observations: Observations, ends: Ends): void {
  observe(observations, "ends", `client got ${ends.client} closed ${ends.clientClosed}, upstream got ${ends.upstream} closed ${ends.upstreamClosed}`);
}

// --- the host ----------------------------------------------------------------------------------------------------

async function runOnHost(scenario: TcpScenario): Promise<Observations> {
  const host = new Host<FakeClock>({ topology: "envoy" });
  const filter: Filter = await loadFilter(module, { host, name: scenario.id, rootId: scenario.id, vmId: scenario.id, failurePolicy: scenario.failurePolicy, failOpen: scenario.failOpen });
  const observations: Observations = new Map();
  let connection: TcpConnection | undefined = filter.tcp({ cluster: scenario.id });
  let clientEnded = false;
  const finish = (): void => {
    if (connection === undefined) return;
    const { toClient, toUpstream, closedBy, upstreamEnded, downstreamEnded } = connection;
    observeEnds(observations, {
      client: Buffer.from(toClient).toString(),
      upstream: Buffer.from(toUpstream).toString(),
      clientClosed: upstreamEnded || (closedBy !== undefined && closedBy !== "client"),
      upstreamClosed: downstreamEnded || (closedBy !== undefined && !upstreamEnded),
    });
    // The client goes away in order, then the upstream; a client that has ended before stays until Envoy goes.
    if (clientEnded) connection.closeBy("envoy");
    else connection.data("", true);
    connection.upstreamData("", true);
    connection = undefined;
  };
  for (const step of scenario.steps) {
    filter.tick(GAP_MS);
    if (step === "next") {
      finish();
      connection = filter.tcp({ cluster: scenario.id });
    } else if (step === "clientEnd") {
      clientEnded = true;
      connection!.data("", true);
    } else if (step === "clientReset") connection!.close();
    else if (step === "upstreamEnd") connection!.upstreamData("", true);
    else if ("client" in step) connection!.data(step.client);
    else connection!.upstreamData(step.upstream);
  }
  filter.tick(GAP_MS);
  finish();
  for (const entry of host.logs) {
    const line = parseLine(entry.message);
    if (line !== undefined) observe(observations, line.name, line.value);
  }
  return observations;
}

// --- Envoy -------------------------------------------------------------------------------------------------------

/** An upstream that takes what the scenario of its port sends. */
class Upstream {
  readonly server: Server;
  socket: Socket | undefined;
  received = "";
  closed = false;

  constructor() {
    this.server = createServer({ allowHalfOpen: true }, (socket) => {
      this.socket = socket;
      this.received = "";
      this.closed = false;
      socket.on("data", (data) => (this.received += data.toString()));
      socket.on("end", () => (this.closed = true));
      socket.on("error", () => (this.closed = true));
      socket.on("close", () => (this.closed = true));
    });
  }

  listen(): Promise<number> {
    return new Promise((resolve) => this.server.listen(0, "127.0.0.1", () => resolve((this.server.address() as AddressInfo).port)));
  }

  forget(): void {
    this.socket?.destroy();
    this.socket = undefined;
    this.received = "";
    this.closed = false;
  }
}

async function drive(port: number, upstream: Upstream, steps: readonly TcpStep[], observations: Observations): Promise<void> {
  let ends: Ends = { client: "", upstream: "", clientClosed: false, upstreamClosed: false };
  let client: Socket;
  const open = async (): Promise<void> => {
    upstream.forget();
    const mine: Ends = { client: "", upstream: "", clientClosed: false, upstreamClosed: false };
    ends = mine;
    client = connect({ port, host: "127.0.0.1", allowHalfOpen: true });
    client.on("data", (data) => (mine.client += data.toString()));
    for (const event of ["end", "error", "close"] as const) client.on(event, () => (mine.clientClosed ||= !client.destroyed || event === "error"));
    await sleep(GAP_MS);
  };
  const finish = (): void => {
    ends.upstream = upstream.received;
    ends.upstreamClosed = upstream.closed;
    observeEnds(observations, ends);
    client.destroy();
  };
  await open();
  for (const step of steps) {
    if (step === "next") {
      finish();
      await open();
    } else if (step === "clientEnd") client!.end();
    else if (step === "clientReset") client!.resetAndDestroy();
    else if (step === "upstreamEnd") upstream.socket?.end();
    else if ("client" in step) client!.write(step.client);
    else upstream.socket?.write(step.upstream);
    await sleep(GAP_MS);
  }
  finish();
  await sleep(GAP_MS);
}

async function runAllOnEnvoy(binary: EnvoyBinary): Promise<Map<string, Observations>> {
  const results = new Map<string, Observations>(tcpScenarios.map(({ id }) => [id, new Map()]));
  const upstreams = new Map(tcpScenarios.map(({ id }) => [id, new Upstream()]));
  const directory = temporaryDirectory("conformance-tcp");
  try {
    const file = join(directory.path, "tcp.wasm");
    writeFileSync(file, module);
    const ports = new Map<string, number>();
    for (const [id, upstream] of upstreams) ports.set(id, await upstream.listen());
    const config = {
      admin: { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } },
      static_resources: {
        listeners: tcpScenarios.map((scenario) => ({
          name: scenario.id,
          address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
          filter_chains: [
            {
              filters: [
                { name: scenario.id, typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.network.wasm.v3.Wasm", config: plugin(scenario, file) } },
                { name: "tcp", typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy", stat_prefix: scenario.id, cluster: scenario.id } },
              ],
            },
          ],
        })),
        clusters: tcpScenarios.map(({ id }) => cluster(id, ports.get(id)!)),
      },
    };
    const running = await startEnvoy({ envoy: binary, config: config as never, concurrency: 1, logLevel: "warning", componentLogLevel: "wasm:info" });
    try {
      await Promise.all(tcpScenarios.map(async ({ id, steps }) => drive(await running.port(id), upstreams.get(id)!, steps, results.get(id)!)));
      await sleep(200);
    } finally {
      await running.stop();
    }
    if (process.env.CONFORMANCE_LOG) writeFileSync(process.env.CONFORMANCE_LOG, running.log());
    collect(running.log(), results);
  } finally {
    for (const upstream of upstreams.values()) {
      upstream.forget();
      upstream.server.close();
    }
    directory.remove();
  }
  return results;
}

describe.skipIf(envoy === undefined)("host and Envoy agree about TCP connections", () => {
  const onHost = new Map<string, Observations>();
  let onEnvoy: Map<string, Observations>;
  beforeAll(async () => {
    for (const scenario of tcpScenarios) onHost.set(scenario.id, await runOnHost(scenario));
    onEnvoy = await runAllOnEnvoy(envoy!);
    const plain = (all: Map<string, Observations>) => Object.fromEntries([...all].map(([id, seen]) => [id, Object.fromEntries(seen)]));
    if (process.env.CONFORMANCE_DUMP) writeFileSync(process.env.CONFORMANCE_DUMP, JSON.stringify({ host: plain(onHost), envoy: plain(onEnvoy) }, null, 1));
  }, 60_000);

  for (const { id } of tcpScenarios) {
    test(id, () => {
      const sorted = (observations: Observations) => Object.fromEntries([...observations].sort(([a], [b]) => (a < b ? -1 : 1)));
      expect(sorted(onHost.get(id)!)).toEqual(sorted(onEnvoy.get(id)!));
    });
  }
});

import { writeFileSync } from "node:fs";
import { Agent } from "node:http";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { startEnvoy, type EnvoyBinary } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { send, startPeers, type Peers } from "./peers.ts";
import { NO_ANSWER, observe, parseLine, type Observations, type Scenario } from "./scenario.ts";

const wasmType = "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm";
const text = (value: string) => ({ "@type": "type.googleapis.com/google.protobuf.StringValue", value });

/** Envoy's plugin configuration of a scenario. */
export function plugin(scenario: Scenario, file: string): object {
  return {
    name: scenario.id,
    root_id: scenario.id,
    failure_policy: scenario.failOpen ? undefined : (scenario.failurePolicy ?? "FAIL_CLOSED"),
    fail_open: scenario.failOpen,
    reload_config: scenario.failurePolicy === "FAIL_RELOAD" ? { backoff: { base_interval: "0.1s" } } : undefined,
    allow_on_headers_stop_iteration: scenario.allowHeadersStopIteration,
    configuration: scenario.config === undefined ? undefined : text(scenario.config),
    capability_restriction_config: scenario.capabilities && { allowed_capabilities: Object.fromEntries(scenario.capabilities.map((name) => [name, {}])) },
    vm_config: {
      vm_id: scenario.sharesVmWith ?? scenario.id,
      runtime: "envoy.wasm.runtime.v8",
      code: { local: { filename: file } },
      configuration: scenario.vmConfig === undefined ? undefined : text(scenario.vmConfig),
      environment_variables: scenario.environment && { key_values: scenario.environment },
    },
  };
}

function listener(scenario: Scenario, file: string): object {
  return {
    name: scenario.id,
    address: { socket_address: { address: "127.0.0.1", port_value: 0 } },
    traffic_direction: "INBOUND",
    metadata: { filter_metadata: { "test.listener": { side: "edge" } } },
    per_connection_buffer_limit_bytes: scenario.bufferLimit,
    filter_chains: [
      {
        filters: [
          {
            name: "hcm",
            typed_config: {
              "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
              stat_prefix: scenario.id,
              http_protocol_options: { enable_trailers: true },
              route_config: {
                virtual_hosts: [
                  {
                    name: "host-a",
                    domains: ["*"],
                    routes: [
                      { name: "route-b", match: { prefix: "/", headers: [{ name: "x-route", string_match: { exact: "b" } }] }, route: { cluster: "upstream", timeout: "5s" } },
                      {
                        name: "route-a",
                        match: { prefix: "/" },
                        metadata: { filter_metadata: { "test.route": { owner: "probe", weight: 2, deep: { list: [1, "two", true] } } } },
                        route: { cluster: "upstream", timeout: "5s" },
                      },
                    ],
                  },
                ],
              },
              http_filters: [
                { name: scenario.id, typed_config: { "@type": wasmType, config: plugin(scenario, file) } },
                { name: "router", typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } },
              ],
            },
          },
        ],
      },
    ],
  };
}

/** A cluster of one host on 127.0.0.1. */
export function cluster(name: string, port: number, http2 = false): object {
  return {
    name,
    type: "STATIC",
    connect_timeout: "1s",
    typed_extension_protocol_options: {
      "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
        explicit_http_config: http2 ? { http2_protocol_options: {} } : { http_protocol_options: { enable_trailers: true } },
      },
    },
    load_assignment: { cluster_name: name, endpoints: [{ lb_endpoints: [{ endpoint: { address: { socket_address: { address: "127.0.0.1", port_value: port } } } }] }] },
  };
}

/** The whole configuration; `files` gives the module of each scenario. */
export function bootstrap(scenarios: readonly Scenario[], files: ReadonlyMap<string, string>, peers: Omit<Peers, "close">): object {
  return {
    node: { id: "node-1", cluster: "cluster-1", metadata: { key: "value", n: 3 }, locality: { region: "r1", zone: "z1" } },
    admin: { address: { socket_address: { address: "127.0.0.1", port_value: 0 } } },
    static_resources: {
      listeners: scenarios.map((scenario) => listener(scenario, files.get(scenario.probe ?? scenario.id)!)),
      clusters: [cluster("upstream", peers.upstreamPort), cluster("callee", peers.calleePort), cluster("nobody", peers.nobodyPort), cluster("grpc", peers.grpcPort, true)],
    },
  };
}

/**
 * Runs scenarios in one Envoy.
 * @param onHost what the host saw: where a client had no answer there, it gives up early here, and waits long elsewhere
 */
export async function runOnEnvoy(envoy: EnvoyBinary, scenarios: readonly Scenario[], modules: ReadonlyMap<string, Uint8Array>, onHost: ReadonlyMap<string, Observations>, workers = 1): Promise<Map<string, Observations>> {
  const results = new Map<string, Observations>(scenarios.map((scenario) => [scenario.id, new Map()]));
  const directory = temporaryDirectory("conformance");
  const peers = await startPeers(scenarios, results);
  try {
    const files = new Map<string, string>();
    for (const [name, code] of modules) {
      files.set(name, join(directory.path, `${name}.wasm`));
      writeFileSync(files.get(name)!, code);
    }
    const running = await startEnvoy({ envoy, config: bootstrap(scenarios, files, peers) as never, concurrency: workers, logLevel: "warning", componentLogLevel: "wasm:info" });
    try {
      // Contexts of one VM are numbered in the order of their requests: those that share one come one after the other.
      const done = new Map<string, Promise<void>>();
      for (const scenario of scenarios) {
        const vm = scenario.sharesVmWith ?? scenario.id;
        const before = done.get(vm);
        const play = async (): Promise<void> => {
          await before;
          const port = await running.port(scenario.id);
          const agent = scenario.oneConnection === true && new Agent({ keepAlive: true, maxSockets: 1 });
          for (const [index, request] of (scenario.requests ?? []).entries()) {
            if (request.waitMs) await sleep(request.waitMs);
            const hangs = onHost.get(scenario.id)?.get(`client.${index}`)?.[0] === NO_ANSWER;
            await send(port, scenario, { ...request, giveUpMs: hangs ? (request.giveUpMs ?? 1000) : 15_000 }, index, results.get(scenario.id)!, agent);
          }
          if (agent) agent.destroy();
          if (scenario.afterMs) await sleep(scenario.afterMs + 200);
        };
        done.set(vm, play());
      }
      await Promise.all(done.values());
      await sleep(200);
    } finally {
      await running.stop();
    }
    if (process.env.CONFORMANCE_LOG) writeFileSync(process.env.CONFORMANCE_LOG, running.log());
    collect(running.log(), results);
  } finally {
    await peers.close();
    directory.remove();
  }
  return results;
}

/** Log lines of modules: `… wasm log plugin root vm: P|name|…`, of root contexts without the plugin. */
export function collect(log: string, results: ReadonlyMap<string, Observations>): void {
  for (const match of log.matchAll(/wasm log((?: \S+)*): (P\|.*)$/gm)) {
    const line = parseLine(match[2]!);
    if (line === undefined) continue;
    const words = match[1]!.trim().split(" ");
    const id = words.length >= 2 ? words.at(-2)! : line.name.split(".")[0]!;
    const observations = results.get(id);
    if (observations !== undefined) observe(observations, line.name, line.value);
  }
}

import { randomUUID } from "node:crypto";
import { createServer, type AddressInfo } from "node:net";
import { resolve } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { GenericContainer, type StartedTestContainer, type WaitStrategy } from "testcontainers";
import { onCleanup } from "../cleanup.ts";
import { SelvedgeError } from "../errors.ts";
import { AdminClient } from "./admin.ts";
import { loadBootstrap, type Bootstrap, type ConfigSource } from "./config.ts";
import { removeContainersNow } from "./docker.ts";
import { findEnvoyImage, haveImage } from "./image.ts";
import { demultiplex, docker, envoyInImage, filesOf, logDirectoriesOf, SESSION_LABEL } from "./once.ts";
import { explainLog } from "./messages.ts";
import { checkPorts } from "./ports.ts";
import type { RunningEnvoy } from "./process.ts";
import { listenerPort, logFailure, waitForLog } from "./running.ts";

export interface ContainerOptions {
  config: ConfigSource;
  /** The image; found or built by findEnvoyImage() unless given. */
  image?: string;
  concurrency?: number;
  logLevel?: string;
  componentLogLevel?: string;
  /**
   * `bridge` (the default): its own network; listeners must have fixed ports and listen on 0.0.0.0, and the host is
   * reachable as `host.docker.internal`. `host`: this machine's network, so a configuration for a process works as it is.
   */
  network?: "bridge" | "host";
  /** Directory that relative paths in the configuration start from. */
  cwd?: string;
  extraArgs?: string[];
  readyTimeoutMs?: number;
}

export interface EnvoyContainer extends RunningEnvoy {
  id: string;
  /** `host:port` under which a listener's port is reached from here. */
  address(containerPort: number): string;
}

const CONFIG = "/etc/selvedge/envoy.json";
const BRIDGE_ADMIN_PORT = 9901;
const DEFAULT_RYUK_IMAGE = "testcontainers/ryuk:0.14.0";

/**
 * Starts Envoy in a container through Testcontainers, and returns when it serves. Files that the configuration names are
 * copied in under the same path, and directories that it logs to are mounted. Testcontainers' Ryuk removes the container when this process is killed; where its image
 * can't be had, harness/cleanup.ts alone does.
 *
 * @throws SelvedgeError no Docker, no image, a port that isn't free, or why Envoy refused its configuration
 */
export async function startEnvoyContainer(options: ContainerOptions): Promise<EnvoyContainer> {
  const host = options.network === "host";
  const adminPort = host ? await freePort() : BRIDGE_ADMIN_PORT;
  const bootstrap = withAdmin(await loadBootstrap(options.config), host ? "127.0.0.1" : "0.0.0.0", adminPort);
  const conflicts = host ? await checkPorts(bootstrap) : [];
  if (conflicts.length) throw new SelvedgeError(conflicts);

  const cwd = resolve(options.cwd ?? ".");
  const image = options.image ?? (await findEnvoyImage()).image;
  const session = randomUUID();
  const wait = new EnvoyReady(host ? adminPort : null, options.readyTimeoutMs ?? 60_000);
  const container = new GenericContainer(image)
    .withLabels({ [SESSION_LABEL]: session })
    .withAutoCleanup(await haveImage(process.env.RYUK_CONTAINER_IMAGE ?? DEFAULT_RYUK_IMAGE, true))
    .withEntrypoint([envoyInImage])
    .withCommand(commandLine(options))
    .withWorkingDir(cwd)
    .withCopyContentToContainer([{ content: JSON.stringify(bootstrap), target: CONFIG }])
    .withCopyFilesToContainer(filesOf(bootstrap, cwd).map((source) => ({ source, target: source, mode: 0o644 })))
    .withLogConsumer((stream) => stream.on("data", (data: Buffer) => (wait.log += data.toString())))
    .withWaitStrategy(wait);
  container.withBindMounts(logDirectoriesOf(bootstrap, cwd).map((source) => ({ source, target: source, mode: "rw" })));
  if (host) container.withNetworkMode("host");
  else container.withExposedPorts(adminPort, ...listenerPorts(bootstrap)).withExtraHosts([{ host: "host.docker.internal", ipAddress: "host-gateway" }]);

  const label = `${SESSION_LABEL}=${session}`;
  const forget = onCleanup({ name: `container ${session}`, run: () => removeContainersNow(label), now: () => removeContainersNow(label) });
  try {
    return running(await container.start(), wait, host, forget);
  } catch (error) {
    removeContainersNow(label);
    forget();
    throw error;
  }
}

function commandLine(options: ContainerOptions): string[] {
  return [
    "-c", CONFIG, "--disable-hot-restart", "--log-level", options.logLevel ?? "info",
    ...(options.concurrency === undefined ? [] : ["--concurrency", String(options.concurrency)]),
    ...(options.componentLogLevel === undefined ? [] : ["--component-log-level", options.componentLogLevel]),
    ...(options.extraArgs ?? []),
  ];
}

async function running(started: StartedTestContainer, ready: EnvoyReady, host: boolean, forget: () => void): Promise<EnvoyContainer> {
  const container = (await docker()).container.getById(started.getId());
  const admin = ready.admin!;
  let gone = false;
  let stopping: Promise<unknown> | null = null;
  const exited = container.wait().then(() => void (gone = true), () => void (gone = true));
  const address = (port: number): string => (host ? `127.0.0.1:${port}` : `${started.getHost()}:${started.getMappedPort(port)}`);
  return {
    admin,
    id: started.getId(),
    pid: (await container.inspect()).State.Pid,
    address,
    port: (listener) => listenerPort(admin, listener),
    log: () => ready.log,
    readLog: (from) => ({ text: ready.log.slice(from), next: ready.log.length }),
    waitForLog: (pattern, timeoutMs = 5_000) => waitForLog(pattern, timeoutMs, () => ready.log, () => gone),
    exited,
    stop: async () => {
      stopping ??= started.stop({ timeout: 3_000, remove: true, removeVolumes: true }).finally(forget);
      await stopping;
    },
  };
}

/** Waits on Envoy's own /ready, from outside: there is no shell in the image to look from inside. */
class EnvoyReady implements WaitStrategy {
  admin: AdminClient | null = null;
  /** What came through the log so far. */
  log = "";

  /** @param hostPort the admin port when it needs no mapping */
  constructor(private readonly hostPort: number | null, private timeoutMs: number) {}

  async waitUntilReady(...[container, ports]: Parameters<WaitStrategy["waitUntilReady"]>): Promise<void> {
    const { info } = await docker();
    const address = this.hostPort === null ? `${info.containerRuntime.host}:${ports.getBinding(BRIDGE_ADMIN_PORT)}` : `127.0.0.1:${this.hostPort}`;
    this.admin = new AdminClient(address);
    const deadline = Date.now() + this.timeoutMs;
    while (!(await this.admin.ready())) {
      const { State } = await container.inspect();
      if (!State.Running) throw new SelvedgeError(explainLog(await fullLog(container)));
      if (Date.now() > deadline) throw logFailure("envoy-not-ready", `Envoy was not ready after ${this.timeoutMs} ms`, await fullLog(container));
      await sleep(50);
    }
  }

  withStartupTimeout(timeoutMs: number): this {
    this.timeoutMs = timeoutMs;
    return this;
  }

  isStartupTimeoutSet = (): boolean => true;
  getStartupTimeout = (): number => this.timeoutMs;
}

/** The log as the daemon has it: complete, where the stream may not have arrived yet. */
async function fullLog(container: Parameters<WaitStrategy["waitUntilReady"]>[0]): Promise<string> {
  return demultiplex(await container.logs({ stdout: true, stderr: true, follow: false }));
}

function withAdmin(bootstrap: Bootstrap, address: string, port: number): Bootstrap {
  return { ...bootstrap, admin: { ...bootstrap.admin, address: { socket_address: { address, port_value: port } } } };
}

function listenerPorts(bootstrap: Bootstrap): number[] {
  const ports = (bootstrap.static_resources?.listeners ?? []).map((listener) => listener.address?.socket_address?.port_value ?? 0);
  return [...new Set(ports.filter((port) => port > 0))];
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((listening) => server.listen(0, "127.0.0.1", listening));
  const { port } = server.address() as AddressInfo;
  await new Promise((closed) => server.close(closed));
  return port;
}

import { spawn, type ChildProcess } from "node:child_process";
import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { build } from "esbuild";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "vitest";
import { buildAll, packageRoot } from "../../harness/build/index.ts";
import { executableOnPath, findEnvoy, type EnvoyBinary } from "../../harness/envoy/index.ts";
import type { RunResult } from "../../harness/scenario/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { freePorts } from "../support/ports.ts";

/** How often the node is started and interrupted: `SELVEDGE_SOAK=50 npx vitest run --project envoy test/envoy/scenario.test.ts`. */
const ROUNDS = Number(process.env.SELVEDGE_SOAK ?? 5);
const EXAMPLE = join(packageRoot, "envoy-configs", "edge");
const RUN_MS = 120_000;

const scratch = temporaryDirectory("test");
// Where the bundle's bare imports still resolve.
const script = join(packageRoot, "node_modules", `.selvedge-test-scenario-${process.pid}.mjs`);
const modules = join(packageRoot, "dist");
let envoy: EnvoyBinary;
/** How long one whole run takes here, all in all. */
let wholeRunMs = 10_000;

beforeAll(async () => {
  envoy = await findEnvoy();
  await buildAll({ outDir: modules, only: ["edge"] });
  const source = `
    import { runNode } from ${JSON.stringify(join(packageRoot, "harness/scenario/index.ts"))};
    import { cleanup } from ${JSON.stringify(join(packageRoot, "harness/cleanup.ts"))};
    const [dir, options] = process.argv.slice(2);
    try {
      process.exitCode = await runNode(dir, JSON.parse(options));
    } catch (error) {
      process.stderr.write(error.findings ? error.message + "\\n" : "DEFECT " + error.stack);
      process.exitCode = 1;
    } finally {
      await cleanup();
    }`;
  await build({ stdin: { contents: source, resolveDir: packageRoot, loader: "ts" }, outfile: script, bundle: true, platform: "node", format: "esm", packages: "external", logLevel: "error" });
});

const running = new Set<Run>();
afterEach(async () => {
  // What a failed test left.
  for (const run of running) {
    run.child.kill("SIGKILL");
    await run.ended;
  }
});

afterAll(() => {
  rmSync(script, { force: true });
  scratch.remove();
});

interface Folder {
  path: string;
  /** Of the Gateway, Envoy's admin interface, and the upstreams. */
  ports: number[];
  adminPort: number;
  /** TMPDIR of what runs on it. */
  temporary: string;
}

let folders = 0;

/** A copy of the example on ports that are free, with changes to its Scenario. */
async function exampleFolder(edit: (scenario: string) => string = (text) => text): Promise<Folder> {
  const path = join(scratch.path, `folder-${folders++}`);
  const temporary = `${path}-tmp`;
  mkdirSync(temporary);
  cpSync(EXAMPLE, path, { recursive: true, filter: (from) => !from.endsWith("certs") });
  const free = await freePorts(8);
  const adminPort = free.pop()!;
  const ports = new Map<string, number>();
  for (const name of readdirSync(path)) {
    const file = join(path, name);
    const text = readFileSync(file, "utf8").replace(/\bport: (\d+)/g, (_, port: string) => {
      if (!ports.has(port)) ports.set(port, free.pop()!);
      return `port: ${ports.get(port)}`;
    });
    writeFileSync(file, name === "scenario.yaml" ? edit(text) : text);
  }
  return { path, ports: [...ports.values(), adminPort], adminPort, temporary };
}

interface Run {
  child: ChildProcess;
  output: { stdout: string; stderr: string };
  /** Exit code, or the signal that ended it. */
  ended: Promise<number | string>;
}

function start(folder: Folder, options: object): Run {
  const all = { envoy: envoy.path, concurrency: 1, compose: { moduleDir: modules, adminPort: folder.adminPort }, ...options };
  const child = spawn(process.execPath, [script, folder.path, JSON.stringify(all)], { env: { ...process.env, TMPDIR: folder.temporary, NO_COLOR: "1" }, stdio: ["ignore", "pipe", "pipe"] });
  const output = { stdout: "", stderr: "" };
  child.stdout.on("data", (data: Buffer) => (output.stdout += data.toString()));
  child.stderr.on("data", (data: Buffer) => (output.stderr += data.toString()));
  const ended = new Promise<number | string>((resolve) => child.once("close", (code, signal) => resolve(code ?? signal ?? "")));
  const run = { child, output, ended };
  running.add(run);
  void ended.then(() => running.delete(run));
  return run;
}

async function waitFor(run: Run, pattern: RegExp): Promise<void> {
  const deadline = Date.now() + RUN_MS;
  while (!pattern.test(run.output.stdout + run.output.stderr)) {
    if (run.child.exitCode !== null || Date.now() > deadline) throw new Error(`no ${pattern} in: ${run.output.stdout}${run.output.stderr}`);
    await sleep(20);
  }
}

/** Neither a process, nor a port, nor a file of this run is left. */
async function expectNothingLeft(folder: Folder): Promise<void> {
  const processes = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && commandLine(pid).includes(folder.temporary));
  expect(processes.map(commandLine), "processes").toEqual([]);
  expect(readdirSync(folder.temporary), "temporary files").toEqual([]);
  const certificates = join(folder.path, "certs");
  const files = existsSync(certificates) ? readdirSync(certificates, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()) : [];
  expect(files.map(({ name }) => name).filter((name) => !/^(tls\.crt|tls\.key|ca\.crt)$/.test(name)), "files beside certificates").toEqual([]);
  for (const port of folder.ports) {
    const server = createServer();
    await new Promise<void>((resolve, reject) => {
      server.once("error", reject);
      server.listen(port, "127.0.0.1", resolve);
    });
    await new Promise((resolve) => server.close(resolve));
  }
}

function commandLine(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ");
  } catch {
    return ""; // gone meanwhile
  }
}

describe("the example node", () => {
  it("decides, splits and counts as its Scenario expects", { timeout: RUN_MS }, async () => {
    const folder = await exampleFolder();
    const began = Date.now();
    const run = start(folder, { once: true, json: true });
    expect(await run.ended, run.output.stderr).toBe(0);
    wholeRunMs = Date.now() - began;
    const result = JSON.parse(run.output.stdout) as RunResult;
    expect(result).toMatchObject({ ok: true, problems: [] });

    // At least four workloads in two namespaces; each policy decided what it is for.
    const sources = new Set(result.traffic.flatMap(({ from }) => from ?? []));
    expect(sources.size).toBeGreaterThanOrEqual(4);
    expect(new Set([...sources].map((id) => id.split("/")[0]))).toEqual(new Set(["dev", "prod"]));
    const denied = result.traffic.filter(({ outcomes, sent }) => outcomes.deny === sent);
    expect(denied.flatMap(({ decidedBy }) => decidedBy.map(({ policy }) => policy))).toEqual(expect.arrayContaining(["prod/no-dev", "none"]));

    const [canary] = result.canaries;
    expect(canary).toMatchObject({ moved: 0, sticky: true, arms: [{ expected: 0.99 }, { expected: 0.01 }] });
    expect(canary!.arms[1]!.count).toBeGreaterThan(0);

    // Counted by Envoy, request by request, with plausible latencies.
    const answered = result.traffic.reduce((total, { outcomes }) => total + outcomes.allow + outcomes.deny, 0);
    expect(result.telemetry).toMatchObject({ answered, counted: answered });
    const frontend = result.telemetry!.edges.find(({ source, destination }) => source === "prod/frontend" && destination === "prod/reviews")!;
    expect(frontend.latency!.p50.value).toBeGreaterThan(1);
    expect(frontend.latency!.p99.value).toBeGreaterThanOrEqual(frontend.latency!.p50.value);
    expect(result.footprint.residentBytes).toBeGreaterThan(10e6);
    await expectNothingLeft(folder);
  });

  it("fails when an expectation does, and says which", { timeout: RUN_MS }, async () => {
    const folder = await exampleFolder((text) => text.replace(/by: prod\/no-dev/, "by: none").replace(/\n {6}canary: .*\n/, "\n      count: 5\n"));
    const run = start(folder, { once: true });
    expect(await run.ended, run.output.stderr).toBe(1);
    expect(run.output.stdout).toMatch(/1 expectation failed:\n- dev\/tester → GET shop\.example\/: expected none to decide, got prod\/no-dev#0/);
    expect(Math.max(...run.output.stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(100);
    expect(run.output.stderr).toContain("Sending");
    expect(run.output.stdout + run.output.stderr).not.toContain("\u001b");
    await expectNothingLeft(folder);
  });

  it.skipIf(executableOnPath("curl") === null)("stays up with what can be tried until it is interrupted, which is no failure", { timeout: RUN_MS }, async () => {
    const folder = await exampleFolder((text) => text.replace(/\n {6}canary: .*\n/, "\n      count: 5\n"));
    const run = start(folder, {});
    await waitFor(run, /Running until Ctrl-C/);
    expect(run.output.stdout).toContain(`http://127.0.0.1:${folder.adminPort}/stats/prometheus`);
    const commands = run.output.stdout.replaceAll(/\\\n\s*/g, "").split("\n").filter((line) => line.includes("curl -i"));
    expect(commands).toHaveLength(2);
    expect(await Promise.all(commands.map(shell))).toEqual([expect.stringContaining("x-served-by: prod/"), expect.stringMatching(/^HTTP\/\S+ 403/)]);
    run.child.kill("SIGINT");
    expect(await run.ended).toBe(0);
    await expectNothingLeft(folder);
  });

  it("ends with Envoy's last words when Envoy dies, in the middle of traffic or later", { timeout: RUN_MS }, async () => {
    for (const [edit, moment] of [
      [(text: string) => text, /Sending requests: \d/],
      [(text: string) => text.replace(/\n {6}canary: .*\n/, "\n      count: 5\n"), /Running until Ctrl-C/],
    ] as const) {
      const folder = await exampleFolder(edit);
      const run = start(folder, {});
      await waitFor(run, moment);
      const envoys = readdirSync("/proc").filter((pid) => /^\d+$/.test(pid) && commandLine(pid).startsWith(envoy.path) && commandLine(pid).includes(folder.temporary));
      expect(envoys).toHaveLength(1);
      process.kill(Number(envoys[0]), "SIGKILL");
      expect(await run.ended).toBe(1);
      expect(run.output.stderr).toContain("error[envoy-exited]: Envoy ended by itself");
      expect(run.output.stderr).not.toContain("DEFECT");
      await expectNothingLeft(folder);
    }
  });

  it("is refused before anything starts while something else has one of its ports", { timeout: RUN_MS }, async () => {
    const folder = await exampleFolder();
    const backend = folder.ports.find((port) => readFileSync(join(folder.path, "backends.yaml"), "utf8").includes(`port: ${port}`))!;
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(backend, "127.0.0.1", resolve));
    const run = start(folder, { once: true });
    expect(await run.ended).toBe(1);
    expect(run.output.stderr).toMatch(new RegExp(`error\\[upstream-port-in-use\\]: the upstream for Backend \\S+ can't listen on 127\\.0\\.0\\.1:${backend}`));
    expect(run.output.stderr).not.toContain("Starting");
    await new Promise((resolve) => server.close(resolve));
    await expectNothingLeft(folder);
  });

  it("without a Scenario is a node that serves, and needs certificates of its own", { timeout: RUN_MS }, async () => {
    const folder = await exampleFolder();
    rmSync(join(folder.path, "scenario.yaml"));
    const refused = start(folder, { once: true });
    expect(await refused.ended).toBe(1);
    expect(refused.output.stderr).toContain("error[certificate-missing]");

    writeFileSync(join(folder.path, "gateway.yaml"), plainGateway(folder.ports[0]!));
    const run = start(folder, { once: true });
    expect(await run.ended, run.output.stderr).toBe(0);
    expect(run.output.stdout).toContain(`http://127.0.0.1:${folder.ports[0]}`);
    await expectNothingLeft(folder);
  });

  it(`leaves nothing behind when it is interrupted in the middle, ${ROUNDS} times`, { timeout: ROUNDS * RUN_MS }, async () => {
    const folder = await exampleFolder();
    const endings: (number | string)[] = [];
    for (let round = 0; round < ROUNDS; round++) {
      const once = round % 2 === 0;
      const began = Date.now();
      const run = start(folder, { once });
      // At any moment, a little after the end included.
      await sleep(Math.random() * wholeRunMs * 1.1);
      const unfinished = run.child.exitCode === null;
      run.child.kill(round % 3 === 2 ? "SIGTERM" : "SIGINT");
      const ended = await run.ended;
      if (!unfinished) wholeRunMs = Math.min(wholeRunMs, 0.9 * (Date.now() - began));
      endings.push(ended);
      // Before it listens to signals, one ends it at once; after the summary, it ends as if nothing had happened.
      expect([130, 143, "SIGINT", "SIGTERM", 0]).toContain(ended);
      expect(run.output.stderr).not.toMatch(/DEFECT|error\[/);
      await expectNothingLeft(folder);
    }
    if (ROUNDS >= 50) console.log(`endings: ${endings.join(" ")}`);
  });
});

describe("the example node on the host engine", () => {
  it("decides, splits and counts as its Scenario expects, and says first what it is for", { timeout: RUN_MS }, async () => {
    const folder = await exampleFolder();
    const run = start(folder, { once: true, json: true, engine: "host" });
    expect(await run.ended, run.output.stderr).toBe(0);
    expect(run.output.stderr).toMatch(/^The host engine is for trying out, not for production/);
    expect(run.output.stderr).not.toContain("Warning");
    const result = JSON.parse(run.output.stdout) as RunResult;
    expect(result).toMatchObject({ ok: true, problems: [], engine: "host" });
    expect(result.envoy).toBeUndefined();
    expect(result.traffic.filter(({ problem }) => problem === undefined)).toHaveLength(12);
    expect(result.telemetry!.counted).toBe(result.telemetry!.answered);
    await expectNothingLeft(folder);
  });

  it("leaves nothing behind when it is interrupted, in the middle or when it is up", { timeout: 3 * RUN_MS }, async () => {
    for (const [edit, moment, ending] of [
      [(text: string) => text, /Sending requests: \d/, 130],
      [(text: string) => text.replace(/\n {6}canary: .*\n/, "\n      count: 5\n"), /Running until Ctrl-C/, 0],
    ] as const) {
      const folder = await exampleFolder(edit);
      const run = start(folder, { engine: "host" });
      await waitFor(run, moment);
      run.child.kill("SIGINT");
      expect(await run.ended, run.output.stderr).toBe(ending);
      expect(run.output.stderr).not.toMatch(/DEFECT|error\[/);
      await expectNothingLeft(folder);
    }
  });
});

function plainGateway(port: number): string {
  return `
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: { name: edge, namespace: edge }
spec:
  gatewayClassName: selvedge
  addresses: [{ value: 127.0.0.1 }]
  listeners: [{ name: http, protocol: HTTP, port: ${port}, allowedRoutes: { namespaces: { from: All } } }]
`;
}

function shell(command: string): Promise<string> {
  return new Promise((resolve) => {
    const child = spawn("sh", ["-c", `${command} --silent --max-time 10`], { cwd: packageRoot, stdio: ["ignore", "pipe", "pipe"] });
    let output = "";
    child.stdout.on("data", (data: Buffer) => (output += data.toString()));
    child.stderr.on("data", (data: Buffer) => (output += data.toString()));
    child.once("close", () => resolve(output));
  });
}

import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { findEnvoy, startEnvoy, validateConfig, type Bootstrap, type EnvoyBinary } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { packageRoot } from "../../harness/build/index.ts";
import { echoBootstrap, isAlive } from "../support/envoy.ts";

let envoy: EnvoyBinary;
const scratch = temporaryDirectory("test");
// Temporary files of these Envoys alone, whatever else runs on this machine.
const temporary = join(scratch.path, "tmp");
const systemTemporary = process.env.TMPDIR;

beforeAll(async () => {
  envoy = await findEnvoy({ containers: false });
  mkdirSync(temporary);
  process.env.TMPDIR = temporary;
});
afterAll(() => {
  if (systemTemporary === undefined) delete process.env.TMPDIR;
  else process.env.TMPDIR = systemTemporary;
  scratch.remove();
});

describe("a real Envoy as a child process", () => {
  it("starts, serves, and is gone without a trace, five times in a row", async () => {
    for (let round = 0; round < 5; round++) {
      const running = await startEnvoy({ config: echoBootstrap({ status: 200, body: `round ${round}` }), envoy, concurrency: 1 });
      const response = await fetch(`http://127.0.0.1:${await running.port("test")}/`);
      expect([response.status, await response.text()]).toEqual([200, `round ${round}`]);
      const shared = existsSync(`/proc/${running.pid}/maps`) && readFileSync(`/proc/${running.pid}/maps`, "utf8").includes("/dev/shm");
      expect(shared, "shared memory outlives a killed Envoy").toBe(false);
      await running.stop();
      expect(isAlive(running.pid)).toBe(false);
      expect(running.log()).toContain("exiting");
    }
    expect(readdirSync(temporary)).toEqual([]);
  });

  it("answers through its admin interface", async () => {
    const running = await startEnvoy({ config: echoBootstrap({ status: 204, body: "" }), envoy, concurrency: 1 });
    try {
      await fetch(`http://127.0.0.1:${await running.port("test")}/`);
      const samples = await running.admin.prometheus("downstream_rq_.xx");
      const ok = samples.find(({ labels }) => labels.envoy_response_code_class === "2" && labels.envoy_http_conn_manager_prefix === "test");
      expect(ok?.value).toBe(1);
      expect((await running.admin.stats("^http\\.test\\.downstream_rq_2xx$")).get("http.test.downstream_rq_2xx")).toBe(1);
      expect((await running.admin.memory()).allocated).toBeGreaterThan(100_000);
      await running.admin.logging("debug", "http");
      expect(await running.admin.ready()).toBe(true);
    } finally {
      await running.stop();
    }
  });

  it("names the listener whose port is taken, and starts nothing", async () => {
    const server = createServer().listen(0, "127.0.0.1");
    await new Promise((resolve) => server.once("listening", resolve));
    const { port } = server.address() as AddressInfo;
    try {
      const start = startEnvoy({ config: echoBootstrap({ status: 200, body: "", port }), envoy });
      await expect(start).rejects.toThrow(`error[envoy-port-in-use]: listener test can't listen on 127.0.0.1:${port}`);
    } finally {
      server.close();
    }
  });

  it("says why Envoy refused a configuration, when starting and when validating", async () => {
    const config: Bootstrap = { static_resources: { clusters: [{ name: "a" }, { name: "a" }] } };
    await expect(startEnvoy({ config, envoy })).rejects.toThrow("error[envoy-cluster-twice]: cluster a is defined twice");
    expect(await validateConfig(config, { envoy })).toMatchObject([{ code: "envoy-cluster-twice", severity: "error" }]);
    expect(await validateConfig(echoBootstrap({ status: 200, body: "" }), { envoy })).toEqual([]);
  });

  it.each(["SIGINT", "SIGTERM", "SIGKILL"] as const)("leaves no process behind when its parent gets %s in the middle", async (signal) => {
    const script = join(packageRoot, "node_modules", `.selvedge-test-${process.pid}-${signal}.mjs`);
    const source = join(scratch.path, "child.ts");
    writeFileSync(source, `
      import { startEnvoy } from ${JSON.stringify(join(packageRoot, "harness/envoy/index.ts"))};
      const running = await startEnvoy({ config: ${JSON.stringify(echoBootstrap({ status: 200, body: "" }))}, envoy: ${JSON.stringify(envoy)} });
      console.log(running.pid);
      setInterval(() => {}, 1000);
    `);
    buildSync({ entryPoints: [source], outfile: script, bundle: true, platform: "node", format: "esm", packages: "external", logLevel: "error" });
    const parent = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = new Promise<number | null>((resolve) => parent.once("exit", (code) => resolve(code)));
    try {
      const pid = await new Promise<number>((resolve) => parent.stdout.once("data", (data: Buffer) => resolve(Number(data.toString()))));
      expect(isAlive(pid)).toBe(true);
      parent.kill(signal);
      const code = await exited;
      if (signal === "SIGKILL") {
        await expect.poll(() => isAlive(pid), { timeout: 5_000 }).toBe(false);
      } else {
        expect(code).toBe(signal === "SIGINT" ? 130 : 143);
        expect(isAlive(pid)).toBe(false);
        expect(readdirSync(temporary)).toEqual([]);
      }
    } finally {
      parent.kill("SIGKILL");
      await exited;
      rmSync(script, { force: true });
      rmSync(temporary, { recursive: true });
      mkdirSync(temporary);
    }
  });
});

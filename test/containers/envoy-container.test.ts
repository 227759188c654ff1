import { spawn } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { buildSync } from "esbuild";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { packageRoot } from "../../harness/build/index.ts";
import { buildImage, docker, findEnvoyImage, startEnvoyContainer } from "../../harness/envoy/containers.ts";
import { findEnvoy, startEnvoy, validateConfig, type Bootstrap } from "../../harness/envoy/index.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { echoBootstrap, isAlive } from "../support/envoy.ts";

let image: string;
const binary = await findEnvoy({ containers: false }).catch(() => null);
const scratch = temporaryDirectory("test");

beforeAll(async () => {
  image = (await findEnvoyImage()).image;
});
afterAll(() => scratch.remove());

const containerExists = async (id: string): Promise<boolean> => {
  const containers = await (await docker()).container.dockerode.listContainers({ all: true });
  return containers.some((container) => container.Id === id);
};

describe("a real Envoy in a container", () => {
  it("serves a request on its own network, and is gone after stop", async () => {
    const running = await startEnvoyContainer({ config: echoBootstrap({ status: 200, body: "from a container", port: 8080, address: "0.0.0.0" }), image, concurrency: 1 });
    try {
      const response = await fetch(`http://${running.address(8080)}/`);
      expect([response.status, await response.text()]).toEqual([200, "from a container"]);
      expect((await running.admin.stats("downstream_rq_2xx")).get("http.test.downstream_rq_2xx")).toBe(1);
      await running.waitForLog(/starting main dispatch loop/);
    } finally {
      await running.stop();
    }
    expect(await containerExists(running.id)).toBe(false);
  });

  it("serves on this machine's network, with the files that its configuration names and the log that it writes", async () => {
    writeFileSync(join(scratch.path, "body.txt"), "from a file");
    const log = { name: "file", typed_config: { "@type": "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog", path: join(scratch.path, "access.log"), log_format: { text_format_source: { inline_string: "%RESPONSE_CODE%\n" } } } };
    const text = JSON.stringify(echoBootstrap({ status: 200, body: "unused" })).replace('"inline_string":"unused"', '"filename":"body.txt"');
    const config = JSON.parse(text.replace('"stat_prefix":"test"', `"stat_prefix":"test","access_log":[${JSON.stringify(log)}]`)) as Bootstrap;
    const running = await startEnvoyContainer({ config, image, network: "host", cwd: scratch.path, concurrency: 1 });
    try {
      const [listener] = await running.admin.listeners();
      expect(await (await fetch(`http://${running.address(listener!.port)}/`)).text()).toBe("from a file");
    } finally {
      await running.stop();
    }
    expect(readFileSync(join(scratch.path, "access.log"), "utf8")).toBe("200\n");
    expect(await containerExists(running.id)).toBe(false);
  });

  it("says why Envoy refused a configuration, and leaves no container", async () => {
    const count = async (): Promise<number> => (await (await docker()).container.dockerode.listContainers({ all: true, filters: { label: ["dev.selvedge.session"] } })).length;
    const before = await count();
    const config: Bootstrap = { static_resources: { clusters: [{ name: "a" }, { name: "a" }] } };
    await expect(startEnvoyContainer({ config, image })).rejects.toThrow("error[envoy-cluster-twice]: cluster a is defined twice");
    expect(await count()).toBe(before);
  });

  it("leaves no container behind when its process is interrupted", async () => {
    const script = join(packageRoot, "node_modules", `.selvedge-test-${process.pid}.mjs`);
    const source = join(scratch.path, "child.ts");
    writeFileSync(source, `
      import { startEnvoyContainer } from ${JSON.stringify(join(packageRoot, "harness/envoy/containers.ts"))};
      const running = await startEnvoyContainer({ config: ${JSON.stringify(echoBootstrap({ status: 200, body: "" }))}, image: ${JSON.stringify(image)}, network: "host" });
      console.log(running.id);
      setInterval(() => {}, 1000);
    `);
    buildSync({ entryPoints: [source], outfile: script, bundle: true, platform: "node", format: "esm", packages: "external", logLevel: "error" });
    const child = spawn(process.execPath, [script], { stdio: ["ignore", "pipe", "inherit"] });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    try {
      const id = await new Promise<string>((resolve) => child.stdout.once("data", (data: Buffer) => resolve(data.toString().trim())));
      expect(await containerExists(id)).toBe(true);
      child.kill("SIGINT");
      expect(await exited).toBe(130);
      expect(await containerExists(id)).toBe(false);
    } finally {
      child.kill("SIGKILL");
      await exited;
      rmSync(script, { force: true });
    }
  });

  it("stands in for a binary where there is none", async () => {
    const envoy = await findEnvoy({ env: { PATH: "", ENVOY_IMAGE: image }, cacheDir: scratch.path, download: false });
    expect(envoy).toMatchObject({ image, source: "container" });
    const running = await startEnvoy({ config: echoBootstrap({ status: 200, body: "either way" }), envoy, concurrency: 1 });
    try {
      expect(await (await fetch(`http://127.0.0.1:${await running.port("test")}/`)).text()).toBe("either way");
      expect(isAlive(running.pid)).toBe(true);
    } finally {
      await running.stop();
    }
    expect(isAlive(running.pid)).toBe(false);
    expect(await validateConfig(echoBootstrap({ status: 200, body: "" }), { envoy })).toEqual([]);
    expect(await validateConfig({ static_resources: { clusters: [{ name: "a" }, { name: "a" }] } }, { envoy })).toMatchObject([{ code: "envoy-cluster-twice" }]);
  });

  it.skipIf(!binary)("builds the same image from a binary only once", async () => {
    const first = await buildImage(binary!);
    expect(first).toMatch(/^selvedge\/envoy:1\.\d+\.\d+-[0-9a-f]{12}$/);
    const inspect = async (): Promise<string> => (await (await docker()).container.dockerode.getImage(first).inspect()).Id;
    const id = await inspect();
    expect(await buildImage(binary!)).toBe(first);
    expect(await inspect()).toBe(id);
  });
});

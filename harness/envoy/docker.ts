import { spawnSync } from "node:child_process";
import { request, type RequestOptions } from "node:http";

/** Where the Docker daemon listens: `DOCKER_HOST`, else the usual socket. TLS endpoints are left to Testcontainers. */
export function dockerEndpoint(env: NodeJS.ProcessEnv = process.env): RequestOptions {
  const host = env.DOCKER_HOST ?? "unix:///var/run/docker.sock";
  if (host.startsWith("unix://")) return { socketPath: host.slice("unix://".length) };
  const { hostname, port } = new URL(host.replace(/^tcp:/, "http:"));
  return { host: hostname, port: port || 2375 };
}

/** The daemon's API version, or why it doesn't answer. */
export function pingDocker(env: NodeJS.ProcessEnv = process.env): Promise<{ apiVersion: string } | { error: string }> {
  return new Promise((resolve) => {
    const call = request({ ...dockerEndpoint(env), path: "/_ping", timeout: 3_000 }, (response) => {
      response.resume();
      const apiVersion = response.headers["api-version"];
      resolve(response.statusCode === 200 ? { apiVersion: String(apiVersion ?? "unknown") } : { error: `status ${response.statusCode}` });
    });
    call.on("timeout", () => call.destroy(new Error("no answer for 3 s")));
    call.on("error", (error: NodeJS.ErrnoException) => resolve({ error: error.code ?? error.message }));
    call.end();
  });
}

const REMOVE_SCRIPT = `
const { request } = require("node:http");
const [endpoint, label] = process.argv.slice(1);
const call = (method, path) => new Promise((resolve) => {
  const sent = request({ ...JSON.parse(endpoint), method, path }, (response) => {
    let text = "";
    response.on("data", (data) => (text += data)).on("end", () => resolve(text));
  });
  sent.on("error", () => resolve("[]"));
  sent.end();
});
(async () => {
  const filters = encodeURIComponent(JSON.stringify({ label: [label] }));
  for (const { Id } of JSON.parse(await call("GET", "/containers/json?all=1&filters=" + filters))) {
    await call("DELETE", "/containers/" + Id + "?force=1&v=1");
  }
})();`;

/** Removes containers by label, synchronously: for the moment in which a process can no longer wait for a promise. */
export function removeContainersNow(label: string): void {
  spawnSync(process.execPath, ["-e", REMOVE_SCRIPT, JSON.stringify(dockerEndpoint()), label], { timeout: 10_000, stdio: "ignore" });
}

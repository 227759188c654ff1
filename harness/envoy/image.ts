import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { ImageName } from "testcontainers";
import { fail, type Finding } from "../errors.ts";
import { findEnvoy, type EnvoyBinary, type FindOptions } from "./find.ts";
import { run } from "./run.ts";
import { tar, type TarEntry } from "./tar.ts";
import { docker, envoyInImage, runInContainer } from "./once.ts";
import { defaultVersion, parseVersion, tooOld } from "./version.ts";

export interface EnvoyImage {
  image: string;
  source: "ENVOY_IMAGE" | "official" | "local";
}


/** The official image of a version. */
export const officialImage = (version = defaultVersion): string => `envoyproxy/envoy:v${version}`;

/**
 * Finds an Envoy image: `ENVOY_IMAGE`, the official one when it is here or can be pulled, else one that is built from the
 * Envoy binary found on this machine, for places without a registry.
 *
 * @throws SelvedgeError `docker-unavailable`, or why there is no binary to build from
 */
export async function findEnvoyImage(options: FindOptions = {}): Promise<EnvoyImage> {
  const env = options.env ?? process.env;
  if (env.ENVOY_IMAGE) return { image: env.ENVOY_IMAGE, source: "ENVOY_IMAGE" };
  const official = officialImage(options.version);
  if (await haveImage(official, options.download !== false)) return { image: official, source: "official" };
  options.onProgress?.(`${official} can't be pulled: building an image from the Envoy on this machine`);
  return { image: await buildImage(await findEnvoy({ ...options, containers: false })), source: "local" };
}

/** The Envoy in `ENVOY_IMAGE` or in the official image, for findEnvoy(); null where neither can be had. */
export async function envoyFromImage(options: FindOptions): Promise<EnvoyBinary | Finding | null> {
  const image = (options.env ?? process.env).ENVOY_IMAGE || officialImage(options.version);
  if (!(await haveImage(image, false))) {
    if (options.download === false) return null;
    options.onProgress?.(`pulling ${image}`);
    if (!(await haveImage(image, true))) return { code: "envoy-image", severity: "error", message: `the image ${image} can't be pulled`, fix: "check the network, or set ENVOY_IMAGE" };
  }
  const { output } = await runInContainer({ image, args: ["--version"] });
  const version = parseVersion(output);
  if (version === null) return { code: "envoy-not-runnable", severity: "error", message: `there is no Envoy in the image ${image}`, found: output.trim().split("\n")[0], expected: envoyInImage };
  return tooOld(image, version) ?? { path: envoyInImage, image, version, source: "container" };
}

/** True when the image is here, or was pulled now. */
export async function haveImage(image: string, pull: boolean): Promise<boolean> {
  const client = await docker();
  const name = ImageName.fromString(image);
  if (await client.image.exists(name)) return true;
  if (!pull) return false;
  return client.image.pull(name).then(() => client.image.exists(name), () => false);
}

/**
 * Builds an image that holds an Envoy binary, the shared libraries that it is linked to, and nothing else: no shell, no
 * package manager. The tag is made from the binary's hash, so it is built once.
 */
export async function buildImage(envoy: EnvoyBinary): Promise<string> {
  const client = await docker();
  const hash = createHash("sha256");
  await pipeline(createReadStream(envoy.path), hash);
  const tag = `${envoy.version}-${hash.digest("hex").slice(0, 12)}`;
  const image = `selvedge/envoy:${tag}`;
  if (await client.image.exists(ImageName.fromString(image))) return image;

  const entries: TarEntry[] = [{ name: "tmp/", mode: 0o1777 }];
  for (const [target, source] of [[envoyInImage, envoy.path], ...(await sharedLibraries(envoy.path)).map((path) => [path, path])]) {
    entries.push({ name: target!.slice(1), mode: 0o755, data: await readFile(source!) });
  }
  const progress = await client.container.dockerode.importImage(Readable.from(tar(entries)), { repo: "selvedge/envoy", tag });
  await finished(progress);
  if (!(await client.image.exists(ImageName.fromString(image)))) fail("docker-import", `Docker didn't take the image ${image}`, { fix: "check the daemon's log and its free space" });
  return image;
}

/** Absolute paths of the libraries and the loader that a binary needs, as the dynamic linker finds them here. */
async function sharedLibraries(binary: string): Promise<string[]> {
  const result = await run("ldd", [binary]);
  if (/not a dynamic executable|statically linked/.test(result.stdout + result.stderr)) return [];
  if (result.code !== 0) fail("envoy-libraries", `ldd can't read ${binary}`, { found: result.error ?? result.stderr.trim(), fix: "set ENVOY_IMAGE to an Envoy image" });
  const paths = result.stdout.split("\n").map((line) => /(?:=> )?(\/\S+) \(0x[0-9a-f]+\)/.exec(line)?.[1]);
  return paths.filter((path) => path !== undefined);
}

/** Reads a progress stream of the Docker API to its end. */
async function finished(stream: NodeJS.ReadableStream): Promise<void> {
  let text = "";
  for await (const chunk of stream) text += String(chunk);
  const error = /"error":"([^"]*)"/.exec(text)?.[1];
  if (error !== undefined) fail("docker-import", `Docker didn't take the image: ${error}`);
}

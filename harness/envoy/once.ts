import { randomUUID } from "node:crypto";
import { existsSync, statSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { dirname, resolve } from "node:path";
import { Readable } from "node:stream";
import { getContainerRuntimeClient } from "testcontainers";
import { onCleanup } from "../cleanup.ts";
import { SelvedgeError } from "../errors.ts";
import { removeContainersNow } from "./docker.ts";
import { tar, type TarEntry } from "./tar.ts";

/** Path of Envoy in the official image, and in those that are built here. */
export const envoyInImage = "/usr/local/bin/envoy";
/** Marks every container of ours, with an id of its own for each. */
export const SESSION_LABEL = "dev.selvedge.session";

export interface OnceOptions {
  image: string;
  args: string[];
  workingDir?: string;
  /** Absolute path in the container → contents, or a path here to read them from. */
  files?: Map<string, { content: string } | { source: string }>;
}

/** Runs Envoy in a container to its end. */
export async function runInContainer(options: OnceOptions): Promise<{ code: number; output: string }> {
  const { dockerode } = (await docker()).container;
  const session = randomUUID();
  const label = `${SESSION_LABEL}=${session}`;
  const remove = (): void => removeContainersNow(label);
  const forget = onCleanup({ name: `container ${session}`, run: remove, now: remove });
  try {
    const container = await dockerode.createContainer({ Image: options.image, Entrypoint: [envoyInImage], Cmd: options.args, WorkingDir: options.workingDir, Labels: { [SESSION_LABEL]: session }, NetworkDisabled: true });
    if (options.files?.size) await container.putArchive(Readable.from(tar(await entriesOf(options.files))), { path: "/" });
    await container.start();
    const { StatusCode } = (await container.wait()) as { StatusCode: number };
    const output = demultiplex(await container.logs({ stdout: true, stderr: true, follow: false }));
    await container.remove({ force: true, v: true });
    return { code: StatusCode, output };
  } catch (error) {
    remove();
    throw error;
  } finally {
    forget();
  }
}

async function entriesOf(files: NonNullable<OnceOptions["files"]>): Promise<TarEntry[]> {
  const entries: TarEntry[] = [];
  for (const [target, file] of files) entries.push({ name: target.slice(1), mode: 0o644, data: "content" in file ? Buffer.from(file.content) : await readFile(file.source) });
  return entries;
}

/** Existing files that a configuration names by path, as absolute paths. */
export function filesOf(config: unknown, cwd: string): string[] {
  const named = objectsIn(config).flatMap((node) => [node.filename, (node.path_config_source as { path?: unknown } | undefined)?.path]);
  const paths = named.filter((path) => typeof path === "string").map((path) => resolve(cwd, path));
  return [...new Set(paths)].filter((path) => existsSync(path) && statSync(path).isFile());
}

/** Existing directories into which a configuration has Envoy write access logs. */
export function logDirectoriesOf(config: unknown, cwd: string): string[] {
  const logs = objectsIn(config).filter((node) => String(node["@type"]).endsWith(".FileAccessLog") && typeof node.path === "string");
  const directories = logs.map((node) => dirname(resolve(cwd, node.path as string)));
  return [...new Set(directories)].filter((directory) => existsSync(directory) && !["/", "/dev", "/proc"].includes(directory));
}

function objectsIn(value: unknown): Record<string, unknown>[] {
  if (typeof value !== "object" || value === null) return [];
  const below = Object.values(value).flatMap(objectsIn);
  return Array.isArray(value) ? below : [value as Record<string, unknown>, ...below];
}

/** The payload of Docker's log frames: 1 byte stream, 3 bytes nothing, 4 bytes size, then the data. */
export function demultiplex(raw: Buffer): string {
  const parts: Buffer[] = [];
  for (let at = 0; at + 8 <= raw.length; at += 8 + raw.readUInt32BE(at + 4)) parts.push(raw.subarray(at + 8, at + 8 + raw.readUInt32BE(at + 4)));
  return Buffer.concat(parts).toString();
}

/** Testcontainers' client of the daemon. */
export async function docker(): ReturnType<typeof getContainerRuntimeClient> {
  try {
    return await getContainerRuntimeClient();
  } catch (cause) {
    throw new SelvedgeError({ code: "docker-unavailable", severity: "error", message: "no container runtime answers", found: (cause as Error).message, fix: "start the Docker daemon, or set DOCKER_HOST" }, { cause });
  }
}

import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { compareVersions, executableOnPath, findEnvoy } from "../../../harness/envoy/index.ts";
import { cachedBinary } from "../../../harness/envoy/wheel.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";

const scratch = temporaryDirectory("test");
afterAll(() => scratch.remove());

/** A program that says it is an Envoy of this version. */
function fakeEnvoy(name: string, version: string): string {
  const path = join(scratch.path, name);
  mkdirSync(join(path, ".."), { recursive: true });
  writeFileSync(path, `#!/bin/sh\necho "$0  version: 0123456789abcdef/${version}/Clean/RELEASE/BoringSSL"\n`);
  chmodSync(path, 0o755);
  return path;
}

/** Nothing but what a test puts there. */
const isolated = { download: false, containers: false, cacheDir: join(scratch.path, "cache") };

describe("findEnvoy", () => {
  it("takes --envoy before ENVOY_PATH before PATH before the cache", async () => {
    const flag = fakeEnvoy("flag/envoy", "1.40.1");
    const named = fakeEnvoy("named/envoy", "1.40.2");
    const onPath = fakeEnvoy("path/envoy", "1.40.3");
    const cacheDir = join(scratch.path, "cache1");
    const cached = fakeEnvoy(cachedBinary("1.40.0", cacheDir).slice(scratch.path.length + 1), "1.40.0");
    const options = { ...isolated, cacheDir };
    const PATH = `${join(scratch.path, "path")}:/bin`;
    expect(await findEnvoy({ ...options, flag, env: { ENVOY_PATH: named, PATH } })).toEqual({ path: flag, version: "1.40.1", source: "--envoy" });
    expect(await findEnvoy({ ...options, env: { ENVOY_PATH: named, PATH } })).toEqual({ path: named, version: "1.40.2", source: "ENVOY_PATH" });
    expect(await findEnvoy({ ...options, env: { PATH } })).toEqual({ path: onPath, version: "1.40.3", source: "PATH" });
    expect(await findEnvoy({ ...options, env: { PATH: "/bin" } })).toEqual({ path: cached, version: "1.40.0", source: "wheel" });
  });

  it("refuses an Envoy that is too old when it was asked for by name", async () => {
    const flag = fakeEnvoy("old/envoy", "1.35.9");
    await expect(findEnvoy({ ...isolated, flag })).rejects.toThrow(`error[envoy-too-old]: ${flag} is too old\n  found: Envoy 1.35.9\n  expected: 1.36.0 or newer`);
    await expect(findEnvoy({ ...isolated, env: { ENVOY_PATH: flag, PATH: "" } })).rejects.toThrow("envoy-too-old");
  });

  it("passes over one that is too old on PATH, and tells of it when nothing better is found", async () => {
    fakeEnvoy("old-path/envoy", "1.20.0");
    const cacheDir = join(scratch.path, "cache2");
    const env = { PATH: `${join(scratch.path, "old-path")}:/bin` };
    await expect(findEnvoy({ ...isolated, cacheDir, env })).rejects.toThrow(/error\[envoy-not-found\][\s\S]*error\[envoy-too-old\]/);
    fakeEnvoy(cachedBinary("1.40.0", cacheDir).slice(scratch.path.length + 1), "1.40.0");
    const passedOver: string[] = [];
    expect(await findEnvoy({ ...isolated, cacheDir, env, onProgress: (message) => passedOver.push(message) })).toMatchObject({ source: "wheel" });
    expect(passedOver.join()).toContain("is too old (Envoy 1.20.0)");
  });

  it("says what is wrong with a file that isn't an Envoy, and with one that isn't there", async () => {
    const notEnvoy = join(scratch.path, "script");
    writeFileSync(notEnvoy, "#!/bin/sh\necho hello\n", { mode: 0o755 });
    await expect(findEnvoy({ ...isolated, flag: notEnvoy })).rejects.toThrow(/error\[envoy-not-runnable\][\s\S]*found: hello/);
    await expect(findEnvoy({ ...isolated, flag: join(scratch.path, "none") })).rejects.toThrow(/error\[envoy-not-runnable\][\s\S]*found: ENOENT/);
    chmodSync(notEnvoy, 0o644);
    await expect(findEnvoy({ ...isolated, flag: notEnvoy })).rejects.toThrow(/chmod \+x/);
  });

  it("says everything that it looked for when there is none", async () => {
    await expect(findEnvoy({ ...isolated, env: { PATH: "" } })).rejects.toThrow(/no Envoy was found\n {2}expected: --envoy PATH, ENVOY_PATH, `envoy` on PATH, Python 3 with pip .* func-e/);
  });
});

it("finds executables on PATH, and no directories", () => {
  mkdirSync(join(scratch.path, "bin/tool"), { recursive: true });
  const path = fakeEnvoy("bin2/tool", "1.0.0");
  expect(executableOnPath("tool", { PATH: `${join(scratch.path, "bin")}:${join(scratch.path, "bin2")}` })).toBe(path);
  expect(executableOnPath("tool", {})).toBeNull();
});

it.each([["1.40.0", "1.36.2", 1], ["1.9.0", "1.36.0", -1], ["1.36.0", "1.36.0", 0], ["2.0.0", "1.99.99", 1]])("compares %s with %s by number", (a, b, sign) => {
  expect(Math.sign(compareVersions(a, b))).toBe(sign);
});

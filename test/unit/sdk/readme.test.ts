/** Holds filters/sdk/README.md to the code. That its filter works is shown in test/envoy/sdk-vm.test.ts. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { releaseOptions } from "../../../harness/build/compiler.ts";
import { packageRoot, readWasm } from "../../../harness/build/index.ts";
import { compileInProject, readmeFilter } from "../../envoy/fixtures/project.ts";

const text = readFileSync(join(packageRoot, "filters/sdk/README.md"), "utf8");

describe("filters/sdk/README.md", () => {
  it("shows a filter that compiles, with the callbacks it overrides and no import beyond the proxy's", async () => {
    const { wasm, findings } = await compileInProject(readmeFilter());
    expect(findings).toEqual([]);
    const { imports, exports } = readWasm(wasm);
    expect(new Set(imports.map(({ module }) => module))).toEqual(new Set(["env"]));
    expect(exports.map(({ name }) => name)).toEqual(expect.arrayContaining(["proxy_on_configure", "proxy_on_request_headers", "proxy_on_response_headers", "_initialize"]));
    expect(exports.map(({ name }) => name)).not.toContain("proxy_on_log");
  });

  it("gives asc the options that filters are built with", () => {
    const [, command] = /```sh\n(npx asc [^]*?)```/.exec(text)!;
    const given = Object.fromEntries([...command!.matchAll(/--(\w+)(?: ([^-\s\\]\S*))?/g)].map(([, name, value]) => [name, value ?? "true"]));
    const { transform, ...options } = given;
    expect(options).toEqual(Object.fromEntries(Object.entries(releaseOptions).map(([name, value]) => [name, String(value)])));
    expect(transform).toBe("selvedge/harness/build/transform.mjs");
  });

  it("names what exists", () => {
    const index = readFileSync(join(packageRoot, "filters/sdk/assembly/index.ts"), "utf8");
    expect(index).toContain("./context");
    for (const [, path] of text.matchAll(/selvedge\/(filters\/sdk\/[\w/]+|harness\/[\w/.]+)/g)) {
      const candidates = [path!, `${path}.ts`, `${path}/index.ts`, path!.replace(/$/, "/@solo-io/proxy-runtime/index.ts")].map((file) => join(packageRoot, file));
      expect(candidates.some((file) => readable(file)), path).toBe(true);
    }
  });
});

function readable(file: string): boolean {
  try {
    return readFileSync(file).length > 0;
  } catch {
    return false;
  }
}

import { readFile } from "node:fs/promises";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { capabilitiesOf, compileModule, inspectModule, releaseOptions } from "../../../harness/build/index.ts";
import { loadFilter } from "../../../harness/host/index.ts";

/** The plugin that an envoy.yaml mounts. */
function plugin(envoy: unknown): { root_id: string; configuration: { value: string }; capability_restriction_config: { allowed_capabilities: object } } {
  let found: unknown;
  JSON.stringify(envoy, (key, value: unknown) => {
    if (key === "config" && typeof value === "object" && value !== null && "root_id" in value) found = value;
    return value;
  });
  return found as ReturnType<typeof plugin>;
}

describe.each(["canary", "telemetry"])("the documents of %s", (name) => {
  it("hold a configuration that the filter takes, with the capabilities that it needs", async () => {
    const folder = `filters/${name}`;
    const mounted = plugin(parse(await readFile(`${folder}/envoy.yaml`, "utf8")));
    const readme = await readFile(`${folder}/README.md`, "utf8");
    const example: unknown = JSON.parse(/```json\n([\s\S]*?)```/.exec(readme)![1]!);
    expect(JSON.parse(mounted.configuration.value)).toEqual(example);

    const wasm = await compileModule({ entry: `${folder}/assembly/index.ts`, options: { ...releaseOptions, optimizeLevel: 1, exportRuntime: false } });
    const capabilities = Object.keys(mounted.capability_restriction_config.allowed_capabilities);
    expect(capabilities).toEqual(capabilitiesOf(inspectModule(wasm)));
    const filter = await loadFilter(wasm, { rootId: mounted.root_id, config: mounted.configuration.value, capabilities });
    filter.requireRunning();
    expect((await filter.http()).status).toBe(200);
    expect(filter.logs.filter(({ level }) => level === "error" || level === "critical")).toEqual([]);
  });
});

import { mkdirSync, writeFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import { join, relative } from "node:path";
import { afterAll, describe, expect, it } from "vitest";
import { buildFilter, inspectModule, packageRoot, type BuildResult } from "../../../harness/build/index.ts";
import { temporaryDirectory } from "../../../harness/tempdir.ts";

const scratch = temporaryDirectory("test");
afterAll(() => scratch.remove());

let count = 0;

/** Builds a filter from its source; `SDK` in it stands for the SDK's directory, other files can be given by name. */
async function build(source: string, files: Record<string, string> = {}): Promise<BuildResult> {
  const directory = join(scratch.path, `filter${count++}`);
  mkdirSync(directory);
  const sdk = relative(directory, join(packageRoot, "filters/sdk/assembly"));
  for (const [name, text] of Object.entries({ ...files, "index.ts": source })) writeFileSync(join(directory, name), text.replaceAll("SDK", sdk));
  return buildFilter({ entry: join(directory, "index.ts"), outDir: directory });
}

const IMPORTS = `
  export * from "SDK/proxy";
  import { Context, RootContext, registerRootContext } from "SDK/context";
  import { FilterHeadersStatusValues } from "SDK/abi/enums";
`;
const REGISTER = `
  class Root extends RootContext { createContext(id: u32): Context { return new Stream(id, this); } }
  registerRootContext((id: u32) => new Root(id), "root");
`;
const ALWAYS = ["proxy_abi_version_0_2_1", "proxy_on_memory_allocate", "proxy_on_context_create", "proxy_on_configure", "proxy_on_delete"];

const functions = (result: BuildResult): string[] => result.exports.filter((name) => name.startsWith("proxy_")).sort();
const withAlways = (...names: string[]): string[] => [...ALWAYS, ...names].sort();

describe("the build's transform", () => {
  it("exports the callbacks that a filter overrides, and what every module needs", async () => {
    const result = await build(`${IMPORTS}
      class Stream extends Context {
        onRequestHeaders(headers: u32, end: bool): FilterHeadersStatusValues { return FilterHeadersStatusValues.Continue; }
        onLog(): void {}
      }
      ${REGISTER}`);
    expect(functions(result)).toEqual(withAlways("proxy_on_request_headers", "proxy_on_log"));
    expect(result.pruned).toContain("proxy_on_request_body");
    const inspection = inspectModule(await readFile(result.path));
    expect(inspection.findings).toEqual([]);
    expect(inspection.initializers).toEqual(["_initialize"]);
    expect(inspection.wasi).toEqual([]);
    expect(inspection.hasNames).toBe(false);
  });

  it("counts methods that a class inherits from one of the filter's own", async () => {
    const result = await build(`${IMPORTS}
      import { Logging } from "./logging";
      class Stream extends Logging {}
      ${REGISTER}`, {
      "logging.ts": `
        import { Context } from "SDK/context";
        abstract class Base extends Context { onDone(): bool { return true; } }
        export class Logging extends Base { onLog(): void {} }`,
    });
    expect(functions(result)).toEqual(withAlways("proxy_on_done", "proxy_on_log"));
  });

  it("counts the root context's methods, and not those of unrelated classes", async () => {
    const result = await build(`${IMPORTS}
      class Other {}
      class Unrelated extends Other { onRequestBody(): void {} onLog(): void {} }
      class Stream extends Context {}
      class Root extends RootContext {
        createContext(id: u32): Context { new Unrelated(); return new Stream(id, this); }
        onConfigure(size: u32): bool { return true; }
        onTick(): void {}
      }
      registerRootContext((id: u32) => new Root(id), "root");`);
    expect(functions(result)).toEqual(withAlways("proxy_on_tick"));
  });

  it("counts what the compatibility entry does for a filter", async () => {
    const result = await build(`
      export * from "SDK/../compat/proxy";
      import { Context, RootContext, registerRootContext } from "SDK/../compat";
      class Stream extends Context { onLog(): void { if ((<Root>this.root_context).getConfiguration() == "") unreachable(); } }
      ${REGISTER}`);
    expect(functions(result)).toEqual(expect.arrayContaining(withAlways("proxy_on_log")));
    expect(functions(result)).not.toContain("proxy_on_request_headers");
  });

  it("never removes what the filter itself exports", async () => {
    const result = await build(`${IMPORTS}
      export function proxy_on_request_body(id: u32, size: u32, end: u32): u32 { return 0; }
      class Stream extends Context {}
      ${REGISTER}`);
    expect(functions(result)).toEqual(withAlways("proxy_on_request_body"));
    const alone = await build(`
      export function proxy_abi_version_0_2_1(): void {}
      export function proxy_on_memory_allocate(size: u32): usize { return heap.alloc(size); }
      export function proxy_on_tick(id: u32): void {}`);
    expect(functions(alone)).toEqual(["proxy_abi_version_0_2_1", "proxy_on_memory_allocate", "proxy_on_tick"]);
  });

  it("exports the answer to a call only where the call is made", async () => {
    const stream = (body: string): string => `${IMPORTS}
      import { proxy_http_call } from "SDK/abi/imports";
      class Stream extends Context { onLog(): void { ${body} } }
      ${REGISTER}`;
    expect(functions(await build(stream("")))).toEqual(withAlways("proxy_on_log"));
    expect(functions(await build(stream("proxy_http_call(0, 0, 0, 0, 0, 0, 0, 0, 0, 0);")))).toEqual(withAlways("proxy_on_http_call_response", "proxy_on_log"));
  });

  it("replaces abort, so that nothing is imported that no host has", async () => {
    const result = await build(`${IMPORTS}
      class Stream extends Context {
        onLog(): void { const list = new Array<u32>(); list[<i32>this.context_id] = 1; if (list.length > 5) throw new Error("too long"); }
      }
      ${REGISTER}`);
    expect(result.imports).not.toContain("env.abort");
    expect(result.imports).toContain("env.proxy_log");
  });

  it("lets a module read the size of the managed heap", async () => {
    const result = await build(`
      import { total } from "rt/tcms";
      export function allocate(): u32 { const before = total; new Array<u8>(1000); return <u32>(total - before); }`);
    expect((await run(result.path)).allocate!()).toBeGreaterThanOrEqual(1000);
  });

  it("lets memory grow by a quarter, where asc's allocator would double it", async () => {
    const result = await build(`
      export function used(): u32 { for (let i = 0; i < 100; i++) heap.alloc(48 * 1024); return memory.size(); }`);
    const pages = (await run(result.path)).used!();
    expect(pages).toBeGreaterThanOrEqual(75);
    expect(pages).toBeLessThan(95);
  });
});

async function run(path: string): Promise<Record<string, () => number>> {
  const { WebAssembly } = globalThis as unknown as { WebAssembly: { instantiate(bytes: Uint8Array, imports: object): Promise<{ instance: { exports: Record<string, () => number> } }> } };
  const { instance } = await WebAssembly.instantiate(await readFile(path), { env: { abort: () => undefined } });
  instance.exports._initialize!();
  return instance.exports;
}

import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { callbacks, envoyCallbacks, envoyExtras, hostCalls, wasiFunctions, wasiModules } from "../../harness/build/abi.ts";
import { capabilitiesOf, inspectModule } from "../../harness/build/index.ts";
import { findEnvoy, validateConfig, type Bootstrap, type EnvoyBinary } from "../../harness/envoy/index.ts";
import type { Finding } from "../../harness/errors.ts";
import { temporaryDirectory } from "../../harness/tempdir.ts";
import { compileWat } from "../support/wat.ts";

/** Holds the table of harness/build/abi.ts, and what `inspect` says, to what a real Envoy links. */
let envoy: EnvoyBinary;
const scratch = temporaryDirectory("test");
beforeAll(async () => {
  envoy = await findEnvoy({ containers: false });
});
afterAll(() => scratch.remove());

const BASE = `(memory (export "memory") 1) (func (export "proxy_abi_version_0_2_1")) (func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0)`;

const split = (signature: string): string[] => signature.split("->").map((part) => part.trim());
const type = (signature: string): string => {
  const [parameters, result] = split(signature);
  return `${parameters && `(param ${parameters})`} ${result && `(result ${result})`}`;
};
const importing = (module: string, entries: [string, string][]): string => entries.map(([name, signature]) => `(import "${module}" "${name}" (func ${type(signature)}))`).join("\n");
/** Callbacks that say yes to everything. */
const exporting = (entries: [string, string][]): string => entries.map(([name, signature]) => `(func (export "${name}") ${type(signature)} ${split(signature)[1] && "i32.const 1"})`).join("\n");

let count = 0;

/** What Envoy says about a module, and what we do. */
async function judge(fields: string): Promise<{ envoy: Finding[]; ours: string[] }> {
  const wasm = await compileWat(`(module ${fields})`);
  const file = join(scratch.path, `${count++}.wasm`);
  writeFileSync(file, wasm);
  const inspection = inspectModule(wasm);
  const allowed = Object.fromEntries(capabilitiesOf(inspection).map((name) => [name, {}]));
  return { envoy: await validateConfig(withModule(file, allowed), { envoy }), ours: inspection.findings.filter(({ severity }) => severity === "error").map(({ code }) => code) };
}

function withModule(file: string, allowed: object): Bootstrap {
  const wasm = {
    "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
    config: { name: "test", vm_config: { runtime: "envoy.wasm.runtime.v8", code: { local: { filename: file } } }, capability_restriction_config: { allowed_capabilities: allowed } },
  };
  const manager = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    stat_prefix: "test",
    route_config: { virtual_hosts: [{ name: "all", domains: ["*"], routes: [{ match: { prefix: "/" }, direct_response: { status: 200 } }] }] },
    http_filters: [{ name: "wasm", typed_config: wasm }, { name: "router", typed_config: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } }],
  };
  return { static_resources: { listeners: [{ name: "test", address: { socket_address: { address: "127.0.0.1", port_value: 0 } }, filter_chains: [{ filters: [{ name: "hcm", typed_config: manager }] }] }] } };
}

it("Envoy links every host call and every callback of the table, with these signatures", async () => {
  const imports = importing("env", [...Object.entries(hostCalls), ...Object.entries(envoyExtras)]);
  const exports = exporting([...Object.entries(callbacks), ...Object.entries(envoyCallbacks)]);
  expect(await judge(`${imports} ${BASE} ${exports}`)).toEqual({ envoy: [], ours: [] });
});

it.each(Object.entries({ ...callbacks, ...envoyCallbacks }))("Envoy refuses %s with another signature than %s, and so do we", async (name, signature) => {
  const { envoy: findings, ours } = await judge(`${BASE} ${exporting([[name, `f32 ${signature}`]])}`);
  expect(ours).toEqual(["proxy-wasm-export-signature"]);
  expect(findings).toMatchObject([{ code: "envoy-wasm-refused" }]);
});

it("Envoy refuses a host call with another signature, and so do we", async () => {
  for (const [name, signature] of [["proxy_log", "i32 i32 -> i32"], ["proxy_record_metric", "i32 i32 -> i32"], ["proxy_done", "->"]] as [string, string][]) {
    const { envoy: findings, ours } = await judge(`${importing("env", [[name, signature]])} ${BASE}`);
    expect(ours).toEqual(["proxy-wasm-import-signature"]);
    expect(findings).toMatchObject([{ code: "envoy-wasm-refused" }]);
  }
});

it("Envoy refuses imports that nobody offers, and so do we", async () => {
  for (const [module, name] of [["env", "abort"], ["env", "proxy_clear_route_cache"], ["env", "proxy_get_configuration"], ["wasi_snapshot_preview1", "sock_connect"], ["other", "proxy_log"]] as const) {
    const { envoy: findings, ours } = await judge(`${importing(module, [[name, "i32 -> i32"]])} ${BASE}`);
    expect(ours).toEqual(["proxy-wasm-import"]);
    expect(findings).toMatchObject([{ code: "envoy-wasm-refused" }]);
  }
});

it("Envoy links every WASI function of the table", async () => {
  expect(Object.keys(wasiFunctions)).toHaveLength(45);
  for (const module of wasiModules) expect(await judge(`${importing(module, Object.entries(wasiFunctions))} ${BASE}`)).toEqual({ envoy: [], ours: [] });
});

it("what we warn of does crash Envoy, and that is said plainly", async () => {
  const log = importing("env", [["proxy_log", hostCalls.proxy_log!]]);
  const started = await judge(`${log} ${BASE} (func $start (drop (call 0 (i32.const 5) (i32.const 0) (i32.const 1)))) (start $start)`);
  expect(started).toMatchObject({ envoy: [{ code: "envoy-crashed" }], ours: [] });
  const wide = await judge(`${BASE} (func (export "wide") (result v128) (v128.const i64x2 0 0))`);
  expect(wide).toMatchObject({ envoy: [{ code: "envoy-crashed" }], ours: ["proxy-wasm-v128"] });
});

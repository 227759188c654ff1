import { describe, expect, it } from "vitest";
import { callbacks, hostCalls } from "../../../harness/build/abi.ts";
import { capabilitiesOf, inspectModule, requireProxyWasm } from "../../../harness/build/inspect.ts";
import { compileWat } from "../../support/wat.ts";

const MARKER = '(func (export "proxy_abi_version_0_2_1"))';
const ALLOCATOR = '(func (export "proxy_on_memory_allocate") (param i32) (result i32) i32.const 0)';
const MEMORY = '(memory (export "memory") 1)';

/** Codes of the findings for a module that is fine but for `fields`. */
async function codes(fields: string, { marker = MARKER, allocator = ALLOCATOR, memory = MEMORY } = {}): Promise<string[]> {
  const inspection = inspectModule(await compileWat(`(module ${fields} ${memory} ${marker} ${allocator})`));
  return inspection.findings.map((finding) => finding.code);
}

describe("inspectModule", () => {
  it("finds nothing wrong with a module that uses the whole ABI", async () => {
    const params = (signature: string): string => {
      const [parameters = "", result = ""] = signature.split("->").map((part) => part.trim());
      return `${parameters && `(param ${parameters})`} ${result && `(result ${result})`}`;
    };
    const imports = Object.entries(hostCalls).map(([name, signature]) => `(import "env" "${name}" (func ${params(signature)}))`);
    const exports = Object.entries(callbacks).map(([name, signature]) => `(func (export "${name}") ${params(signature)} unreachable)`);
    const inspection = inspectModule(await compileWat(`(module ${imports.join("")} ${MEMORY} ${MARKER} ${ALLOCATOR} ${exports.join("")})`));
    expect(inspection.findings).toEqual([]);
    expect(inspection.hostCalls).toEqual(Object.keys(hostCalls));
    expect(inspection.callbacks).toEqual(Object.keys(callbacks));
    expect(capabilitiesOf(inspection)).toEqual([...Object.keys(hostCalls), ...Object.keys(callbacks)].sort());
  });

  it("says that a module without a marker is no Proxy-Wasm module, and what it exports instead", async () => {
    const wasm = await compileWat('(module (func (export "add")))');
    const { abi, findings } = inspectModule(wasm, "add.wasm");
    expect(abi).toBeNull();
    expect(findings[0]).toMatchObject({ code: "proxy-wasm-marker", severity: "error", where: { file: "add.wasm" }, found: "exports add" });
    expect(() => requireProxyWasm(wasm, "add.wasm")).toThrow("add.wasm: error[proxy-wasm-marker]: this is not a Proxy-Wasm module");
  });

  it("lets the first marker decide, and counts only functions", async () => {
    const two = inspectModule(await compileWat(`(module ${MEMORY} ${ALLOCATOR} (func (export "proxy_abi_version_0_2_0")) ${MARKER})`));
    expect([two.abi, two.findings.map(({ code, severity }) => [code, severity])]).toEqual(["proxy_abi_version_0_2_0", [["proxy-wasm-markers", "warning"]]]);
    const global = inspectModule(await compileWat(`(module ${MEMORY} ${ALLOCATOR} (global (export "proxy_abi_version_0_2_1") i32 (i32.const 0)))`));
    expect(global.abi).toBeNull();
    expect(await codes("", { marker: '(func (export "proxy_abi_version_0_3_0"))' })).toEqual(["proxy-wasm-marker"]);
  });

  it("prefers malloc, as Envoy does, and wants one allocator", async () => {
    const both = inspectModule(await compileWat(`(module ${MEMORY} ${MARKER} ${ALLOCATOR} (func (export "malloc") (param i32) (result i32) i32.const 0))`));
    expect(both.allocator).toBe("malloc");
    expect(await codes("", { allocator: "" })).toEqual(["proxy-wasm-allocator"]);
  });

  it("knows what each marker may import", async () => {
    const logLevel = '(import "env" "proxy_get_log_level" (func (param i32) (result i32)))';
    expect(await codes(logLevel)).toEqual([]);
    expect(await codes(logLevel, { marker: '(func (export "proxy_abi_version_0_2_0"))' })).toEqual(["proxy-wasm-import"]);
    const clear = '(import "env" "proxy_clear_route_cache" (func (result i32)))';
    expect(await codes(clear)).toEqual(["proxy-wasm-import"]);
    expect(await codes(clear, { marker: '(func (export "proxy_abi_version_0_1_0"))' })).toEqual([]);
  });

  it.each(["toString", "constructor", "__proto__"])("isn't taken in by names that every object has: %s", async (name) => {
    expect(await codes(`(import "env" "${name}" (func)) (func (export "${name}"))`)).toEqual(["proxy-wasm-import"]);
  });

  it("refuses AssemblyScript's default abort with the way out", async () => {
    const { findings } = inspectModule(await compileWat(`(module (import "env" "abort" (func (param i32 i32 i32 i32))) ${MEMORY} ${MARKER} ${ALLOCATOR})`));
    expect(findings).toMatchObject([{ code: "proxy-wasm-import", found: "i32 i32 i32 i32 ->" }]);
    expect(findings[0]!.fix).toContain("--use abort=");
  });

  it("refuses wrong signatures of imports and of exports", async () => {
    expect(await codes('(import "env" "proxy_log" (func (param i32 i32) (result i32)))')).toEqual(["proxy-wasm-import-signature"]);
    expect(await codes('(func (export "proxy_on_request_headers") (param i32 i32) (result i32) i32.const 0)')).toEqual(["proxy-wasm-export-signature"]);
    const old = '(func (export "proxy_on_request_headers") (param i32 i32) (result i32) i32.const 0)';
    expect(await codes(old, { marker: '(func (export "proxy_abi_version_0_1_0"))' })).toEqual([]);
  });

  it("takes the WASI functions that Envoy has, from either module, and no others", async () => {
    const wasi = (module: string, name: string): string => `(import "${module}" "${name}" (func (param i32 i32 i32 i32) (result i32)))`;
    const { findings, wasi: found } = inspectModule(await compileWat(`(module ${wasi("wasi_snapshot_preview1", "fd_write")} ${wasi("wasi_unstable", "fd_read")} ${MEMORY} ${MARKER} ${ALLOCATOR})`));
    expect([findings, found]).toEqual([[], ["fd_write", "fd_read"]]);
    expect(await codes(wasi("wasi_snapshot_preview1", "sock_connect"))).toEqual(["proxy-wasm-import"]);
    expect(await codes('(import "wasi_unstable" "fd_seek" (func (param i32 i32 i32 i32) (result i32)))')).toEqual(["proxy-wasm-import-signature"]);
  });

  it("warns of a start section, and refuses what makes Envoy abort", async () => {
    const started = inspectModule(await compileWat(`(module (func $s) (start $s) ${MEMORY} ${MARKER} ${ALLOCATOR})`));
    expect(started.findings).toMatchObject([{ code: "proxy-wasm-start", severity: "warning" }]);
    expect(await codes('(func (export "wide") (result v128) (v128.const i64x2 0 0))')).toEqual(["proxy-wasm-v128"]);
    expect(await codes("", { memory: "" })).toEqual(["proxy-wasm-memory"]);
    expect(await codes("", { memory: '(memory (export "memory") 16385)' })).toEqual(["proxy-wasm-memory-limit"]);
    expect(await codes("", { memory: '(memory (export "memory") 16384)' })).toEqual([]);
  });

  it("leaves Envoy's own extras out of the capabilities", async () => {
    const extras = '(import "env" "envoy_resolve_dns" (func (param i32 i32 i32) (result i32))) (import "env" "proxy_done" (func (result i32)))';
    const inspection = inspectModule(await compileWat(`(module ${extras} (func (export "envoy_on_resolve_dns") (param i32 i32 i32)) (func (export "proxy_on_log") (param i32)) ${MEMORY} ${MARKER} ${ALLOCATOR})`));
    expect(inspection.findings).toEqual([]);
    expect(capabilitiesOf(inspection)).toEqual(["proxy_done", "proxy_on_log"]);
  });
});

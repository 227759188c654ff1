/** One Envoy in which a connection meets both: native network RBAC, whose decisions are noted and don't count, and authz.wasm, whose do. */
import { writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { extension, type Config } from "../../harness/compose/emit/config.ts";
import type { Bootstrap } from "../../harness/envoy/index.ts";
import { compileWat } from "../support/wat.ts";
import type { Configuration } from "../unit/authz/oracle.ts";
import { bootstrap, listener, plugin, type Files } from "./listener.ts";
import { metadataKeys, tlvRules } from "./metadata.ts";
import { native, nativeFormat, workloadOf } from "./native.ts";

/**
 * Keeps the filters behind it from a connection until its first byte. authz decides on one without TLS as soon as it hears
 * of it, native RBAC at the first byte: so that both hear of it then, native RBAC first.
 */
const GATE = `(module
  (memory (export "memory") 1)
  (func (export "proxy_abi_version_0_2_1"))
  (func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 1024))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_new_connection") (param i32) (result i32) (i32.const 1))
  (func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32) (i32.const 0)))`;

/** Says that native RBAC was asked, where no policy applies. */
const ASKED: Config = { shadow_rules: { policies: { asked: { permissions: [{ any: true }], principals: [{ any: true }] } } }, shadow_rules_stat_prefix: "asked_" };

/** Of Envoy's lines: listener, physical peer, whether native RBAC was asked, what it said. */
export const LINE = /^(\d+) (\S+) (\S+) (.*)$/;
export const accessLog = (directory: string): string => join(directory, "access.log");

export async function tcpWorld(configurations: readonly Configuration[], files: Files, directory: string, version: string): Promise<Bootstrap> {
  const gate = join(directory, "gate.wasm");
  await writeFile(gate, await compileWat(GATE));
  return bootstrap(configurations.map((configuration, index) => listener(index, {
    chain: [
      wasm("gate", { name: "gate", root_id: "gate", failure_policy: "FAIL_CLOSED", vm_config: { vm_id: "gate", runtime: "envoy.wasm.runtime.v8", code: { local: { filename: resolve(gate) } } } }),
      ...Object.entries({ ...native(configuration, workloadOf(configuration, undefined)), asked: ASKED }).map(([name, rules]) => extension(name, "envoy.extensions.filters.network.rbac.v3.RBAC", { ...rules, stat_prefix: "tcp." })),
      wasm("authz", plugin(configuration, index, files)),
      extension("envoy.filters.network.echo", "envoy.extensions.filters.network.echo.v3.Echo"),
    ],
    accessLog: [extension("envoy.access_loggers.file", "envoy.extensions.access_loggers.file.v3.FileAccessLog", { path: accessLog(directory), log_format: { text_format_source: { inline_string:
      `${index} %DOWNSTREAM_DIRECT_REMOTE_ADDRESS% %DYNAMIC_METADATA(envoy.filters.network.rbac:asked_shadow_engine_result)% ${nativeFormat("envoy.filters.network.rbac")}\n` } } })],
    tlvRules: tlvRules(metadataKeys(configuration)),
  }, files, version)));
}

const wasm = (name: string, config: Config): Config => extension(name, "envoy.extensions.filters.network.wasm.v3.Wasm", { config });

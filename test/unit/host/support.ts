import wabtInit from "wabt";
import { loadFilter, type Filter, type FilterOptions } from "../../../harness/host/index.ts";

const wabt = await wabtInit();

/** Host calls that the test modules import, by short name. */
const IMPORTS: Record<string, [string, number]> = {
  log: ["proxy_log", 3], get: ["proxy_get_header_map_value", 5], add: ["proxy_add_header_map_value", 5], pairs: ["proxy_get_header_map_pairs", 3],
  reply: ["proxy_send_local_response", 8], continue: ["proxy_continue_stream", 1], property: ["proxy_get_property", 4], set_property: ["proxy_set_property", 4],
  tick: ["proxy_set_tick_period_milliseconds", 1], call: ["proxy_http_call", 10], get_shared: ["proxy_get_shared_data", 5], set_shared: ["proxy_set_shared_data", 5],
  define: ["proxy_define_metric", 4], foreign: ["proxy_call_foreign_function", 6], effective: ["proxy_set_effective_context", 1], done: ["proxy_done", 0],
  time: ["proxy_get_current_time_nanoseconds", 1], buffer: ["proxy_get_buffer_bytes", 5], set_pairs: ["proxy_set_header_map_pairs", 3], status: ["proxy_get_status", 3],
};

/**
 * A module from WebAssembly text: imports of what the body calls (`$log`, `$get`, …), memory, ABI marker and a bump
 * allocator come with it. `"text"` literals go into data segments by hand, from 16 to 1023.
 */
export function module(body: string, options: { allocator?: string; memory?: string } = {}): Uint8Array {
  const imports = Object.entries(IMPORTS)
    .filter(([short]) => new RegExp(`call \\$${short}[ )]`).test(body))
    .map(([short, [name, count]]) => `(import "env" "${name}" (func $${short} (param ${"i32 ".repeat(count)}) (result i32)))`);
  const metric = /call \$increment /.test(body) ? '(import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))' : "";
  const record = /call \$record /.test(body) ? '(import "env" "proxy_record_metric" (func $record (param i32 i64) (result i32)))' : "";
  const source = `(module ${imports.join("\n")} ${metric} ${record}
    ${options.memory ?? '(memory (export "memory") 4)'}
    (global $heap (mut i32) (i32.const 65536))
    (func (export "proxy_abi_version_0_2_1"))
    ${options.allocator ?? `(func (export "proxy_on_memory_allocate") (param $n i32) (result i32)
      (if (i32.gt_u (i32.add (global.get $heap) (local.get $n)) (i32.const 260000)) (then (global.set $heap (i32.const 65536))))
      (global.set $heap (i32.add (global.get $heap) (local.get $n))) (i32.sub (global.get $heap) (local.get $n)))`}
    ${body})`;
  const parsed = wabt.parseWat("test.wat", source, { mutable_globals: true, bulk_memory: true });
  const bytes = parsed.toBinary({ write_debug_names: true }).buffer;
  parsed.destroy();
  return bytes;
}

/** Loads such a module. */
export function load(body: string, options: FilterOptions & { allocator?: string; memory?: string } = {}): Promise<Filter> {
  return loadFilter(module(body, options), { name: "test", ...options });
}

/** Answers every request with 418. */
export const TEAPOT = `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (drop (call $reply (i32.const 418) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const -1))) (i32.const 0))`;

/** Traps on a request whose path is longer than one character. */
export const TRAPS_ON_LONG_PATH = `(func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
  (drop (call $get (i32.const 0) (i32.const 16) (i32.const 5) (i32.const 0) (i32.const 4)))
  (if (i32.gt_u (i32.load (i32.const 4)) (i32.const 1)) (then (unreachable))) (i32.const 0))
  (data (i32.const 16) ":path")`;

/** Never returns from a callback. */
export const endless = (callback: string, signature: string): string => `(func (export "${callback}") ${signature} (loop $again (br $again)) (unreachable))`;

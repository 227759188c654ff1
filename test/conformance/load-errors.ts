/** Modules that a host has to take or to refuse when it loads them; `accepted` is what both engines must say. */
export interface LoadCase {
  name: string;
  wat: string;
  accepted: boolean;
  /** What the host's message has to name. */
  names?: string;
  /** Bytes instead of text. */
  bytes?: Uint8Array;
}

const module = (body: string, options: { imports?: string; abi?: string; malloc?: string; memory?: string } = {}): string => `(module ${options.imports ?? ""}
  ${options.memory ?? '(memory (export "memory") 1)'}
  ${options.abi ?? '(func (export "proxy_abi_version_0_2_1"))'}
  ${options.malloc ?? '(func (export "malloc") (param i32) (result i32) (i32.const 0))'}
  ${body})`;
const call = (name: string, type: string, from = "env"): string => `(import "${from}" "${name}" (func ${type}))`;

export const loadCases: LoadCase[] = [
  { name: "plain", accepted: true, wat: module("") },
  { name: "unknown import", accepted: false, names: "env.abort", wat: module("", { imports: call("abort", "(param i32 i32 i32 i32)") }) },
  { name: "import of another module", accepted: false, names: "other.thing", wat: module("", { imports: call("thing", "", "other") }) },
  { name: "import with a wrong signature", accepted: false, names: "proxy_log", wat: module("", { imports: call("proxy_log", "(param i32 i32) (result i32)") }) },
  { name: "import without its result", accepted: false, names: "proxy_log", wat: module("", { imports: call("proxy_log", "(param i32 i32 i32)") }) },
  { name: "unknown WASI function", accepted: false, names: "fd_nothing", wat: module("", { imports: call("fd_nothing", "(result i32)", "wasi_snapshot_preview1") }) },
  { name: "WASI function with a wrong signature", accepted: false, names: "random_get", wat: module("", { imports: call("random_get", "(param i32) (result i32)", "wasi_snapshot_preview1") }) },
  { name: "WASI unstable", accepted: true, wat: module("", { imports: call("random_get", "(param i32 i32) (result i32)", "wasi_unstable") }) },
  { name: "imported global", accepted: false, names: "env.g", wat: module("", { imports: '(import "env" "g" (global i32))' }) },
  { name: "imported memory", accepted: true, wat: module("", { imports: '(import "env" "memory" (memory 1))', memory: "" }) },
  { name: "clear_route_cache since 0.2.0", accepted: false, names: "proxy_clear_route_cache", wat: module("", { imports: call("proxy_clear_route_cache", "(result i32)") }) },
  { name: "get_log_level before 0.2.1", accepted: false, names: "proxy_get_log_level", wat: module("", { imports: call("proxy_get_log_level", "(param i32) (result i32)"), abi: '(func (export "proxy_abi_version_0_2_0"))' }) },
  { name: "ABI 0.2.0", accepted: true, wat: module("", { abi: '(func (export "proxy_abi_version_0_2_0"))' }) },
  { name: "ABI 0.1.0", accepted: true, wat: module("", { abi: '(func (export "proxy_abi_version_0_1_0"))' }) },
  { name: "continue_stream in 0.1.0", accepted: false, names: "proxy_continue_stream", wat: module("", { imports: call("proxy_continue_stream", "(param i32) (result i32)"), abi: '(func (export "proxy_abi_version_0_1_0"))' }) },
  { name: "two ABI markers, the first decides", accepted: false, names: "proxy_get_log_level", wat: module("", { imports: call("proxy_get_log_level", "(param i32) (result i32)"), abi: '(func (export "proxy_abi_version_0_2_0")) (func (export "proxy_abi_version_0_2_1"))' }) },
  { name: "no ABI marker", accepted: false, names: "ABI", wat: module("", { abi: "" }) },
  { name: "unknown ABI", accepted: false, names: "proxy_abi_version_0_3_0", wat: module("", { abi: '(func (export "proxy_abi_version_0_3_0"))' }) },
  { name: "ABI marker that is no function", accepted: false, names: "ABI", wat: module("", { abi: '(global (export "proxy_abi_version_0_2_1") i32 (i32.const 0))' }) },
  { name: "no allocator", accepted: false, names: "proxy_on_memory_allocate", wat: module("", { malloc: "" }) },
  { name: "allocator of the specification", accepted: true, wat: module("", { malloc: '(func (export "proxy_on_memory_allocate") (param i32) (result i32) (i32.const 0))' }) },
  { name: "allocator with a wrong signature", accepted: false, names: "malloc", wat: module("", { malloc: '(func (export "malloc") (param i64) (result i32) (i32.const 0))' }) },
  { name: "callback with a wrong signature", accepted: false, names: "proxy_on_request_headers", wat: module('(func (export "proxy_on_request_headers") (param i32 i32) (result i32) (i32.const 0))') },
  { name: "callback without its result", accepted: false, names: "proxy_on_done", wat: module('(func (export "proxy_on_done") (param i32))') },
  { name: "more memory than allowed", accepted: false, names: "memory", wat: module("", { memory: '(memory (export "memory") 16400)' }) },
  { name: "start section that only computes", accepted: true, wat: module("(global $g (mut i32) (i32.const 0)) (func $s (global.set $g (i32.const 1))) (start $s)") },
  { name: "start section that traps", accepted: false, names: "start section", wat: module("(func $s unreachable) (start $s)") },
  { name: "_initialize that calls the host", accepted: false, names: "_initialize", wat: module('(func (export "_initialize") (drop (call $f (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0))))', { imports: '(import "env" "proxy_define_metric" (func $f (param i32 i32 i32 i32) (result i32)))' }) },
  { name: "_initialize that logs", accepted: true, wat: module('(func (export "_initialize") (drop (call $f (i32.const 2) (i32.const 0) (i32.const 0))))', { imports: '(import "env" "proxy_log" (func $f (param i32 i32 i32) (result i32)))' }) },
  { name: "_initialize that traps", accepted: false, names: "_initialize", wat: module('(func (export "_initialize") unreachable)') },
  { name: "_start that traps", accepted: false, names: "_start", wat: module('(func (export "_start") unreachable)') },
  { name: "_start beside _initialize is not called", accepted: true, wat: module('(func (export "_initialize")) (func (export "_start") unreachable)') },
  { name: "main after _initialize", accepted: false, names: "main", wat: module('(func (export "_initialize")) (func (export "main") (param i32 i32) (result i32) unreachable)') },
  { name: "__main_void after _initialize", accepted: false, names: "__main_void", wat: module('(func (export "_initialize")) (func (export "__main_void") (result i32) unreachable)') },
  { name: "on_vm_start answers 0", accepted: false, names: "proxy_on_vm_start", wat: module('(func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 0))') },
  { name: "on_configure answers 0", accepted: false, names: "proxy_on_configure", wat: module('(func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const 0))') },
  { name: "on_configure answers -1", accepted: true, wat: module('(func (export "proxy_on_configure") (param i32 i32) (result i32) (i32.const -1))') },
  { name: "on_configure traps", accepted: false, names: "proxy_on_configure", wat: module('(func (export "proxy_on_configure") (param i32 i32) (result i32) unreachable)') },
  { name: "on_context_create traps", accepted: true, wat: module('(func (export "proxy_on_context_create") (param i32 i32) unreachable)') },
  { name: "endless recursion", accepted: false, names: "call stack", wat: module('(func $r (export "proxy_on_configure") (param i32 i32) (result i32) (call $r (local.get 0) (local.get 1)))') },
  { name: "text instead of a module", accepted: false, names: "not a WebAssembly module", wat: "", bytes: Buffer.from("#!/bin/sh\n") },
  { name: "nothing", accepted: false, names: "not a WebAssembly module", wat: "", bytes: new Uint8Array(0) },
  { name: "half a module", accepted: false, names: "malformed", wat: "", bytes: Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 50, 1) },
  { name: "invalid code", accepted: false, names: "refuses", wat: "", bytes: invalidCode() },
];

/** A module with all that is needed, whose one function leaves nothing on the stack where an i32 is due. */
function invalidCode(): Uint8Array {
  const text = (value: string): number[] => [value.length, ...Buffer.from(value)];
  const section = (id: number, bytes: number[]): number[] => [id, bytes.length, ...bytes];
  return Uint8Array.from([
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [2, 0x60, 1, 0x7f, 1, 0x7f, 0x60, 0, 0]),
    ...section(3, [2, 0, 1]),
    ...section(5, [1, 0, 1]),
    ...section(7, [3, ...text("malloc"), 0, 0, ...text("proxy_abi_version_0_2_1"), 0, 1, ...text("memory"), 2, 0]),
    ...section(10, [2, 2, 0, 0x0b, 2, 0, 0x0b]),
  ]);
}

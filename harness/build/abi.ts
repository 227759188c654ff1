/**
 * The Proxy-Wasm ABI as Envoy 1.40 links it: the one table that the module inspector, the host and the capability
 * restrictions of the composed configuration read.
 *
 * Source: proxy-wasm/spec abi-versions/v0.2.1 and proxy-wasm-cpp-host include/proxy-wasm/exports.h. A module that
 * imports something else, or exports a callback with another signature, is refused when it is loaded.
 */

/** A function type written like the WebAssembly text format's: `i32 i32 -> i32`; nothing after the arrow for none. */
export type Signature = string;

/** ABI markers that Envoy accepts; the first one that a module exports (as a function, in export order) decides. */
export const abiMarkers = ["proxy_abi_version_0_1_0", "proxy_abi_version_0_2_0", "proxy_abi_version_0_2_1"] as const;
export type AbiMarker = (typeof abiMarkers)[number];

/** `n` i32 parameters and an i32 status, the shape of nearly every host call. */
const status = (parameters: number): Signature => `${"i32 ".repeat(parameters)}-> i32`;

/** Host functions of module `env`, ABI 0.2.1. */
export const hostCalls: Readonly<Record<string, Signature>> = {
  proxy_log: status(3),
  proxy_get_log_level: status(1),
  proxy_get_current_time_nanoseconds: status(1),
  proxy_set_tick_period_milliseconds: status(1),
  proxy_get_status: status(3),
  proxy_get_property: status(4),
  proxy_set_property: status(4),
  proxy_get_buffer_bytes: status(5),
  proxy_set_buffer_bytes: status(5),
  proxy_get_buffer_status: status(3),
  proxy_get_header_map_value: status(5),
  proxy_add_header_map_value: status(5),
  proxy_replace_header_map_value: status(5),
  proxy_remove_header_map_value: status(3),
  proxy_get_header_map_pairs: status(3),
  proxy_set_header_map_pairs: status(3),
  proxy_get_header_map_size: status(2),
  proxy_continue_stream: status(1),
  proxy_close_stream: status(1),
  proxy_send_local_response: status(8),
  proxy_http_call: status(10),
  proxy_grpc_call: status(12),
  proxy_grpc_stream: status(9),
  proxy_grpc_send: status(4),
  proxy_grpc_cancel: status(1),
  proxy_grpc_close: status(1),
  proxy_get_shared_data: status(5),
  proxy_set_shared_data: status(5),
  proxy_register_shared_queue: status(3),
  proxy_resolve_shared_queue: status(5),
  proxy_enqueue_shared_queue: status(3),
  proxy_dequeue_shared_queue: status(3),
  proxy_define_metric: status(4),
  proxy_increment_metric: "i32 i64 -> i32",
  proxy_record_metric: "i32 i64 -> i32",
  proxy_get_metric: status(2),
  proxy_set_effective_context: status(1),
  proxy_done: status(0),
  proxy_call_foreign_function: status(6),
};

/** Host functions that only modules marked `proxy_abi_version_0_1_0` may import. */
export const hostCalls010: Readonly<Record<string, Signature>> = {
  proxy_get_configuration: status(2),
  proxy_continue_request: status(0),
  proxy_continue_response: status(0),
  proxy_clear_route_cache: status(0),
};

/** What Envoy offers in module `env` besides the ABI; not subject to capability restriction. */
export const envoyExtras: Readonly<Record<string, Signature>> = {
  envoy_resolve_dns: status(3),
  emscripten_notify_memory_growth: "i32 ->",
  pthread_equal: "i32 i32 -> i32",
};

/** WASI modules that Envoy links; it has the same functions in both. */
export const wasiModules: readonly string[] = ["wasi_snapshot_preview1", "wasi_unstable"];

/** WASI functions that Envoy links: those of preview 1, most of which answer "not supported". */
export const wasiFunctions: readonly string[] = [
  "args_get", "args_sizes_get", "clock_res_get", "clock_time_get", "environ_get", "environ_sizes_get", "fd_advise",
  "fd_allocate", "fd_close", "fd_datasync", "fd_fdstat_get", "fd_fdstat_set_flags", "fd_fdstat_set_rights",
  "fd_filestat_get", "fd_filestat_set_size", "fd_filestat_set_times", "fd_pread", "fd_prestat_dir_name",
  "fd_prestat_get", "fd_pwrite", "fd_read", "fd_readdir", "fd_renumber", "fd_seek", "fd_sync", "fd_tell", "fd_write",
  "path_create_directory", "path_filestat_get", "path_filestat_set_times", "path_link", "path_open", "path_readlink",
  "path_remove_directory", "path_rename", "path_symlink", "path_unlink_file", "poll_oneoff", "proc_exit", "random_get",
  "sched_yield", "sock_recv", "sock_send", "sock_shutdown",
];

/** Exports through which the host allocates memory in the module, in the order in which Envoy looks for them. */
export const allocators: Readonly<Record<string, Signature>> = { malloc: "i32 -> i32", proxy_on_memory_allocate: "i32 -> i32" };

/** Exports that run once, when the module is loaded. */
export const initializers: Readonly<Record<string, Signature>> = {
  _initialize: "->",
  _start: "->",
  main: "i32 i32 -> i32",
  __main_void: "-> i32",
};

/** Callbacks that the host looks up in the module, ABI 0.2.x. */
export const callbacks: Readonly<Record<string, Signature>> = {
  proxy_on_context_create: "i32 i32 ->",
  proxy_on_vm_start: "i32 i32 -> i32",
  proxy_validate_configuration: "i32 i32 -> i32",
  proxy_on_configure: "i32 i32 -> i32",
  proxy_on_tick: "i32 ->",
  proxy_on_queue_ready: "i32 i32 ->",
  proxy_on_foreign_function: "i32 i32 i32 ->",
  proxy_on_new_connection: "i32 -> i32",
  proxy_on_downstream_data: "i32 i32 i32 -> i32",
  proxy_on_upstream_data: "i32 i32 i32 -> i32",
  proxy_on_downstream_connection_close: "i32 i32 ->",
  proxy_on_upstream_connection_close: "i32 i32 ->",
  proxy_on_request_headers: "i32 i32 i32 -> i32",
  proxy_on_request_metadata: "i32 i32 -> i32",
  proxy_on_request_body: "i32 i32 i32 -> i32",
  proxy_on_request_trailers: "i32 i32 -> i32",
  proxy_on_response_headers: "i32 i32 i32 -> i32",
  proxy_on_response_metadata: "i32 i32 -> i32",
  proxy_on_response_body: "i32 i32 i32 -> i32",
  proxy_on_response_trailers: "i32 i32 -> i32",
  proxy_on_http_call_response: "i32 i32 i32 i32 i32 ->",
  proxy_on_grpc_receive_initial_metadata: "i32 i32 i32 ->",
  proxy_on_grpc_receive: "i32 i32 i32 ->",
  proxy_on_grpc_receive_trailing_metadata: "i32 i32 i32 ->",
  proxy_on_grpc_close: "i32 i32 i32 ->",
  proxy_on_done: "i32 -> i32",
  proxy_on_log: "i32 ->",
  proxy_on_delete: "i32 ->",
};

/** Callbacks that Envoy alone looks up; not subject to capability restriction. */
export const envoyCallbacks: Readonly<Record<string, Signature>> = {
  envoy_on_resolve_dns: "i32 i32 i32 ->",
  envoy_on_stats_update: "i32 i32 ->",
};

/** The ABI 0.1.0 signatures that differ from later ones. */
export const callbacks010: Readonly<Record<string, Signature>> = {
  proxy_on_request_headers: "i32 i32 -> i32",
  proxy_on_response_headers: "i32 i32 -> i32",
};

/** Envoy's limit on a module's linear memory, in pages of 64 KiB: 1 GiB. */
export const maxMemoryPages = 16384;

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

/**
 * WASI functions that Envoy links: preview 1, most of which answer "not supported". Envoy declares two of them with one
 * parameter less than preview 1 does, path_link and path_symlink, so no module can import those.
 */
export const wasiFunctions: Readonly<Record<string, Signature>> = {
  args_get: status(2),
  args_sizes_get: status(2),
  clock_res_get: status(2),
  clock_time_get: "i32 i64 i32 -> i32",
  environ_get: status(2),
  environ_sizes_get: status(2),
  fd_advise: "i32 i64 i64 i32 -> i32",
  fd_allocate: "i32 i64 i64 -> i32",
  fd_close: status(1),
  fd_datasync: status(1),
  fd_fdstat_get: status(2),
  fd_fdstat_set_flags: status(2),
  fd_fdstat_set_rights: "i32 i64 i64 -> i32",
  fd_filestat_get: status(2),
  fd_filestat_set_size: "i32 i64 -> i32",
  fd_filestat_set_times: "i32 i64 i64 i32 -> i32",
  fd_pread: "i32 i32 i32 i64 i32 -> i32",
  fd_prestat_dir_name: status(3),
  fd_prestat_get: status(2),
  fd_pwrite: "i32 i32 i32 i64 i32 -> i32",
  fd_read: status(4),
  fd_readdir: "i32 i32 i32 i64 i32 -> i32",
  fd_renumber: status(2),
  fd_seek: "i32 i64 i32 i32 -> i32",
  fd_sync: status(1),
  fd_tell: status(2),
  fd_write: status(4),
  path_create_directory: status(3),
  path_filestat_get: status(5),
  path_filestat_set_times: "i32 i32 i32 i32 i64 i64 i32 -> i32",
  path_link: status(6),
  path_open: "i32 i32 i32 i32 i32 i64 i64 i32 i32 -> i32",
  path_readlink: status(6),
  path_remove_directory: status(3),
  path_rename: status(6),
  path_symlink: status(4),
  path_unlink_file: status(3),
  poll_oneoff: status(4),
  proc_exit: "i32 ->",
  random_get: status(2),
  sched_yield: status(0),
  sock_accept: status(3),
  sock_recv: status(6),
  sock_send: status(5),
  sock_shutdown: status(2),
};

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

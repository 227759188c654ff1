/**
 * What `@solo-io/proxy-runtime` exports from its root, release 0.1.8 and its repository's head (0.1.15), on top of this SDK:
 * a filter written for it compiles on AssemblyScript 0.28 after changing the import path, or with `--path` (see ../README.md).
 *
 * Names, parameters and documented behaviour are kept; its defects are not. Where it threw, and so took the whole VM down,
 * calls here answer with a status, or with an empty value where they have none to give.
 */
export {
  BaseContext, RootContext, Context, registerRootContext,
  BufferTypeValues, LogLevelValues, WasmResultValues, GrpcStatusValues,
  FilterStatusValues, FilterHeadersStatusValues, FilterMetadataStatusValues, FilterTrailersStatusValues, FilterDataStatusValues,
  stream_context, HeaderPair, Headers, makeHeaderPair,
  Gauge, Histogram, Counter, log,
  HttpCallback, send_local_response, continue_request, continue_response, proxy_set_effective_context,
  set_property, get_property, get_shared_data, set_shared_data, set_tick_period_milliseconds,
  register_shared_queue, resolve_shared_queue, enqueue_shared_queue, dequeue_shared_queue,
  get_buffer_bytes, call_foreign_function,
} from "./runtime";

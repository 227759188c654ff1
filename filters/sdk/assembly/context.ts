/**
 * The classes that a filter extends. The host creates a root context for each plugin configuration and a stream context
 * for each request (or connection) below it; several roots can share one VM, and each sees only its own configuration.
 *
 * Override what you need and nothing else: the build exports only the callbacks that some class overrides, because each
 * exported one costs a call per request. Class and method names are those of `@solo-io/proxy-runtime`.
 */
import { proxy_done, proxy_set_effective_context } from "./abi/imports";
import {
  BufferTypeValues, FilterDataStatusValues, FilterHeadersStatusValues, FilterMetadataStatusValues, FilterStatusValues,
  FilterTrailersStatusValues, LogLevelValues, PeerTypeValues, WasmResultValues,
} from "./abi/enums";
import { getBuffer } from "./buffers";
import { ABSENT, View, sameBytes, utf8 } from "./bytes";
import { jsonOf } from "./json/from-struct";
import { endLine, put, putText, startLine } from "./line";
import { logBytes } from "./log";
import { getProperty } from "./properties";
import { continueRequest } from "./stream";

export abstract class BaseContext {
  constructor(public context_id: u32) {}

  /** The stream or plugin ends. False holds it back until `done()`. */
  onDone(): bool {
    return true;
  }

  /** The last call for this context. */
  onDelete(): void {}

  /** Host calls that follow act on this context's stream: for callouts, which are answered on the root context. */
  setEffectiveContext(): WasmResultValues {
    return proxy_set_effective_context(this.context_id);
  }

  /** Resumes the effective context's request: see `continueRequest` of stream.ts, which says whether it could. */
  continueRequest(): void {
    continueRequest();
  }
}

export class RootContext extends BaseContext {
  constructor(context_id: u32) {
    super(context_id);
  }

  /** A new stream. Filters without state per stream may return the same object each time. */
  createContext(context_id: u32): Context {
    return new Context(context_id, this);
  }

  onStart(vm_configuration_size: usize): bool {
    return true;
  }

  /** The plugin's configuration is here ({@link configuration}). False refuses it: say why in the log first. */
  onConfigure(configuration_size: u32): bool {
    return true;
  }

  validateConfiguration(configuration_size: usize): bool {
    return true;
  }

  onTick(): void {}
  onQueueReady(token: u32): void {}
  onForeignFunction(function_id: u32, data_size: u32): void {}

  /**
   * `headers` 0: the answer broke off. Where there was none at all, Envoy gives one of its own: 504 for a time-out, 503 for
   * an endpoint that can't be reached.
   */
  onHttpCallResponse(token: u32, headers: u32, body_size: u32, trailers: u32): void {}
  onGrpcReceiveInitialMetadata(token: u32, headers: u32): void {}
  onGrpcReceive(token: u32, response_size: u32): void {}
  onGrpcReceiveTrailingMetadata(token: u32, trailers: u32): void {}
  onGrpcClose(token: u32, status_code: u32): void {}

  /** After `onDone` returned false: now the plugin may go. */
  done(): WasmResultValues {
    this.setEffectiveContext();
    return proxy_done();
  }

  /** The configuration's bytes, JSON where it was a Struct; only inside {@link onConfigure}, and gone when it returns. */
  configuration(): View {
    return jsonOf(getBuffer(BufferTypeValues.PluginConfiguration));
  }
}

export class Context extends BaseContext {
  constructor(context_id: u32, protected readonly root: RootContext) {
    super(context_id);
  }

  // An accessor, because a field's type can't be narrowed by a subclass.
  get root_context(): RootContext {
    return this.root;
  }

  onNewConnection(): FilterStatusValues {
    return FilterStatusValues.Continue;
  }
  onDownstreamData(size: usize, end: bool): FilterStatusValues {
    return FilterStatusValues.Continue;
  }
  onUpstreamData(size: usize, end: bool): FilterStatusValues {
    return FilterStatusValues.Continue;
  }
  onDownstreamConnectionClose(peer: PeerTypeValues): void {}
  onUpstreamConnectionClose(peer: PeerTypeValues): void {}

  onRequestHeaders(headers: u32, end_of_stream: bool): FilterHeadersStatusValues {
    return FilterHeadersStatusValues.Continue;
  }
  onRequestMetadata(elements: u32): FilterMetadataStatusValues {
    return FilterMetadataStatusValues.Continue;
  }
  onRequestBody(body_buffer_length: usize, end_of_stream: bool): FilterDataStatusValues {
    return FilterDataStatusValues.Continue;
  }
  onRequestTrailers(trailers: u32): FilterTrailersStatusValues {
    return FilterTrailersStatusValues.Continue;
  }
  onResponseHeaders(headers: u32, end_of_stream: bool): FilterHeadersStatusValues {
    return FilterHeadersStatusValues.Continue;
  }
  onResponseMetadata(elements: u32): FilterMetadataStatusValues {
    return FilterMetadataStatusValues.Continue;
  }
  onResponseBody(body_buffer_length: usize, end_of_stream: bool): FilterDataStatusValues {
    return FilterDataStatusValues.Continue;
  }
  onResponseTrailers(trailers: u32): FilterTrailersStatusValues {
    return FilterTrailersStatusValues.Continue;
  }
  /** The stream is over and its outcome known. */
  onLog(): void {}
}

/** A root context that the module has, under its name. */
class Registration {
  next: Registration | null = null;
  constructor(readonly factory: (context_id: u32) => RootContext, readonly name: View) {}
}

let first: Registration | null = null;
// @ts-ignore: decorator
@lazy const ROOT_ID = utf8("plugin_root_id");

/**
 * Makes a root context available under a name: the `root_id` of the plugin's configuration. A module that registers one
 * only answers to any root id.
 *
 * @param name a string, or a {@link View} that lives as long as the module: `utf8("authz")` takes less room
 */
export function registerRootContext<T>(factory: (context_id: u32) => RootContext, name: T): void {
  let bytes: View;
  if (isString<T>()) bytes = utf8(changetype<string>(name));
  else bytes = <View>name;
  const registration = new Registration(factory, bytes);
  registration.next = first;
  first = registration;
}

export function createRoot(context_id: u32): RootContext {
  const only = first!;
  if (only.next === null) return only.factory(context_id);
  const rootId = getProperty(ROOT_ID);
  let at: Registration | null = only;
  while (at !== null) {
    if (sameBytes(at.name, rootId)) return at.factory(context_id);
    at = at.next;
  }
  return new UnknownRoot(context_id);
}

/** Refuses every configuration: stands in for a root id that nobody registered, so that the reason reaches the log. */
class UnknownRoot extends RootContext {
  onConfigure(configuration_size: u32): bool {
    startLine();
    put(utf8("selvedge: no root context named '"));
    const rootId = getProperty(ROOT_ID);
    if (rootId != ABSENT) putText(rootId, 256);
    put(utf8("' in this module; it has: "));
    let at: Registration | null = first;
    while (at !== null) {
      put(at.name);
      at = at.next;
      if (at !== null) put(utf8(", "));
    }
    logBytes(LogLevelValues.critical, endLine());
    return false;
  }
}

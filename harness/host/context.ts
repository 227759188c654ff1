import type { GuestBuffer } from "./byte-buffer.ts";
import type { HeaderMap } from "./header-map.ts";
import type { Plugin } from "./plugin.ts";
import { MapType, Status, StreamType, type StatusCode } from "./types.ts";
import type { StreamInfo } from "./stream-info.ts";
import type { Vm } from "./vm.ts";

/** A local reply that a module asked for. */
export interface LocalReplyRequest {
  status: number;
  body: Uint8Array;
  /** Flat byte strings. */
  headers: readonly string[];
  /** -1 when the module gave none (or an unknown one). */
  grpcStatus: number;
  details: string;
}

/** What `declare_property` said about a name. */
export interface StatePrototype {
  readonly: boolean;
  type: "bytes" | "string" | "protobuf" | "flatbuffers";
  span: "filterChain" | "request" | "connection";
}

/**
 * One context of a VM: the VM context (id 0), a root context per plugin, or a stream context. The base class answers
 * like Envoy's context that has no stream: no maps, no stream information.
 */
export class Context {
  readonly vm: Vm;
  readonly id: number;
  readonly parentId: number;
  readonly plugin: Plugin | undefined;
  /** The root context above this one; the VM context and roots are their own. */
  readonly root: Context;
  /** Whether the module has been told about this context. */
  created = false;
  destroyed = false;
  /** The buffer that was looked at last: what buffer type CallData reads. */
  lastBuffer: GuestBuffer | undefined;
  /** What `declare_property` said here, by name; undefined: nothing. */
  prototypes: Map<string, StatePrototype> | undefined;
  /** Set while the module may read its plugin configuration. */
  configuring: Plugin | undefined;

  constructor(vm: Vm, id: number, parent: Context | undefined, plugin: Plugin | undefined) {
    this.vm = vm;
    this.id = id;
    this.parentId = parent?.id ?? 0;
    this.plugin = plugin;
    this.root = parent === undefined ? this : parent.root;
  }

  get isRoot(): boolean {
    return this.parentId === 0;
  }

  /** The map for reading; undefined when it is not available now. */
  readableMap(type: number): HeaderMap | undefined {
    const root = this.root as Partial<CalloutView>;
    switch (type) {
      case MapType.GrpcInitialMetadata:
        return root.grpcInitialMetadata;
      case MapType.GrpcTrailingMetadata:
        return root.grpcTrailingMetadata;
      case MapType.HttpCallResponseHeaders:
        return root.httpCallResponse?.headers;
      case MapType.HttpCallResponseTrailers:
        return root.httpCallResponse?.trailers;
      default:
        return undefined;
    }
  }

  /** The map for changing; undefined when it is not available now. */
  writableMap(_type: number): HeaderMap | undefined {
    return undefined;
  }

  /** Before a map is changed. */
  editing(_type: number, _map: HeaderMap): void {}

  /** True while on_log runs: missing maps then read as "not found". */
  get logging(): boolean {
    return false;
  }

  /** Information about the stream, or undefined in root contexts. */
  get info(): StreamInfo | undefined {
    return undefined;
  }

  /** The body (or connection data) that a buffer type names; undefined: none now, which reads as empty. */
  bodyBuffer(_type: number): GuestBuffer | undefined {
    return undefined;
  }

  continueStream(type: number): StatusCode {
    return type === StreamType.Upstream ? Status.Unimplemented : Status.Ok;
  }

  closeStream(_type: number): StatusCode {
    return Status.Ok;
  }

  sendLocalReply(_reply: LocalReplyRequest): void {}

  clearRouteCache(): void {}
}

/** What of a root context's callouts the host calls read. */
export interface CalloutView {
  grpcInitialMetadata: HeaderMap | undefined;
  grpcTrailingMetadata: HeaderMap | undefined;
  grpcMessage: GuestBuffer | undefined;
  httpCallResponse: { headers: HeaderMap; trailers: HeaderMap | undefined; body: GuestBuffer } | undefined;
  statusCode: number;
  statusMessage: string;
}

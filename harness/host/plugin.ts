import { createHash } from "node:crypto";
import type { Json } from "./proto.ts";
import type { FailurePolicy } from "./types.ts";

/** Traffic direction and metadata of the listener, as properties read them. */
export interface ListenerInfo {
  /** 0 unspecified, 1 inbound, 2 outbound. */
  direction: number;
  metadata: { readonly [namespace: string]: Json };
}

export interface PluginInit {
  name: string;
  rootId: string;
  vmId: string;
  config: Uint8Array;
  failurePolicy: FailurePolicy;
  reloadBackoffMs: number;
  /** Envoy's older `fail_open`: streams that a trap hits go on, too. */
  failOpen: boolean;
  allowHeadersStopIteration: boolean;
  listener: ListenerInfo;
}

/** One configured use of a module: Envoy's `PluginConfig`. */
export class Plugin implements PluginInit {
  readonly name: string;
  readonly rootId: string;
  readonly vmId: string;
  readonly config: Uint8Array;
  readonly failurePolicy: FailurePolicy;
  readonly reloadBackoffMs: number;
  readonly failOpen: boolean;
  readonly allowHeadersStopIteration: boolean;
  readonly listener: ListenerInfo;
  /** Plugins with the same key share a root context. */
  readonly key: string;

  constructor(init: PluginInit) {
    this.name = init.name;
    this.rootId = init.rootId;
    this.vmId = init.vmId;
    this.config = init.config;
    this.failurePolicy = init.failurePolicy;
    this.reloadBackoffMs = init.reloadBackoffMs;
    this.failOpen = init.failOpen;
    this.allowHeadersStopIteration = init.allowHeadersStopIteration;
    this.listener = init.listener;
    this.key = createHash("sha256")
      .update([init.rootId, init.name, String(init.listener.direction), JSON.stringify(init.listener.metadata), init.failurePolicy].join("||"))
      .update(init.config)
      .digest("hex");
  }

}

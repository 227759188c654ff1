/** The three filters as one: a request's headers, identity and route are read once, and one context serves all of them. */
import { FilterHeadersStatusValues, FilterStatusValues, StreamTypeValues } from "../../sdk/assembly/abi/enums";
import { utf8 } from "../../sdk/assembly/bytes";
import { closeStream } from "../../sdk/assembly/stream";
import { refuse } from "../../sdk/assembly/configuration";
import { Context, RootContext } from "../../sdk/assembly/context";
import { currentRoute } from "../../sdk/assembly/http/route";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { showConfiguration } from "../../authz/assembly/bundle/metrics";
import { StreamRecord } from "../../telemetry/assembly/record";
import { Edge } from "./edge";

export class EdgeRoot extends RootContext {
  edge: Edge = new Edge(0);
  /** Stream contexts whose streams are over. */
  readonly idle: EdgeStream[] = [];

  createContext(context_id: u32): Context {
    if (this.idle.length == 0) return new EdgeStream(context_id, this);
    const stream = this.idle.pop();
    stream.context_id = context_id;
    return stream;
  }

  onConfigure(size: u32): bool {
    const next = new Edge(<u64>this.context_id << 48);
    const reader = new JsonReader(this.configuration());
    if (!next.configure(reader)) {
      next.free();
      showConfiguration(true);
      return refuse(utf8("edge"), reader);
    }
    showConfiguration(false);
    this.edge.free();
    this.edge = next;
    const authz = next.authz;
    if (authz !== null) authz.warn();
    return true;
  }

  onTick(): void {
    const authz = this.edge.authz;
    if (authz !== null) authz.tick();
  }

  onHttpCallResponse(token: u32, headers: u32, body_size: u32, trailers: u32): void {
    const authz = this.edge.authz;
    if (authz !== null) authz.onHttpCallResponse(headers, body_size);
  }

  onDelete(): void {
    this.edge.free();
  }
}

export class EdgeStream extends Context {
  private readonly record: StreamRecord = new StreamRecord();
  private readonly owner: EdgeRoot;

  constructor(context_id: u32, root: EdgeRoot) {
    super(context_id, root);
    this.owner = root;
  }

  onRequestHeaders(headers: u32, end_of_stream: bool): FilterHeadersStatusValues {
    const edge = this.owner.edge;
    const telemetry = edge.telemetry;
    if (telemetry !== null) telemetry.begin(this.record, end_of_stream);

    const authz = edge.authz;
    if (authz !== null && !authz.check()) return FilterHeadersStatusValues.StopIteration;

    const canary = edge.canary;
    const arm = canary !== null ? canary.onRequest() : -1;
    // A request that was put on another arm gets its new route's name only in a later callback.
    if (telemetry !== null && arm <= 0) telemetry.routed(this.record, currentRoute());
    return FilterHeadersStatusValues.Continue;
  }

  /** Mounted for connections it would decide on nothing. */
  onNewConnection(): FilterStatusValues {
    closeStream(StreamTypeValues.Downstream);
    return FilterStatusValues.StopIteration;
  }

  onLog(): void {
    const telemetry = this.owner.edge.telemetry;
    if (telemetry !== null) telemetry.finish(this.record);
  }

  onDelete(): void {
    this.record.reset();
    this.owner.idle.push(this);
  }
}

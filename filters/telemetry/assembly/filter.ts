import { FilterHeadersStatusValues } from "../../sdk/assembly/abi/enums";
import { utf8 } from "../../sdk/assembly/bytes";
import { refuse } from "../../sdk/assembly/configuration";
import { Context, RootContext } from "../../sdk/assembly/context";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { StreamRecord } from "./record";
import { Telemetry } from "./telemetry";

export class TelemetryRoot extends RootContext {
  readonly telemetry: Telemetry = new Telemetry();
  /** Stream contexts whose streams are over. */
  readonly idle: TelemetryStream[] = [];

  createContext(context_id: u32): Context {
    if (this.idle.length == 0) return new TelemetryStream(context_id, this);
    const stream = this.idle.pop();
    stream.context_id = context_id;
    return stream;
  }

  /** Without any configuration: callers, methods, statuses, and what Envoy calls routes and clusters. */
  onConfigure(size: u32): bool {
    if (size == 0) return true;
    const reader = new JsonReader(this.configuration());
    return (this.telemetry.configure(reader) && reader.finish()) || refuse(utf8("telemetry"), reader);
  }
}

export class TelemetryStream extends Context {
  private readonly record: StreamRecord = new StreamRecord();
  private readonly owner: TelemetryRoot;

  constructor(context_id: u32, root: TelemetryRoot) {
    super(context_id, root);
    this.owner = root;
  }

  onRequestHeaders(headers: u32, end_of_stream: bool): FilterHeadersStatusValues {
    this.owner.telemetry.begin(this.record, end_of_stream);
    return FilterHeadersStatusValues.Continue;
  }

  onLog(): void {
    this.owner.telemetry.finish(this.record);
  }

  onDelete(): void {
    this.record.reset();
    this.owner.idle.push(this);
  }
}

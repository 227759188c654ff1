import { FilterHeadersStatusValues } from "../../sdk/assembly/abi/enums";
import { now } from "../../sdk/assembly/clock";
import { utf8 } from "../../sdk/assembly/bytes";
import { refuse } from "../../sdk/assembly/configuration";
import { Context, RootContext } from "../../sdk/assembly/context";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { Canary } from "./canary";

export class CanaryRoot extends RootContext {
  readonly canary: Canary;
  private stream: CanaryStream | null = null;

  constructor(context_id: u32) {
    super(context_id);
    this.canary = new Canary(now() ^ (<u64>context_id << 48));
  }

  /** Streams have no state of their own: one object stands for all of them. */
  createContext(context_id: u32): Context {
    let stream = this.stream;
    if (stream === null) {
      stream = new CanaryStream(context_id, this);
      this.stream = stream;
    }
    return stream;
  }

  onConfigure(size: u32): bool {
    const reader = new JsonReader(this.configuration());
    return (this.canary.configure(reader) && reader.finish()) || refuse(utf8("canary"), reader);
  }
}

export class CanaryStream extends Context {
  private readonly canary: Canary;

  constructor(context_id: u32, root: CanaryRoot) {
    super(context_id, root);
    this.canary = root.canary;
  }

  onRequestHeaders(headers: u32, end_of_stream: bool): FilterHeadersStatusValues {
    this.canary.onRequest();
    return FilterHeadersStatusValues.Continue;
  }
}

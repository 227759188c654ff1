/** The authz filter: one decision for each request's headers. */
import { FilterHeadersStatusValues } from "../../sdk/assembly/abi/enums";
import { ABSENT, utf8 } from "../../sdk/assembly/bytes";
import { refuse } from "../../sdk/assembly/configuration";
import { Context, RootContext } from "../../sdk/assembly/context";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { EMPTY } from "../../sdk/assembly/stream";
import { Authz } from "./authz";
import { showConfiguration } from "./bundle/metrics";

export class AuthzRoot extends RootContext {
  authz: Authz = new Authz();
  /** Nothing is kept for a stream, so that one object serves them all. */
  private streams: AuthzStream | null = null;

  createContext(context_id: u32): Context {
    let streams = this.streams;
    if (streams === null) {
      streams = new AuthzStream(context_id, this);
      this.streams = streams;
    }
    return streams;
  }

  /** False refuses the plugin. Envoy gives each configuration a root context of its own; should one come again, a bad one changes nothing. */
  onConfigure(configuration_size: u32): bool {
    const next = new Authz();
    const configuration = this.configuration();
    const reader = new JsonReader(configuration == ABSENT ? EMPTY : configuration);
    if (!next.configure(reader) || !reader.finish()) {
      next.free();
      showConfiguration(true);
      return refuse(utf8("authz"), reader);
    }
    showConfiguration(false);
    this.authz.free();
    this.authz = next;
    next.warn();
    return true;
  }

  onTick(): void {
    this.authz.tick();
  }

  onHttpCallResponse(token: u32, headers: u32, body_size: u32, trailers: u32): void {
    this.authz.onHttpCallResponse(headers, body_size);
  }

  onDelete(): void {
    this.authz.free();
  }
}

class AuthzStream extends Context {
  constructor(context_id: u32, private readonly filter: AuthzRoot) {
    super(context_id, filter);
  }

  onRequestHeaders(headers: u32, end_of_stream: bool): FilterHeadersStatusValues {
    return this.filter.authz.check() ? FilterHeadersStatusValues.Continue : FilterHeadersStatusValues.StopIteration;
  }
}

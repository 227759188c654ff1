/** The authz filter: one decision for each request's headers, or for each connection. */
import { FilterHeadersStatusValues, FilterStatusValues, StreamTypeValues } from "../../sdk/assembly/abi/enums";
import { ABSENT, utf8 } from "../../sdk/assembly/bytes";
import { refuse } from "../../sdk/assembly/configuration";
import { Context, RootContext } from "../../sdk/assembly/context";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { getProperty } from "../../sdk/assembly/properties";
import { EMPTY, closeStream } from "../../sdk/assembly/stream";
import { Authz } from "./authz";
import { showConfiguration } from "./bundle/metrics";

/** There as soon as a connection has TLS, handshake or not. */
const TLS_VERSION = utf8("connection\0tls_version");

export class AuthzRoot extends RootContext {
  authz: Authz = new Authz();
  /** Nothing is kept for a request, so that one object serves them all. */
  private streams: AuthzStream | null = null;

  createContext(context_id: u32): Context {
    if (this.authz.tcp) return new AuthzStream(context_id, this);
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

enum Verdict { None, Allowed, Denied }

class AuthzStream extends Context {
  /** On the connection. */
  private verdict: Verdict = Verdict.None;

  constructor(context_id: u32, private readonly filter: AuthzRoot) {
    super(context_id, filter);
  }

  onRequestHeaders(headers: u32, end_of_stream: bool): FilterHeadersStatusValues {
    return this.filter.authz.check() ? FilterHeadersStatusValues.Continue : FilterHeadersStatusValues.StopIteration;
  }

  /** Who the peer is, its handshake tells: before the first byte in either direction. Without TLS nothing more is to come. */
  onNewConnection(): FilterStatusValues {
    if (this.filter.authz.tcp && getProperty(TLS_VERSION) != ABSENT) return FilterStatusValues.Continue;
    return this.pass();
  }

  onDownstreamData(size: usize, end: bool): FilterStatusValues {
    return this.pass();
  }

  onUpstreamData(size: usize, end: bool): FilterStatusValues {
    return this.pass();
  }

  private pass(): FilterStatusValues {
    const authz = this.filter.authz;
    // Mounted for connections but configured for requests, whose one stream keeps nothing, it would decide on nothing.
    if (!authz.tcp) {
      closeStream(StreamTypeValues.Downstream);
      return FilterStatusValues.StopIteration;
    }
    if (this.verdict == Verdict.None) {
      this.verdict = authz.checkConnection() ? Verdict.Allowed : Verdict.Denied;
      if (this.verdict == Verdict.Denied) closeStream(StreamTypeValues.Downstream);
    }
    return this.verdict == Verdict.Allowed ? FilterStatusValues.Continue : FilterStatusValues.StopIteration;
  }
}

/**
 * The filter of the examples in harness/host/README.md: lets a request pass when the cluster `auth` says so, remembers across
 * workers who it was, and says every second how many it has asked for. `/loop` never ends.
 */
export * from "../../../../../filters/sdk/assembly/proxy";
import {
  ABSENT, Context, Counter, EMPTY, FilterHeadersStatusValues, HeaderMapTypeValues, LogLevelValues, PairsWriter, RootContext,
  getHeader, getSharedData, httpCall, log, registerRootContext, sendLocalResponse, setSharedData, setTickPeriod, toString, utf8,
} from "../../../../../filters/sdk/assembly";

const REFUSED = utf8("gate_refused");

class GateRoot extends RootContext {
  waiting: Map<u32, GateStream> = new Map();
  asked: Counter | null = null;

  onConfigure(configuration_size: u32): bool {
    this.asked = new Counter("gate_asked");
    setTickPeriod(1000);
    return true;
  }

  onTick(): void {
    log(LogLevelValues.info, "someone is known: " + (getSharedData(utf8("known")) == ABSENT ? "no" : "yes"));
  }

  createContext(context_id: u32): Context {
    return new GateStream(context_id, this);
  }

  onHttpCallResponse(token: u32, headers: u32, body_size: u32, trailers: u32): void {
    if (!this.waiting.has(token)) return;
    const stream = this.waiting.get(token);
    this.waiting.delete(token);
    const passes = headers > 0 && toString(getHeader(HeaderMapTypeValues.HttpCallResponseHeaders, utf8(":status"))) == "200";
    stream.setEffectiveContext();
    if (!passes) {
      sendLocalResponse(403, REFUSED, utf8("auth says no\n"));
      return;
    }
    setSharedData(utf8("known"), utf8("yes"));
    stream.continueRequest();
  }
}

class GateStream extends Context {
  constructor(context_id: u32, private readonly gate: GateRoot) {
    super(context_id, gate);
  }

  onRequestHeaders(headers: u32, end_of_stream: bool): FilterHeadersStatusValues {
    while (toString(getHeader(HeaderMapTypeValues.RequestHeaders, utf8(":path"))) == "/loop") {}
    if (getSharedData(utf8("known")) != ABSENT) return FilterHeadersStatusValues.Continue;
    const token = getHeader(HeaderMapTypeValues.RequestHeaders, utf8("x-token"));
    const call = new PairsWriter().add(utf8(":method"), utf8("POST")).add(utf8(":path"), utf8("/check")).add(utf8(":authority"), utf8("auth")).add(utf8("x-token"), token == ABSENT ? EMPTY : token);
    const id = httpCall(utf8("auth"), call.finish(), EMPTY, null, 200);
    if (id == 0) {
      sendLocalResponse(503, REFUSED, utf8("nobody can be asked\n"));
      return FilterHeadersStatusValues.StopIteration;
    }
    this.gate.asked!.increment();
    this.gate.waiting.set(id, this);
    return FilterHeadersStatusValues.StopIteration;
  }
}

registerRootContext((context_id: u32) => new GateRoot(context_id), "gate");

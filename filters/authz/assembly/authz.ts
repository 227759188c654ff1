/**
 * Authorization of HTTP requests, for the filter of its own and for the fused one: reads its configuration, fetches what the
 * policies need of each request, and answers those that are denied.
 */
import { LogLevelValues } from "../../sdk/assembly/abi/enums";
import { ABSENT, View, address, copyOf, size, utf8, view } from "../../sdk/assembly/bytes";
import { IdentitySource, peer } from "../../sdk/assembly/http/identity";
import { request } from "../../sdk/assembly/http/request";
import { currentRoute } from "../../sdk/assembly/http/route";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { endLine, put, startLine } from "../../sdk/assembly/line";
import { logBytes } from "../../sdk/assembly/log";
import { getIntegerProperty, getProperty } from "../../sdk/assembly/properties";
import { Bundles } from "./bundle/bundles";
import { compileClaims, freeClaims } from "./claims";
import { countAudit, countDecision, countDryRun, countHandOver, countUnusual } from "./counters";
import { logDecision } from "./decision-log";
import { Denial } from "./denial";
import { Engine } from "./engine";
import { Field, Needs } from "./fields";
import { Input } from "./match/input";
import { scratch } from "./memory/arena";
import { HandOver } from "./hand-over";
import { memberOf, readName, readWord, refuse } from "./read/members";
import { NODE_SETTINGS, SETTINGS, Settings } from "./settings";
import { Unusual } from "./names";
import { PathVerdict, checkReadings } from "./strict-paths";
import { inLowerCase } from "./match/header-slots";
import { Part, RuleRecord } from "./match/records";

const FILTER_STATE = utf8("filter_state\0");
const SOURCE_ADDRESS = utf8("source\0address");
const DESTINATION_ADDRESS = utf8("destination\0address");
const DESTINATION_PORT = utf8("destination\0port");
const SNI = utf8("connection\0requested_server_name");
const DNS_SAN = utf8("connection\0dns_san_peer_certificate");
const SUBJECT = utf8("connection\0subject_peer_certificate");

/** What isn't at hand in any case. */
const FETCHED: u32 = ~(Needs.Identity | Needs.Claims | (1 << Field.Method) | (1 << Field.Path));

export class Authz {
  /** False: policies must be signed, and no valid bundle is there. */
  serving: bool = true;
  private engine: Engine = new Engine();
  private bundles: Bundles | null = null;
  private readonly input: Input = new Input();
  private readonly denial: Denial = new Denial();
  /** Where callers' identities come from. A fused module puts its own shared source here after {@link configure}. */
  identity: IdentitySource = new IdentitySource();
  /** Property path of the physical peer's address, or {@link ABSENT}: not to be had. */
  private directAddress: View = ABSENT;
  private logDenials: bool = false;
  private readonly handOver: HandOver = new HandOver();
  /** Decides on connections: {@link checkConnection}, not {@link check}. */
  tcp: bool = false;
  /** Of the workloads, the one that this listener's connections lead to is the destination; or {@link ABSENT}: the node is. */
  private listener: View = ABSENT;
  /** Every reading of a path counts, not only the one on the wire. */
  private strictPaths: bool = false;

  /** Reads the filter's object at the cursor. False: refused, and the reader says why; then only {@link free} makes sense. */
  configure(reader: JsonReader): bool {
    const ok = this.read(reader, new Settings());
    scratch.free();
    return ok;
  }

  private read(reader: JsonReader, settings: Settings): bool {
    let plain = false;
    if (!reader.beginObject()) return false;
    while (reader.nextKey()) {
      const index = memberOf(reader, SETTINGS);
      switch (index - NODE_SETTINGS) {
        case 0: this.identity.configure(reader); break;
        case 1: this.readDirectAddress(reader); break;
        case 2: this.denial.configure(reader); break;
        case 3: this.logDenials = reader.boolean(); break;
        case 4: this.strictPaths = reader.boolean(); break;
        case 5:
        case 6:
        case 7: this.readSigned(reader, index - NODE_SETTINGS - 5); break;
        case 8: this.handOver.configure(reader); break;
        case 9: this.tcp = readWord(reader, utf8("http, tcp")) == 1; break;
        case 10: this.readListener(reader); break;
        default: {
          plain = true;
          settings.read(reader, index, this.engine.headers);
        }
      }
    }
    // A connection has no headers, no routes, and nobody to ask on its behalf.
    if (this.tcp && ((settings.workloads.count > 0 && this.listener == ABSENT) || this.identity.needsHeaders || this.handOver.possible)) {
      refuse(reader, utf8("workloads, custom or identity.xfcc"), utf8("none of them with protocol tcp, but for workloads with 'listener'"));
    }
    if (this.listener != ABSENT && !this.tcp) refuse(reader, utf8("a listener"), utf8("it with protocol tcp only"));
    const bundles = this.bundles;
    if (bundles === null) return this.compile(this.engine, reader, settings);
    // Whatever decides must be signed, or it could be swapped beside the bundle.
    if (plain) refuse(reader, utf8("what decides, unsigned"), utf8("it in the signed bundle"));
    return bundles.start(reader, this.listener);
  }

  private readListener(reader: JsonReader): void {
    const name = readName(reader);
    if (name != ABSENT) this.listener = copyOf(name);
  }

  private readSigned(reader: JsonReader, index: i32): void {
    let bundles = this.bundles;
    if (bundles === null) {
      bundles = new Bundles(this);
      this.bundles = bundles;
    }
    bundles.read(reader, index);
  }

  /** Compiles what was read, as this node needs it. False: refused, the reader says why. */
  compile(engine: Engine, reader: JsonReader, settings: Settings): bool {
    settings.tcp = this.tcp;
    settings.strictPaths = this.strictPaths;
    if (!settings.finish(reader) || !settings.narrow(reader, this.listener)) return false;
    // Of a listener's, those that connections would be held against are refused once that is known.
    if ((this.listener == ABSENT && !this.handOver.takes(reader, settings.policies)) || !engine.compile(reader, settings)) return false;
    if ((engine.needs & (1 << Field.SourceIp)) != 0 && this.directAddress == ABSENT) {
      refuse(reader, utf8("ipBlocks or source.ip in a policy"), utf8("'directAddress' beside the policies, since only a filter state tells the physical peer; or remoteIpBlocks"));
      return false;
    }
    if ((engine.needs & Needs.Claims) != 0 && !compileClaims(engine.headers.claims)) {
      refuse(reader, utf8("claims that Envoy takes no CEL expression for"), utf8("names in UTF-8, and an Envoy built with CEL"));
      return false;
    }
    return true;
  }

  /** From here on these policies decide. */
  adopt(engine: Engine): void {
    discard(this.engine);
    this.engine = engine;
  }

  tick(): void {
    const bundles = this.bundles;
    if (bundles !== null) bundles.tick();
  }

  onHttpCallResponse(headers: u32, bytes: u32): void {
    const bundles = this.bundles;
    if (bundles !== null) bundles.answered(headers, bytes);
  }

  /** Says what the operator should know though the configuration was taken. */
  warn(): void {
    const unattached = this.engine.unattached;
    if (size(unattached) == 0) return;
    startLine();
    put(utf8("selvedge: authz: these policies apply to nothing here: "));
    put(unattached);
    logBytes(LogLevelValues.warn, endLine());
  }

  private readDirectAddress(reader: JsonReader): void {
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      if (memberOf(reader, utf8("filterState")) < 0) return;
      const key = readName(reader);
      if (key != ABSENT) this.directAddress = joined(FILTER_STATE, key);
    }
    if (this.directAddress == ABSENT) refuse(reader, utf8("no source"), utf8("'filterState'"));
  }

  /** Decides on the current request. False: it was answered, so stop it. */
  check(): bool {
    const input = this.input;
    request.load();
    input.setText(Field.Method, request.method);
    input.setText(Field.Path, request.pathOnly);
    return this.tcp ? this.denyUnusual(Unusual.Protocol) : this.decide();
  }

  /** Decides on the current connection, whose handshake is done. False: close it. */
  checkConnection(): bool {
    return this.decide();
  }

  private decide(): bool {
    const engine = this.engine;
    const needs = engine.needs;
    const input = this.input;
    const identified = (needs & Needs.Identity) != 0 || this.identity.complete;
    // Also where nothing is asked of it: a denial names it.
    if (identified) {
      this.identity.load(peer);
      input.setPeer(peer);
    } else input.setNobody();
    if (!this.serving) return this.denyUnusual(Unusual.NoBundle);
    if (identified && peer.ambiguous) return this.denyUnusual(Unusual.AmbiguousIdentity);
    if ((needs & FETCHED) != 0) this.fetch(needs);
    let allowed = engine.allows(input);
    let rule = engine.rule;
    const strict = this.strictPaths && !this.tcp;
    if (allowed && strict) {
      const verdict = checkReadings(engine, input, request.pathOnly, request.hasFragment);
      if (verdict == PathVerdict.Ambiguous) return this.denyUnusual(Unusual.AmbiguousPath);
      if (verdict == PathVerdict.Denied) {
        allowed = false;
        rule = engine.rule;
      }
    }
    if (engine.has(Part.Custom) && allowed) {
      const matches = !engine.allows(input, Part.Custom)
        || (strict && checkReadings(engine, input, request.pathOnly, false, Part.Custom) == PathVerdict.Denied);
      if (!this.handOver.tell(matches ? engine.rule : null)) return this.denyUnusual(Unusual.NoProvider);
      if (matches) countHandOver(engine.rule);
    }
    countDecision(rule, allowed);
    if (engine.has(Part.OnTrial)) {
      const would = engine.allows(input, Part.OnTrial);
      countDryRun(engine.rule, would);
    }
    if (engine.has(Part.Audit)) {
      this.audit(true);
      this.audit(false);
    }
    return allowed || this.deny(rule, Unusual.No);
  }

  private audit(gateway: bool): void {
    if (this.engine.passes(this.input, Part.Audit, gateway)) return;
    countAudit(this.engine.rule);
    this.log(false, this.engine.rule, Unusual.No);
  }

  private log(denied: bool, rule: RuleRecord | null, why: Unusual): void {
    if (this.tcp) logDecision(denied, rule, why, this.input, getProperty(SNI), orEmpty(getProperty(SOURCE_ADDRESS)));
    else logDecision(denied, rule, why, this.input, request.authority, ABSENT);
  }

  /** Everything that few policies ask for. */
  private fetch(needs: u32): void {
    const input = this.input;
    if (needs & Needs.Route) input.route = currentRoute();
    if (needs & (1 << Field.Host)) input.setText(Field.Host, request.authority == ABSENT ? ABSENT : inLowerCase(request.authority));
    if (needs & (1 << Field.Header)) this.engine.headers.load(request.headers);
    if (needs & (1 << Field.RemoteIp)) input.remoteIp.parseWithPort(orEmpty(getProperty(SOURCE_ADDRESS)));
    if (needs & (1 << Field.DestinationIp)) input.destinationIp.parseWithPort(orEmpty(getProperty(DESTINATION_ADDRESS)));
    if (needs & (1 << Field.SourceIp)) input.sourceIp.parse(orEmpty(getProperty(this.directAddress)), false);
    if (needs & (1 << Field.Port)) input.port = <i32>getIntegerProperty(DESTINATION_PORT, -1);
    if (needs & (1 << Field.Sni)) input.setText(Field.Sni, getProperty(SNI));
    // In Istio "*" as a principal is any name in the certificate, and a URI is only the first that is looked at.
    if ((needs & Needs.AnyCertificate) != 0 && !input.identified) {
      input.identified = size(orEmpty(getProperty(DNS_SAN))) > 0 || size(orEmpty(getProperty(SUBJECT))) > 0;
    }
  }

  private denyUnusual(why: Unusual): bool {
    countUnusual(why);
    return this.deny(null, why);
  }

  private deny(rule: RuleRecord | null, why: Unusual): bool {
    if (this.logDenials) this.log(true, rule, why);
    if (!this.tcp || why == Unusual.Protocol) this.denial.send(rule, why);
    return false;
  }

  /** Frees what the policies take outside of the managed heap. */
  free(): void {
    this.handOver.free();
    discard(this.engine);
    const bundles = this.bundles;
    if (bundles !== null) bundles.free();
    this.denial.free();
    if (this.directAddress != ABSENT) heap.free(address(this.directAddress));
    if (this.listener != ABSENT) heap.free(address(this.listener));
    this.directAddress = ABSENT;
    this.listener = ABSENT;
  }
}

/** Frees policies, and what the proxy keeps for them. */
export function discard(engine: Engine): void {
  freeClaims(engine.headers.claims);
  engine.free();
}

function orEmpty(v: View): View {
  return v == ABSENT ? 0 : v;
}

function joined(a: View, b: View): View {
  const at = heap.alloc(size(a) + size(b));
  memory.copy(at, address(a), size(a));
  memory.copy(at + size(a), address(b), size(b));
  return view(at, size(a) + size(b));
}

/**
 * Which bundle decides. A bundle is taken if a trusted key signed it, it names this node, hasn't expired, and no newer one was
 * taken before by any VM of the process; otherwise the last good one stays, and where there is none, everything is denied.
 *
 * A configuration is refused for what any VM would find in it, never for the time or for what was seen before: Envoy asks one
 * VM first and the workers' later, and one that then refuses lets requests pass unchecked.
 */
import { LogLevelValues, MetricTypeValues } from "../../../sdk/assembly/abi/enums";
import { ABSENT, View, sameBytes, toString, utf8 } from "../../../sdk/assembly/bytes";
import { now, setTickPeriod } from "../../../sdk/assembly/clock";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { log } from "../../../sdk/assembly/log";
import { incrementMetric, recordMetric } from "../../../sdk/assembly/metrics";
import { Texts } from "../../../sdk/assembly/names";
import { EMPTY } from "../../../sdk/assembly/stream";
import { Authz } from "../authz";
import { scratch } from "../memory/arena";
import { refuse } from "../read/members";
import { Bundle, hashOf, reopened, unseal } from "./bundle";
import { Envelope } from "./envelope";
import { define } from "./metrics";
import { Reason, reasonWord } from "./reasons";
import { Newest, Turn, keyOf } from "./shared";
import { Signing } from "./signing";
import { Answer, Source, answerOf, answeredBody, answeredTag } from "./source";

const SECOND: u64 = 1_000_000_000;
const TICK: u32 = 1_000;

export class Bundles {
  private readonly texts: Texts = new Texts();
  private signing: Signing | null = null;
  private source: Source | null = null;
  private envelope: Envelope | null = null;
  private newest: Newest = new Newest(EMPTY);
  private turn: Turn = new Turn(EMPTY);
  private seen: u32 = 0;
  // The running bundle; its version is -1 where there is none.
  private version: i64 = -1;
  private hash: u32 = 0;
  private expires: u64 = 0;
  private expired: bool = false;
  private said: Reason = Reason.None;
  /** Ids + 1 of the counters, by reason. */
  private readonly counters: StaticArray<u32> = new StaticArray<u32>(7);
  private rejectedGauge: u32 = 0;
  private versionGauge: u32 = 0;
  private expiredGauge: u32 = 0;

  constructor(private readonly authz: Authz) {}

  /** Reads one member of the mounted configuration: 0 signing, 1 bundle, 2 source. */
  read(reader: JsonReader, index: i32): void {
    if (index == 0) {
      const signing = new Signing(this.texts);
      this.signing = signing;
      signing.configure(reader);
    } else if (index == 1) {
      const envelope = new Envelope();
      this.envelope = envelope;
      envelope.read(reader);
    } else {
      const source = new Source(this.texts);
      this.source = source;
      source.configure(reader);
    }
  }

  /** The mounted configuration is read. False: refused, the reader says why. */
  start(reader: JsonReader): bool {
    const signing = this.signing;
    const envelope = this.envelope;
    if (signing === null) refuse(reader, utf8("a bundle or its source"), utf8("'signing', which says whom to trust"));
    else if (envelope === null && this.source === null) refuse(reader, utf8("no bundle"), utf8("'bundle', 'source' or both"));
    if (!reader.ok || signing === null) return false;
    this.newest = new Newest(keyOf(98, signing.audience, this.texts));
    this.turn = new Turn(keyOf(116, signing.audience, this.texts));
    let mounted: Bundle | null = null;
    if (envelope !== null) {
      mounted = unseal(envelope, signing, this.authz);
      if (mounted.reason != Reason.None) {
        mounted.engine.free();
        reader.error = reader.path() + ".bundle: refused: " + describe(mounted.reason, mounted.error);
        return false;
      }
    }
    this.rejectedGauge = define(MetricTypeValues.Gauge, utf8("bundle_rejected"), ABSENT);
    this.versionGauge = define(MetricTypeValues.Gauge, utf8("bundle_version"), ABSENT);
    this.expiredGauge = define(MetricTypeValues.Gauge, utf8("bundle_expired"), ABSENT);
    this.report(this.offer(mounted, signing), "");
    this.turn.store(0, EMPTY, 0);
    this.settle(signing);
    if (this.version < 0) log(LogLevelValues.critical, "selvedge: authz: no valid bundle: everything is denied");
    setTickPeriod(TICK);
    return true;
  }

  /** Takes this bundle, if it is the best one can get, or the newest that another VM took. */
  private offer(offered: Bundle | null, signing: Signing): Reason {
    for (;;) {
      const newest = this.newest;
      newest.load();
      if (offered !== null && sameBytes(newest.payload, offered.payload)) {
        this.take(offered);
        return Reason.None;
      }
      let last: Bundle | null = null;
      if (newest.payload != ABSENT) {
        if (offered === null && hashOf(newest.payload) == this.hash) return Reason.None;
        // Another's word isn't enough: it must hold by the keys of this configuration too.
        const bundle = reopened(newest.signature, newest.payload, signing, this.authz);
        if (bundle.reason == Reason.None) last = bundle;
        else bundle.engine.free();
      }
      if (offered === null) {
        if (last !== null) this.take(last);
        return Reason.None;
      }
      let reason = Reason.None;
      if (offered.version < this.version || (last !== null && last.version >= offered.version)) reason = Reason.Version;
      else if (<u64>offered.expires <= now() / SECOND) reason = Reason.Expired;
      if (reason == Reason.None && !newest.replace(offered.signature, offered.payload)) {
        if (last !== null) last.engine.free();
        continue;
      }
      if (reason != Reason.None) {
        offered.engine.free();
        if (last !== null) this.take(last);
      } else {
        if (last !== null) last.engine.free();
        this.take(offered);
      }
      return reason;
    }
  }

  /** From here on this bundle decides, unless it or a newer one does already. */
  private take(bundle: Bundle): void {
    if (bundle.version <= this.version) return bundle.engine.free();
    this.version = bundle.version;
    this.hash = bundle.hash;
    this.expires = <u64>bundle.expires;
    this.authz.adopt(bundle.engine);
    recordMetric(this.versionGauge, <u64>bundle.version);
  }

  /** What time does to the running bundle. */
  private settle(signing: Signing): void {
    const expired = this.version >= 0 && now() / SECOND >= this.expires;
    if (expired && !this.expired) {
      log(LogLevelValues.error, signing.deniesExpired ? "selvedge: authz: the bundle has expired: everything is denied" : "selvedge: authz: the bundle has expired and still decides");
    }
    this.expired = expired;
    recordMetric(this.expiredGauge, u64(expired));
    this.authz.serving = this.version >= 0 && !(expired && signing.deniesExpired);
  }

  tick(): void {
    const signing = this.signing;
    const source = this.source;
    if (signing === null) return;
    if (source !== null) {
      const turn = this.turn;
      turn.load();
      const cas = turn.cas;
      if (cas != this.seen) {
        this.seen = cas;
        this.offer(null, signing);
      }
      const time = now();
      // Further away than an interval: the clock was set back.
      if (time >= turn.due || turn.due - time > source.interval) {
        if (turn.store(time + source.interval, turn.etag, cas) && !source.ask(turn.etag)) this.report(Reason.Unreachable, "");
      }
    }
    this.settle(signing);
    scratch.free();
  }

  /** The source has answered. */
  answered(headers: u32, bytes: u32): void {
    const signing = this.signing;
    const source = this.source;
    if (signing === null || source === null) return;
    const answer = answerOf(headers, bytes);
    let reason = answer == Answer.None ? Reason.Unreachable : answer == Answer.TooLarge ? Reason.Malformed : Reason.None;
    let error = answer == Answer.TooLarge ? "larger than 8 MiB" : "";
    if (answer == Answer.Body) {
      const reader = new JsonReader(answeredBody());
      const envelope = new Envelope();
      envelope.read(reader);
      if (reader.finish()) {
        const bundle = unseal(envelope, signing, this.authz);
        reason = bundle.reason;
        error = bundle.error;
        if (reason == Reason.None) reason = this.offer(bundle, signing);
        else bundle.engine.free();
      } else {
        reason = Reason.Malformed;
        error = reader.error;
      }
      if (reason == Reason.None) this.turn.store(now() + source.interval, answeredTag(), 0);
    }
    this.report(reason, error);
    this.settle(signing);
    scratch.free();
  }

  /** A line when something begins to be wrong, a count each time. Being offline is no reason to doubt what runs. */
  private report(reason: Reason, error: string): void {
    if (reason != Reason.Unreachable) recordMetric(this.rejectedGauge, u64(reason != Reason.None));
    if (reason != Reason.None) {
      if (unchecked(this.counters[reason]) == 0) {
        unchecked((this.counters[reason] = define(MetricTypeValues.Counter, utf8("bundle_rejections_total"), reasonWord(reason)) + 1));
      }
      incrementMetric(unchecked(this.counters[reason]) - 1, 1);
      if (reason != this.said) log(LogLevelValues.error, "selvedge: authz: bundle refused: " + describe(reason, error));
    }
    this.said = reason;
  }
}

function describe(reason: Reason, error: string): string {
  const word = toString(reasonWord(reason));
  return error.length > 0 ? word + ": " + error : word;
}

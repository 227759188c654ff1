/**
 * Which bundle decides. A bundle is taken if a trusted key signed it, it names this node, hasn't expired, and no newer one was
 * taken before by any VM of the process; otherwise the last good one stays, and where there is none, everything is denied.
 *
 * Envoy asks one VM first and the workers' later, and one that then refuses lets requests pass unchecked. So what depends on the
 * time, or on what was seen before, is a reason to refuse a configuration only until some VM has taken it; then it denies.
 */
import { LogLevelValues, MetricTypeValues, WasmResultValues } from "../../../sdk/assembly/abi/enums";
import { ABSENT, View, address, size, utf8 } from "../../../sdk/assembly/bytes";
import { now, setTickPeriod } from "../../../sdk/assembly/clock";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { endLine, put, startLine } from "../../../sdk/assembly/line";
import { logBytes } from "../../../sdk/assembly/log";
import { incrementMetric, recordMetric } from "../../../sdk/assembly/metrics";
import { getSharedData, setSharedData } from "../../../sdk/assembly/shared";
import { Authz, discard } from "../authz";
import { Arena, scratch } from "../memory/arena";
import { hashBytes } from "../memory/hash";
import { refuse } from "../read/members";
import { Bundle } from "./bundle";
import { envelopeCount, envelopePayload, envelopeSignature, readEnvelope } from "./envelope";
import { define, show } from "./metrics";
import { Reason, reasonWord } from "./reasons";
import { isNewest, loadNewest, loadTurn, newestPayload, newestSignature, numberView, replaceNewest, storeTurn, turnCas, turnDue, turnTag } from "./shared";
import { Signing } from "./signing";
import { Answer, Source, answerOf, answeredBody, answeredTag } from "./source";

const SECOND: u64 = 1_000_000_000;
const TICK: u32 = 1_000;

export class Bundles {
  private readonly arena: Arena = new Arena();
  private readonly signing: Signing = new Signing();
  private readonly source: Source = new Source();
  private mounted: bool = false;
  // Keys of shared data.
  private newest: View = 0;
  private turn: View = 0;
  private seen: u32 = 0;
  /** Is there a bundle that runs? */
  private running: bool = false;
  /** Its version; before there is one, what a first one must exceed. */
  private version: i64 = 0;
  private hash: u32 = 0;
  private expires: u64 = 0;
  private expired: bool = false;
  /** What is wrong with the bundle that was refused in this callback; and why the last one was refused. */
  private error: View = ABSENT;
  private said: Reason = Reason.None;
  /** The signature that made the last bundle count. */
  private envelope: View = ABSENT;
  /** Ids + 1 of the counters, by reason. */
  private readonly counters: StaticArray<u32> = new StaticArray<u32>(7);
  private rejected: u32 = 0;

  constructor(private readonly authz: Authz) {}

  /** Reads one member of the mounted configuration: 0 signing, 1 bundle, 2 source. */
  read(reader: JsonReader, index: i32): void {
    if (index == 0) this.signing.configure(reader, this.arena);
    else if (index == 2) this.source.configure(reader, this.arena);
    else {
      this.mounted = true;
      readEnvelope(reader);
    }
  }

  /** The mounted configuration is read. @param listener whose connections it is for, or {@link ABSENT} False: refused, the reader says why. */
  start(reader: JsonReader, listener: View): bool {
    const signing = this.signing;
    if (signing.audience == ABSENT) refuse(reader, utf8("nobody to trust"), utf8("'signing'"));
    if (!this.mounted && this.source.cluster == ABSENT) refuse(reader, utf8("no bundle"), utf8("'bundle' or 'source'"));
    if (!reader.ok) return false;
    // No name has a NUL.
    const owner = listener == ABSENT ? signing.audience : scratch.join(scratch.join(signing.audience, utf8("\0")), listener);
    this.newest = this.arena.join(utf8("b"), owner);
    this.turn = this.arena.join(utf8("t"), owner);
    this.version = signing.minimumVersion - 1;
    const reason = this.mounted ? this.unseal() : this.sync();
    const passing = reason >= Reason.Version;
    if ((reason != Reason.None && !passing) || (this.mounted && !this.admits(owner, reason))) {
      if (reason == Reason.None) return reader.failWith(utf8("no data shared between VMs"), utf8("the capabilities for it"));
      this.count(reason);
      // The text is in the one line there is, where the message will be.
      const found = scratch.copy(this.describe(utf8("a bundle refused: "), reason));
      return reader.failWith(found, passing ? utf8("a newer one, or 'source' to fetch one") : utf8("one for this node that a trusted key signed"));
    }
    this.rejected = define(MetricTypeValues.Gauge, utf8("bundle_rejected"), ABSENT);
    show(utf8("bundle_expired"), 0);
    this.report(reason);
    storeTurn(this.turn, 0, 0, 0);
    this.settle();
    if (!this.running) logBytes(LogLevelValues.critical, utf8("selvedge: authz: no valid bundle: everything is denied"));
    setTickPeriod(TICK);
    return true;
  }

  /**
   * May the configuration be taken? Where nothing newer could ever come, not for a bundle that is good for nothing now, unless
   * a VM of this process took the same before.
   */
  private admits(owner: View, reason: Reason): bool {
    const mark = scratch.join(scratch.join(scratch.join(utf8("a"), owner), numberView(this.signing.minimumVersion)), this.envelope);
    if (getSharedData(mark) != ABSENT) return true;
    if (reason != Reason.None && this.source.cluster == ABSENT) return false;
    return setSharedData(mark, utf8("1")) == WasmResultValues.Ok;
  }

  /** Takes the bundle in the envelope that was read last, if it is good. */
  private unseal(): Reason {
    for (let i: u32 = 0; i < envelopeCount; i++) {
      const signature = envelopeSignature(i);
      if (!this.signing.trusts(signature, envelopePayload)) continue;
      this.envelope = signature;
      const known = isNewest(this.newest, signature);
      if (!known) this.sync();
      return this.consider(signature, envelopePayload, known);
    }
    return Reason.Signature;
  }

  /** Takes the newest bundle that another VM took. Its word isn't enough: that must hold by the keys of this configuration too. */
  private sync(): Reason {
    loadNewest(this.newest);
    if (newestPayload != ABSENT && this.signing.trusts(newestSignature, newestPayload)) this.consider(newestSignature, newestPayload, true);
    return Reason.None;
  }

  /** Takes a signed bundle if it is newer than what runs. @param known it was taken before: then it may have expired meanwhile */
  private consider(signature: View, payload: View, known: bool): Reason {
    const hash = hashBytes(address(payload), size(payload));
    if (this.running && hash == this.hash) return Reason.None;
    const bundle = new Bundle();
    let reason = bundle.open(payload, this.signing.audience, this.authz);
    this.error = bundle.error;
    if (reason == Reason.None && !known && <u64>bundle.expires <= now() / SECOND) reason = Reason.Expired;
    if (bundle.version <= this.version && reason == Reason.None) reason = Reason.Version;
    // Another VM may have been faster: then look at what it took first.
    while (reason == Reason.None && !known && !replaceNewest(this.newest, signature, payload)) {
      this.sync();
      if (bundle.version <= this.version) reason = Reason.Version;
    }
    if (reason != Reason.None) {
      discard(bundle.engine);
      return reason;
    }
    this.running = true;
    this.version = bundle.version;
    this.hash = hash;
    this.expires = <u64>bundle.expires;
    this.authz.adopt(bundle.engine);
    show(utf8("bundle_version"), <u64>bundle.version);
    return reason;
  }

  /** What time does to the running bundle. */
  private settle(): void {
    const expired = this.running && now() / SECOND >= this.expires;
    const denies = expired && this.signing.deniesExpired;
    if (expired != this.expired) {
      this.expired = expired;
      show(utf8("bundle_expired"), u64(expired));
      if (expired) logBytes(LogLevelValues.error, utf8("selvedge: authz: the bundle has expired"));
    }
    this.authz.serving = this.running && !denies;
  }

  tick(): void {
    this.error = ABSENT; // what it pointed to went with its callback
    loadTurn(this.turn);
    const due = turnDue;
    const etag = turnTag;
    const cas = turnCas;
    // Also without a source: Envoy takes a plugin of before up again, as it is, where its configuration comes back.
    if (cas != this.seen) {
      this.seen = cas;
      this.sync();
    }
    if (this.source.cluster != ABSENT) {
      const time = now();
      // Further away than an interval: the clock was set back.
      if (time >= due || due - time > this.source.interval) {
        if (storeTurn(this.turn, time + this.source.interval, etag, cas) && !this.source.ask(etag)) this.report(Reason.Unreachable);
      }
    }
    this.settle();
    scratch.free();
  }

  /** The source has answered. */
  answered(headers: u32, bytes: u32): void {
    const answer = answerOf(headers, bytes);
    let reason = answer == Answer.None ? Reason.Unreachable : answer == Answer.Unchanged ? Reason.None : Reason.Malformed;
    this.error = ABSENT;
    if (answer == Answer.Body) {
      const reader = new JsonReader(answeredBody());
      readEnvelope(reader);
      if (reader.finish()) reason = this.unseal();
      else this.error = reader.error;
      if (reason == Reason.None) storeTurn(this.turn, now() + this.source.interval, answeredTag(), 0);
    }
    this.report(reason);
    this.settle();
    scratch.free();
  }

  /** A line when something begins to be wrong, a count each time. Being offline is no reason to doubt what runs. */
  private report(reason: Reason): void {
    if (reason != Reason.Unreachable) recordMetric(this.rejected, u64(reason != Reason.None));
    if (reason != Reason.None) {
      if (reason != this.said) logBytes(LogLevelValues.error, this.describe(utf8("selvedge: authz: bundle refused: "), reason));
      this.count(reason);
    }
    this.said = reason;
  }

  private count(reason: Reason): void {
    if (unchecked(this.counters[reason]) == 0) {
      unchecked((this.counters[reason] = define(MetricTypeValues.Counter, utf8("bundle_rejections_total"), reasonWord(reason)) + 1));
    }
    incrementMetric(unchecked(this.counters[reason]) - 1, 1);
  }

  /** As text; it is in the one line there is. */
  private describe(before: View, reason: Reason): View {
    startLine();
    put(before);
    put(reasonWord(reason));
    if (this.error != ABSENT) {
      put(utf8(": "));
      put(this.error);
    }
    return endLine();
  }

  free(): void {
    this.arena.free();
  }
}

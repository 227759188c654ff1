/** The policies' engine without a proxy: a test writes a request into memory and asks. */
import { ABSENT, View, toString, utf8, view } from "../../../../filters/sdk/assembly/bytes";
import { Peer } from "../../../../filters/sdk/assembly/http/peer";
import { RequestView } from "../../../../filters/sdk/assembly/http/request";
import { JsonReader } from "../../../../filters/sdk/assembly/json/reader";
import { enter, leave } from "../../../../filters/sdk/assembly/memory";
import { Engine } from "../../../../filters/authz/assembly/engine";
import { Field } from "../../../../filters/authz/assembly/fields";
import { Ip } from "../../../../filters/authz/assembly/match/ip";
import { Input } from "../../../../filters/authz/assembly/match/input";
import { ClaimRecord, ClaimSource } from "../../../../filters/authz/assembly/match/claim-slots";
import { inLowerCase } from "../../../../filters/authz/assembly/match/header-slots";
import { Part, PolicyRecord, RuleRecord } from "../../../../filters/authz/assembly/match/records";
import { matchesTemplate, validTemplate } from "../../../../filters/authz/assembly/match/template";
import { scratch } from "../../../../filters/authz/assembly/memory/arena";
import { memberOf, readWord, wordIn } from "../../../../filters/authz/assembly/read/members";
import { SETTINGS, Settings } from "../../../../filters/authz/assembly/settings";
import { PathVerdict, checkReadings } from "../../../../filters/authz/assembly/strict-paths";

/** What the test says that each slot's expression comes to. */
class TestClaims extends ClaimSource {
  readonly lists: StaticArray<View> = new StaticArray<View>(256);
  reads: u32 = 0;

  read(slot: ClaimRecord): View {
    this.reads++;
    return this.lists[slot.token];
  }
}

const claims = new TestClaims();
let engine: Engine = new Engine();
const input = new Input();
const peer = new Peer();
const request = new RequestView();

export function alloc(bytes: usize): usize {
  return heap.alloc(bytes);
}

export function free(at: usize): void {
  heap.free(at);
}

/** The message of what is wrong, or "". */
export function configure(at: usize, bytes: u32): string {
  enter();
  const next = new Engine();
  const settings = new Settings();
  const reader = new JsonReader(view(at, bytes));
  if (reader.beginObject()) {
    while (reader.nextKey()) {
      const index = memberOf(reader, SETTINGS);
      if (index >= 0 && index == wordIn(SETTINGS, utf8("protocol"))) settings.tcp = readWord(reader, utf8("http, tcp")) == 1;
      else settings.read(reader, index, next.headers);
    }
  }
  const ok = settings.finish(reader) && next.compile(reader, settings) && reader.finish();
  scratch.free();
  if (ok) {
    engine.free();
    engine = next;
    const slots = next.headers.claims;
    slots.source = claims;
    claimCount = 0;
    for (let at = slots.last; at != 0; at = changetype<ClaimRecord>(at).next) changetype<ClaimRecord>(at).token = claimCount++;
  } else next.free();
  const error = ok ? "" : toString(reader.error);
  leave();
  return error;
}

export function unattached(): string {
  return toString(engine.unattached);
}

export function needs(): u32 {
  return engine.needs;
}

let claimCount: u32 = 0;

/** The CEL expressions of the slots, a line each. */
export function claimSources(): string {
  let all = "";
  for (let at = engine.headers.claims.last; at != 0; at = changetype<ClaimRecord>(at).next) all += toString(changetype<ClaimRecord>(at).source) + "\n";
  return all;
}

export function claim(index: u32, at: usize, bytes: u32): void {
  claims.lists[index] = at == 0 ? ABSENT : view(at, bytes);
}

/** How many slots were read since the last call. */
export function claimReads(): u32 {
  const reads = claims.reads;
  claims.reads = 0;
  return reads;
}

// Which text attribute follows: see `Attribute` in core.ts beside this folder.
export function attribute(which: u32, at: usize, bytes: u32): void {
  const text: View = at == 0 ? ABSENT : view(at, bytes);
  switch (which) {
    case 0:
      peer.single(text);
      input.setPeer(peer);
      break;
    case 1: input.setText(Field.Sni, text); break;
    case 2: input.route = text; break;
    case 3: if (text == ABSENT) input.remoteIp.clear(); else input.remoteIp.parseWithPort(text); break;
    case 4: if (text == ABSENT) input.destinationIp.clear(); else input.destinationIp.parseWithPort(text); break;
    case 5: if (text == ABSENT) input.sourceIp.clear(); else input.sourceIp.parse(text, false); break;
  }
}

export function port(value: i32): void {
  input.port = value;
}

/** Decides on the request whose pairs are here: 1 allowed, 2 allowed by the policies on trial, 4 there are such; strictly, 8 the path is ambiguous. */
export function decide(pairs: usize, bytes: u32, strict: bool): u32 {
  enter();
  request.over(pairs, bytes);
  input.setText(Field.Method, request.method);
  input.setText(Field.Path, request.pathOnly);
  input.setText(Field.Host, request.authority == ABSENT ? ABSENT : inLowerCase(request.authority));
  if (engine.needs & (1 << Field.Header)) engine.headers.load(request.headers);
  let allowed = engine.allows(input, Part.Enforced);
  id = nameOf(engine.rule);
  // As authz.ts does it.
  const verdict = strict && allowed ? checkReadings(engine, input, request.pathOnly, request.hasFragment) : PathVerdict.Allowed;
  if (verdict == PathVerdict.Denied) id = nameOf(engine.rule);
  if (verdict != PathVerdict.Allowed) allowed = false;
  const result = u32(allowed) | (u32(verdict == PathVerdict.Ambiguous) << 3) | (engine.has(Part.OnTrial) ? 4 | (u32(engine.allows(input, Part.OnTrial)) << 1) : 0);
  audit = engine.has(Part.Audit) && !engine.allows(input, Part.Audit) ? nameOf(engine.rule) : "";
  const matches = engine.has(Part.Custom) && (!engine.allows(input, Part.Custom) || (strict && checkReadings(engine, input, request.pathOnly, false, Part.Custom) == PathVerdict.Denied));
  custom = matches ? nameOf(engine.rule) : "";
  leave();
  return result;
}

function nameOf(rule: RuleRecord | null): string {
  if (rule === null) return "none";
  const policy = changetype<PolicyRecord>(rule.policy);
  return toString(policy.namespace) + "/" + toString(policy.name) + "#" + rule.index.toString();
}

let id: string = "none";
let audit: string = "";
let custom: string = "";

/** The AUDIT rule that matched, or "". */
export function audited(): string {
  return audit;
}

/** The CUSTOM rule that matched, or "". */
export function handedOver(): string {
  return custom;
}

export function decisive(): string {
  return id;
}

const ip = new Ip();

/** `4:00000000/8` and so on, or "" where it is no address or range. */
export function parseIp(at: usize, bytes: u32): string {
  if (!ip.parse(view(at, bytes), true)) return "";
  return ip.family.toString() + ":" + hex(ip.high) + hex(ip.low) + "/" + ip.bits.toString();
}

function hex(value: u64): string {
  let text = "";
  for (let i = 60; i >= 0; i -= 4) text += ((value >> <u64>i) & 15).toString(16);
  return text;
}

/** -1 where it is no template, else whether it matches. */
export function template(at: usize, bytes: u32, path: usize, pathBytes: u32): i32 {
  return validTemplate(view(at, bytes)) ? i32(matchesTemplate(view(path, pathBytes), view(at, bytes))) : -1;
}


/** One AuthorizationPolicy, the whole resource. What isn't understood is refused: ignoring it could ignore a restriction. */
import { ABSENT, View, size, utf8 } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { HeaderSlots } from "../match/header-slots";
import { scratch } from "../memory/arena";
import { append, make } from "../memory/list";
import { Part } from "../match/records";
import { Policy, Target } from "../model";
import { readLabels, readResourceName } from "./lists";
import { memberOf, readName, readWord, refuse, wordIn } from "./members";
import { readRule } from "./rule-reader";

const SLASH = utf8("/");
const MOST_TARGETS: u32 = 16;

/** The spellings of Go's strconv.ParseBool: true first. */
const BOOLEANS = utf8("1, t, T, TRUE, true, True, 0, f, F, FALSE, false, False");

/** Of the policy at hand. */
let dryRun: bool = false;

export function readPolicy(reader: JsonReader, policy: Policy, headers: HeaderSlots): void {
  if (!reader.beginObject()) return;
  let spec = false;
  dryRun = false;
  while (reader.nextKey()) {
    switch (memberOf(reader, utf8("apiVersion, kind, metadata, spec, status"))) {
      case 0: readWord(reader, utf8("security.istio.io/v1, security.istio.io/v1beta1")); break;
      case 1: readWord(reader, utf8("AuthorizationPolicy")); break;
      case 2: readMetadata(reader, policy); break;
      case 3:
        spec = true;
        readSpec(reader, policy, headers);
        break;
      case 4: reader.skip();
    }
  }
  if (policy.name == ABSENT) refuse(reader, utf8("a policy without metadata.name"), utf8("a name: decisions are reported by it"));
  if (!spec) refuse(reader, utf8("a policy without spec"), utf8("a spec; an empty one allows nothing"));
  if (policy.part == Part.Audit || policy.part == Part.Custom) {
    if (dryRun) refuse(reader, utf8("AUDIT or CUSTOM on trial"), utf8("ALLOW or DENY: Istio tries no others"));
  } else if (dryRun) policy.part = Part.OnTrial;
  if ((policy.part == Part.Custom) != (policy.provider != ABSENT)) refuse(reader, utf8("action or provider alone"), utf8("'provider' for CUSTOM, and for nothing else"));
}

/** Other metadata than the name and the dry-run annotation decides nothing. */
function readMetadata(reader: JsonReader, policy: Policy): void {
  if (!reader.beginObject()) return;
  while (reader.nextKey()) {
    const index = wordIn(utf8("name, namespace, annotations"), reader.key);
    if (index < 0) reader.skip();
    else if (!reader.field(reader.key, index)) return;
    else if (index == 0) policy.name = readResourceName(reader);
    else if (index == 1) policy.namespace = readResourceName(reader);
    else readAnnotations(reader, policy);
  }
}

function readAnnotations(reader: JsonReader, policy: Policy): void {
  if (reader.optionalNull() || !reader.beginObject()) return;
  while (reader.nextKey()) {
    if (wordIn(utf8("istio.io/dry-run"), reader.key) < 0) reader.skip();
    else if (reader.field(reader.key, 0)) dryRun = <u32>readWord(reader, BOOLEANS) < 6;
  }
}

function readSpec(reader: JsonReader, policy: Policy, headers: HeaderSlots): void {
  if (!reader.beginObject()) return;
  let attachments = 0;
  while (reader.nextKey()) {
    const index = memberOf(reader, utf8("action, rules, provider, selector, targetRef, targetRefs"));
    attachments += i32(index >= 3);
    switch (index) {
      case 0: readAction(reader, policy); break;
      case 1: readRules(reader, policy, headers); break;
      case 2: readProvider(reader, policy); break;
      case 3: readSelector(reader, policy); break;
      case 4: readTarget(reader, policy); break;
      case 5: readTargets(reader, policy);
    }
  }
  if (attachments > 1) refuse(reader, utf8("several of selector, targetRef and targetRefs"), utf8("one of them"));
  if (policy.deny && policy.rules.count == 0) refuse(reader, utf8("no rules"), utf8("rules: without any, only ALLOW means something"));
}

function readSelector(reader: JsonReader, policy: Policy): void {
  if (!reader.beginObject()) return;
  while (reader.nextKey()) {
    if (memberOf(reader, utf8("matchLabels")) == 0) readLabels(reader, policy.labels, true);
  }
}

function readTargets(reader: JsonReader, policy: Policy): void {
  if (!reader.beginArray()) return;
  while (reader.nextElement()) readTarget(reader, policy);
  if (policy.targets.count - 1 >= MOST_TARGETS) refuse(reader, utf8("no targets, or too many"), utf8("from 1 to 16"));
}

/** `group` tells kinds apart that have the same name; here there are none. */
function readTarget(reader: JsonReader, policy: Policy): void {
  let kind: View = ABSENT;
  let name: View = ABSENT;
  if (!reader.beginObject()) return;
  while (reader.nextKey()) {
    switch (memberOf(reader, utf8("group, kind, name, namespace"))) {
      case 0: reader.string(); break;
      case 1: kind = readName(reader); break;
      case 2: name = readName(reader); break;
      case 3:
        if (size(reader.string()) != 0) refuse(reader, utf8("another namespace"), utf8("none: a policy names what is in its own"));
    }
  }
  if (kind == ABSENT || name == ABSENT) {
    refuse(reader, utf8("a target without kind or name"), utf8("both"));
    return;
  }
  const target = make<Target>();
  target.name = scratch.join(scratch.join(kind, SLASH), name);
  append(policy.targets, changetype<usize>(target));
}

function readAction(reader: JsonReader, policy: Policy): void {
  const action = readWord(reader, utf8("ALLOW, DENY, AUDIT, CUSTOM"));
  policy.deny = action > 0;
  policy.part = action < 2 ? Part.Enforced : <Part>action;
}

function readProvider(reader: JsonReader, policy: Policy): void {
  if (!reader.beginObject()) return;
  while (reader.nextKey()) {
    if (memberOf(reader, utf8("name")) == 0) policy.provider = readResourceName(reader);
  }
}

function readRules(reader: JsonReader, policy: Policy, headers: HeaderSlots): void {
  if (reader.optionalNull() || !reader.beginArray()) return;
  while (reader.nextElement()) append(policy.rules, changetype<usize>(readRule(reader, reader.index, headers)));
}

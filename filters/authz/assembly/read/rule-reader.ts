/** `rules[]`: from, to, when. */
import { ABSENT, View, address, size, slice, startsWith, utf8 } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { Field } from "../fields";
import { HeaderSlots } from "../match/header-slots";
import { List, append, make } from "../memory/list";
import { Clause, Condition, Rule, conditionOn, findCondition, makeClause, makeCondition } from "../model";
import { readStrings } from "./lists";
import { memberOf, refuse, refuseValue, wordIn } from "./members";
import { checkValues, readValues } from "./values";

// Each attribute before its negation, in the order of Field: the position in a list says both.
const SOURCE_NAMES = utf8("principals, notPrincipals, namespaces, notNamespaces, serviceAccounts, notServiceAccounts, trustDomains, notTrustDomains, ipBlocks, notIpBlocks, remoteIpBlocks, notRemoteIpBlocks, requestPrincipals, notRequestPrincipals");
const OPERATION_NAMES = utf8("hosts, notHosts, ports, notPorts, methods, notMethods, paths, notPaths");
/** The first six as in Field, then its Port, DestinationIp and Sni. */
const WHEN_KEYS = utf8("source.principal, source.namespace, source.serviceAccount, source.trustDomain, source.ip, remote.ip, destination.port, destination.ip, connection.sni, request.headers[<name>]");
const HEADERS = utf8("request.headers[");
const JWT = utf8("request.auth.");
const NO_JWT = utf8("no JWT claims: they can't be read yet");

/** Reads one rule; errors stay in the reader. */
export function readRule(reader: JsonReader, index: i32, headers: HeaderSlots): Rule {
  const rule = make<Rule>();
  rule.index = index;
  rule.sources = make<List>();
  rule.operations = make<List>();
  rule.when = makeClause();
  if (!reader.beginObject()) return rule;
  while (reader.nextKey()) {
    switch (memberOf(reader, utf8("from, to, when"))) {
      case 0: readClauses(reader, rule.sources, true); break;
      case 1: readClauses(reader, rule.operations, false); break;
      case 2: readWhen(reader, rule.when, headers);
    }
  }
  return rule;
}

/** `from` and `to`: a list, not empty, of objects with one member each, which is not empty either. */
function readClauses(reader: JsonReader, to: List, source: bool): void {
  const name = source ? utf8("source") : utf8("operation");
  if (!reader.beginArray()) return;
  while (reader.nextElement()) {
    const clause = makeClause();
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      if (memberOf(reader, name) == 0) readClause(reader, clause, source);
    }
    if (clause.conditions.count == 0) {
      refuse(reader, source ? utf8("no field in 'source'") : utf8("no field in 'operation'"), utf8("at least one: an empty one would mean anything"));
    }
    append(to, changetype<usize>(clause));
  }
  if (to.count == 0) refuse(reader, utf8("an empty list"), utf8("at least one element, or no such list, which means any"));
}

function readClause(reader: JsonReader, clause: Clause, source: bool): void {
  if (!reader.beginObject()) return;
  while (reader.nextKey()) {
    const index = memberOf(reader, source ? SOURCE_NAMES : OPERATION_NAMES);
    if (index < 0) return;
    if (index >= 12) {
      refuse(reader, utf8("request principals"), NO_JWT);
      return;
    }
    const field: Field = (source ? 0 : Field.Host) + (index >> 1);
    const values = make<List>();
    readValues(reader, field, values);
    if (values.count == 0) continue; // says nothing, as in Istio
    if (index & 1) conditionOn(clause, field).notValues = values;
    else conditionOn(clause, field).values = values;
  }
  if (findCondition(clause, Field.ServiceAccount) !== null
    && (findCondition(clause, Field.Principal) !== null || findCondition(clause, Field.Namespace) !== null)) {
    refuse(reader, utf8("service accounts beside principals or namespaces"), utf8("either the one or the other"));
  }
}

/** Members come in any order (a protobuf Struct has none), so that values are checked when the key is known: at the end. */
function readWhen(reader: JsonReader, clause: Clause, headers: HeaderSlots): void {
  if (!reader.beginArray()) return;
  while (reader.nextElement()) {
    let condition: Condition | null = null;
    const values = make<List>();
    const notValues = make<List>();
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      switch (memberOf(reader, utf8("key, values, notValues"))) {
        case 0: condition = readKey(reader, headers); break;
        case 1: readStrings(reader, values); break;
        case 2: readStrings(reader, notValues);
      }
    }
    if (condition === null) {
      refuse(reader, utf8("a condition without key"), WHEN_KEYS);
      return;
    }
    if (values.count + notValues.count == 0) refuse(reader, utf8("a condition without values"), utf8("'values' or 'notValues'"));
    checkValues(reader, condition.field, values);
    checkValues(reader, condition.field, notValues);
    condition.values = values;
    condition.notValues = notValues;
    append(clause.conditions, changetype<usize>(condition));
  }
}

function readKey(reader: JsonReader, headers: HeaderSlots): Condition | null {
  const key = reader.string();
  if (key == ABSENT) return null;
  if (startsWith(key, HEADERS) && size(key) > size(HEADERS) + 1 && load<u8>(address(key) + size(key) - 1) == 93) {
    return makeCondition(Field.Header, headers.slot(slice(key, size(HEADERS), size(key) - 1)));
  }
  const index = wordIn(WHEN_KEYS, key);
  if (index >= 0 && index < 9) return makeCondition(index < 6 ? index : index == 6 ? Field.Port : Field.DestinationIp + index - 7, 0);
  refuseValue(reader, key, startsWith(key, JWT) ? NO_JWT : WHEN_KEYS);
  return null;
}

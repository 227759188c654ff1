/** `rules[]`: from, to, when. */
import { utf8 } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { Field } from "../fields";
import { HeaderSlots } from "../match/header-slots";
import { List, append, make } from "../memory/list";
import { Clause, Rule, conditionOn, findCondition, makeClause } from "../model";
import { readWhen } from "./condition-reader";
import { memberOf, refuse } from "./members";
import { readValues } from "./values";

// Each attribute before its negation, in the order of Field: the position in a list says both.
const SOURCE_NAMES = utf8("principals, notPrincipals, namespaces, notNamespaces, serviceAccounts, notServiceAccounts, trustDomains, notTrustDomains, ipBlocks, notIpBlocks, remoteIpBlocks, notRemoteIpBlocks, requestPrincipals, notRequestPrincipals");
const OPERATION_NAMES = utf8("hosts, notHosts, ports, notPorts, methods, notMethods, paths, notPaths");
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
      case 0: readClauses(reader, rule.sources, headers, true); break;
      case 1: readClauses(reader, rule.operations, headers, false); break;
      case 2: readWhen(reader, rule.when, headers);
    }
  }
  return rule;
}

/** `from` and `to`: a list, not empty, of objects with one member each, which is not empty either. */
function readClauses(reader: JsonReader, to: List, headers: HeaderSlots, source: bool): void {
  const name = source ? utf8("source") : utf8("operation");
  if (!reader.beginArray()) return;
  while (reader.nextElement()) {
    const clause = makeClause();
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      if (memberOf(reader, name) == 0) readClause(reader, clause, headers, source);
    }
    if (clause.conditions.count == 0) {
      refuse(reader, source ? utf8("no field in 'source'") : utf8("no field in 'operation'"), utf8("at least one: an empty one would mean anything"));
    }
    append(to, changetype<usize>(clause));
  }
  if (to.count == 0) refuse(reader, utf8("an empty list"), utf8("at least one element, or no such list, which means any"));
}

function readClause(reader: JsonReader, clause: Clause, headers: HeaderSlots, source: bool): void {
  if (!reader.beginObject()) return;
  while (reader.nextKey()) {
    const index = memberOf(reader, source ? SOURCE_NAMES : OPERATION_NAMES);
    if (index < 0) return;
    const field: Field = index >= 12 ? Field.RequestPrincipal : (source ? 0 : Field.Host) + (index >> 1);
    const values = make<List>();
    readValues(reader, field, values);
    if (values.count == 0) continue; // says nothing, as in Istio
    const condition = conditionOn(clause, field);
    if (index & 1) condition.notValues = values;
    else condition.values = values;
    if (field == Field.RequestPrincipal) condition.slot = headers.claims.principal();
  }
  if (findCondition(clause, Field.ServiceAccount) !== null
    && (findCondition(clause, Field.Principal) !== null || findCondition(clause, Field.Namespace) !== null)) {
    refuse(reader, utf8("service accounts beside principals or namespaces"), utf8("either the one or the other"));
  }
}

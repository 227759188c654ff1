/** Does one rule match one request? Nothing here knows about the index. */
import { ABSENT, size } from "../../../sdk/assembly/bytes";
import { Field, isIp } from "../fields";
import { Table } from "../memory/table";
import { ClaimRecord } from "./claim-slots";
import { HeaderSlots, HeaderValue } from "./header-slots";
import { namespaceAt, nextNamespace } from "./identity";
import { Input } from "./input";
import { probeNetworks } from "./probe";
import { ClauseRecord, ConditionRecord, RuleRecord, Space, StringSet } from "./records";
import { inGlobs, inPorts, inRequestPrincipals, inServiceAccounts, inStrings, inTrustDomains, isSome } from "./sets";

const CLAUSE: usize = offsetof<ClauseRecord>();
const CONDITION: usize = offsetof<ConditionRecord>();

// What the question is about, for as long as it is being answered: passing it along costs more than it tells.
let input: Input = new Input();
let table: Table = new Table();
let headers: HeaderSlots | null = null;

/** Before {@link matches}: the request, and where its policies' values are. */
export function consider(request: Input, values: Table, slots: HeaderSlots): void {
  input = request;
  table = values;
  headers = slots;
}

export function matches(rule: RuleRecord): bool {
  return (rule.fromCount == 0 || any(rule.from, rule.fromCount))
    && (rule.toCount == 0 || any(rule.to, rule.toCount))
    && (rule.when == 0 || all(rule.when));
}

function any(clauses: usize, count: u32): bool {
  for (let i: u32 = 0; i < count; i++) {
    if (all(load<usize>(clauses + <usize>i * sizeof<usize>()))) return true;
  }
  return false;
}

function all(clause: usize): bool {
  let at = clause + CLAUSE;
  const count = changetype<ClauseRecord>(clause).count;
  for (let i: u32 = 0; i < count; i++, at += CONDITION) {
    const condition = changetype<ConditionRecord>(at);
    if (condition.values != 0 && !holds(condition, condition.values)) return false;
    if (condition.notValues != 0 && isExcluded(condition)) return false;
  }
  return true;
}

function isExcluded(condition: ConditionRecord): bool {
  if (condition.field != Field.Path || input.excludedPath == ABSENT) return holds(condition, condition.notValues);
  const path = input.text(Field.Path);
  input.setText(Field.Path, input.excludedPath);
  const excluded = holds(condition, condition.notValues);
  input.setText(Field.Path, path);
  return excluded;
}

/** Is the attribute in the set? An attribute that the request doesn't have is in none. */
function holds(condition: ConditionRecord, set: usize): bool {
  const strings = changetype<StringSet>(set);
  const field: Field = condition.field;
  if (isIp(field)) return probeNetworks(changetype<Space>(set), input.ip(field), null);
  if (field == Field.Port) return inPorts(set, input.port);
  if (field == Field.Header) return hasHeaderIn(strings, changetype<HeaderSlots>(headers).values(condition.slot), false);
  if (field >= Field.Claim) {
    const claims = changetype<HeaderSlots>(headers).claims;
    const first = claims.values(condition.slot);
    if (field == Field.Claim || first === null) return hasHeaderIn(strings, first, true);
    const subject = claims.values(<u32>changetype<ClaimRecord>(condition.slot).subject);
    return subject !== null && inRequestPrincipals(strings, first.value, subject.value);
  }
  if (field == Field.Namespace) return hasNamespaceIn(strings);
  if (field == Field.Principal && strings.any != 0 && input.identified) return true;
  const text = input.text(field == Field.ServiceAccount ? Field.Principal : field);
  if (text == ABSENT) return field == Field.TrustDomain && strings.any != 0 && input.text(Field.Principal) != ABSENT;
  if (field == Field.ServiceAccount) return inServiceAccounts(strings, text);
  if (field == Field.TrustDomain) return strings.any != 0 || inTrustDomains(strings, text);
  // "*" is a method or host that is there, but a path, server name or principal that isn't empty.
  const presence = field == Field.Method || field == Field.Host || size(text) > 0;
  return (strings.any != 0 && presence) || inStrings(strings, text, table);
}

/** @param claim `"*"` is not the empty string */
function hasHeaderIn(strings: StringSet, value: HeaderValue | null, claim: bool): bool {
  while (value !== null) {
    if ((strings.any != 0 && !(claim && !isSome(value.value))) || inStrings(strings, value.value, table)) return true;
    value = changetype<HeaderValue | null>(value.next);
  }
  return false;
}

/** Exact values are compared with segments; wildcards were compiled to globs over the whole URI, which no segment matches. */
function hasNamespaceIn(strings: StringSet): bool {
  if (input.uri == ABSENT) return false;
  const first = input.text(Field.Namespace);
  if (first != ABSENT && inStrings(strings, first, table)) return true;
  if (inGlobs(strings, input.uri)) return true;
  if (!input.manyNamespaces) return false;
  for (let at = nextNamespace(input.uri, 0); at >= 0; at = nextNamespace(input.uri, at + 1)) {
    const namespace = namespaceAt(input.uri, at);
    if (namespace != ABSENT && inStrings(strings, namespace, table)) return true;
  }
  return false;
}

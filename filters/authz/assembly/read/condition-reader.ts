/** `when[]`: a key, and what its value must or must not be. */
import { ABSENT, View, address, indexOf, size, slice, startsWith, utf8 } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { Field } from "../fields";
import { ClaimType, claim, metadata } from "../match/claim-slots";
import { HeaderSlots } from "../match/header-slots";
import { List, Text, append, next, textOf } from "../memory/list";
import { Clause, Condition, makeCondition } from "../model";
import { readStrings } from "./lists";
import { memberOf, refuse, refuseValue, wordIn } from "./members";
import { checkValues } from "./values";

/** The first six as in Field, then its Port, DestinationIp and Sni. */
const WHEN_KEYS = utf8("source.principal, source.namespace, source.serviceAccount, source.trustDomain, source.ip, remote.ip, destination.port, destination.ip, connection.sni, request.auth.principal, request.auth.audiences, request.auth.presenter, request.headers[<name>], request.auth.claims[<name>]…, experimental.envoy.filters.<filter>[<key>]");
const HEADERS = utf8("request.headers[");
const CLAIMS = utf8("request.auth.claims[");
const EXPERIMENTAL = utf8("experimental.");
const FILTERS = utf8("experimental.envoy.filters.");

/** Members come in any order (a protobuf Struct has none), so that key and values are taken when both are known: at the end. */
export function readWhen(reader: JsonReader, clause: Clause, headers: HeaderSlots): void {
  if (!reader.beginArray()) return;
  while (reader.nextElement()) {
    let key: View = ABSENT;
    const condition = makeCondition(Field.Principal, 0);
    if (!reader.beginObject()) return;
    while (reader.nextKey()) {
      switch (memberOf(reader, utf8("key, values, notValues"))) {
        case 0:
          key = reader.string();
          takeKey(reader, key, condition, headers);
          break;
        case 1: readStrings(reader, condition.values); break;
        case 2: readStrings(reader, condition.notValues);
      }
    }
    if (key == ABSENT) {
      refuse(reader, utf8("a condition without key"), WHEN_KEYS);
      return;
    }
    if (condition.values.count + condition.notValues.count == 0) refuse(reader, utf8("a condition without values"), utf8("'values' or 'notValues'"));
    if (condition.slot == 0 && condition.field == Field.Claim) takeMetadata(reader, key, condition, headers);
    checkValues(reader, condition.field, condition.values);
    checkValues(reader, condition.field, condition.notValues);
    append(clause.conditions, changetype<usize>(condition));
  }
}

function takeKey(reader: JsonReader, key: View, condition: Condition, headers: HeaderSlots): void {
  if (key == ABSENT) return;
  const inBrackets = load<u8>(address(key) + size(key) - 1) == 93;
  const claims = headers.claims;
  let path: View = ABSENT;
  if (inBrackets && startsWith(key, HEADERS) && size(key) > size(HEADERS) + 1) {
    condition.field = Field.Header;
    condition.slot = headers.slot(slice(key, size(HEADERS), size(key) - 1));
    return;
  }
  const index = wordIn(WHEN_KEYS, key);
  if (startsWith(key, CLAIMS)) path = claim(slice(key, size(CLAIMS) - 1, size(key)));
  else if (index == 10) path = claim(utf8("[aud]"));
  else if (index == 11) path = claim(utf8("[azp]"));
  else if (index >= 0 && index < 9) {
    condition.field = index < 6 ? index : index == 6 ? Field.Port : Field.DestinationIp + index - 7;
    return;
  } else if (index == 9) {
    condition.field = Field.RequestPrincipal;
    condition.slot = claims.principal();
    return;
  } else if (inBrackets && startsWith(key, FILTERS)) {
    // Which type is meant, the values tell.
    const open = indexOf(key, 91);
    const close = indexOf(key, 93);
    if (open > <i32>size(FILTERS) && close == <i32>size(key) - 1 && close > open + 1 && indexOf(key, 91, open + 1) < 0) {
      condition.field = Field.Claim;
      return;
    }
  }
  if (path == ABSENT) {
    refuseValue(reader, key, WHEN_KEYS);
    return;
  }
  condition.field = Field.Claim;
  condition.slot = claims.slot(path, ClaimType.Either);
}

/** `experimental.<filter>[<key>]`: in brackets, a value is looked for in a list; otherwise it is compared with a string. */
function takeMetadata(reader: JsonReader, key: View, condition: Condition, headers: HeaderSlots): void {
  const lists = stripped(condition.values) + stripped(condition.notValues);
  if (lists != 0 && lists != condition.values.count + condition.notValues.count) {
    refuse(reader, utf8("values with and without brackets"), utf8("all like '[x]', for a list, or none, for a string"));
  }
  const open = indexOf(key, 91);
  const path = metadata(slice(key, size(EXPERIMENTAL), open), slice(key, open + 1, size(key) - 1));
  condition.metadata = true;
  condition.slot = headers.claims.slot(path, lists == 0 ? ClaimType.String : ClaimType.List);
}

/** Takes the brackets off, as many as there are; how many values had some. */
function stripped(values: List): u32 {
  let count: u32 = 0;
  for (let node = values.first; node != 0; node = next(node)) {
    let value = textOf(node);
    if (load<u8>(address(value)) != 91 || load<u8>(address(value) + size(value) - 1) != 93) continue;
    count++;
    while (size(value) > 0 && isBracket(load<u8>(address(value)))) value = slice(value, 1, size(value));
    while (size(value) > 0 && isBracket(load<u8>(address(value) + size(value) - 1))) value = slice(value, 0, size(value) - 1);
    changetype<Text>(node).value = value;
  }
  return count;
}

// @ts-ignore: decorator
@inline
function isBracket(c: u8): bool {
  return c == 91 || c == 93;
}

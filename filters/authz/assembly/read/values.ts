/** Values of a condition, each checked for the field that it is compared with. */
import { ABSENT, View, indexOf, size, utf8 } from "../../../sdk/assembly/bytes";
import { JsonReader } from "../../../sdk/assembly/json/reader";
import { Field, isIp } from "../fields";
import { decimal, parsedIp } from "../match/ip";
import { isTemplate, validTemplate } from "../match/template";
import { refuse, refuseValue } from "./members";
import { List, appendText, next, textOf } from "../memory/list";

/** Reads `["…", …]` for a field; what the field can't be compared with is an error at that element. */
export function readValues(reader: JsonReader, field: Field, to: List): void {
  if (!reader.beginArray()) return;
  while (reader.nextElement()) {
    const value = reader.string();
    if (value == ABSENT) return;
    check(reader, field, value);
    appendText(to, value);
  }
}

/** For values that were read before their field was known. */
export function checkValues(reader: JsonReader, field: Field, values: List): void {
  for (let node = values.first; node != 0; node = next(node)) check(reader, field, textOf(node));
}

function check(reader: JsonReader, field: Field, value: View): void {
  if (size(value) == 0) refuse(reader, utf8("an empty string"), expectation(field));
  else if (!fits(field, value)) refuseValue(reader, value, expectation(field));
}

function fits(field: Field, value: View): bool {
  if (isIp(field)) return parsedIp.parse(value, true);
  const slash = indexOf(value, 47);
  switch (field) {
    case Field.Port: {
      const port = decimal(value, 10, true);
      return port >= 0 && port <= 65535;
    }
    case Field.Path: return isTemplate(value) ? validTemplate(value) : indexOf(value, 123) < 0 && indexOf(value, 125) < 0;
    case Field.Namespace: return slash < 0;
    case Field.TrustDomain: return slash < 0 && hasOuterStar(value);
    case Field.ServiceAccount:
      return size(value) <= 320 && indexOf(value, 42) < 0 && slash != 0 && <u32>(slash + 1) < size(value)
        && (slash < 0 || indexOf(value, 47, slash + 1) < 0);
    default: return true;
  }
}

/** No `*`, or one, and that at the start or at the end. */
function hasOuterStar(value: View): bool {
  const star = indexOf(value, 42);
  return star < 0 || ((star == 0 || <u32>star + 1 == size(value)) && indexOf(value, 42, star + 1) < 0);
}

function expectation(field: Field): View {
  if (isIp(field)) return utf8("an IP address or CIDR range");
  switch (field) {
    case Field.Namespace: return utf8("a namespace");
    case Field.ServiceAccount: return utf8("'<account>' or '<namespace>/<account>', without wildcards");
    case Field.TrustDomain: return utf8("a trust domain, with '*' at most at its start or its end");
    case Field.Port: return utf8("a port from 0 to 65535 in quotes");
    case Field.Path: return utf8("a path without braces, or a template with '{*}' and at last '{**}' as whole segments");
    default: return utf8("a string that isn't empty");
  }
}

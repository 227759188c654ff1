/** Is this attribute one of the values? The compiled sets and the questions put to them. */
import { View, address, equal, indexOf, size, view } from "../../../sdk/assembly/bytes";
import { Operation } from "../fields";
import { Table } from "../memory/table";
import { hasServiceAccount, matchesGlob } from "./identity";
import { probe } from "./probe";
import { Pattern, Space, StringSet } from "./records";
import { matchesTemplate } from "./template";

const STRING_SET: usize = offsetof<StringSet>();
const PATTERN: usize = offsetof<Pattern>();

/** A text against exact values, prefixes, suffixes, templates and globs; the caller has dealt with `"*"`. */
export function inStrings(set: StringSet, text: View, table: Table): bool {
  if (set.space != 0 && probe(changetype<Space>(set.space), text, table, null)) return true;
  let at = changetype<usize>(set) + STRING_SET;
  for (let i: u32 = 0; i < set.count; i++, at += PATTERN) {
    if (matchesPattern(changetype<Pattern>(at), text)) return true;
  }
  return false;
}

function matchesPattern(pattern: Pattern, text: View): bool {
  const n = pattern.size;
  switch (pattern.operation) {
    case Operation.Exact: return size(text) == n && equal(address(text), pattern.at, n);
    case Operation.Prefix: return size(text) >= n && equal(address(text), pattern.at, n);
    case Operation.Suffix: return size(text) >= n && equal(address(text) + size(text) - n, pattern.at, n);
    case Operation.Template: return matchesTemplate(text, view(pattern.at, n));
    case Operation.Any: return isSome(text);
    default: return matchesGlob(text, view(pattern.at, n));
  }
}

/** What `"*"` means for a claim, the regular expression `.+`: not empty, and on one line. */
export function isSome(text: View): bool {
  return size(text) > 0 && indexOf(text, 10) < 0;
}

/** Each pattern of an issuer is followed by that of a subject. */
export function inRequestPrincipals(set: StringSet, issuer: View, subject: View): bool {
  let at = changetype<usize>(set) + STRING_SET;
  for (let i: u32 = 0; i < set.count; i++, at += 2 * PATTERN) {
    if (matchesPattern(changetype<Pattern>(at + PATTERN), subject) && matchesPattern(changetype<Pattern>(at), issuer)) return true;
  }
  return false;
}

/** As {@link inStrings}, but `*` in a glob stops at a slash. */
export function inTrustDomains(set: StringSet, trustDomain: View): bool {
  let at = changetype<usize>(set) + STRING_SET;
  for (let i: u32 = 0; i < set.count; i++, at += PATTERN) {
    const pattern = changetype<Pattern>(at);
    if (matchesGlob(trustDomain, view(pattern.at, pattern.size), 47)) return true;
  }
  return false;
}

/** Only the set's globs, with `*` for anything. */
export function inGlobs(set: StringSet, text: View): bool {
  let at = changetype<usize>(set) + STRING_SET;
  for (let i: u32 = 0; i < set.count; i++, at += PATTERN) {
    const pattern = changetype<Pattern>(at);
    if (pattern.operation == Operation.Glob && matchesGlob(text, view(pattern.at, pattern.size))) return true;
  }
  return false;
}

/** Each pattern is `<namespace>/<account>`. */
export function inServiceAccounts(set: StringSet, principal: View): bool {
  let at = changetype<usize>(set) + STRING_SET;
  for (let i: u32 = 0; i < set.count; i++, at += PATTERN) {
    const pattern = changetype<Pattern>(at);
    let slash: u32 = 0;
    while (load<u8>(pattern.at + slash) != 47) slash++;
    const account = view(pattern.at + slash + 1, pattern.size - slash - 1);
    if (hasServiceAccount(principal, view(pattern.at, slash), account)) return true;
  }
  return false;
}

/** Port set: `u32 count`, then the ports. */
export function inPorts(set: usize, port: i32): bool {
  const count = load<u32>(set);
  for (let i: u32 = 1; i <= count; i++) {
    if (load<u32>(set + (<usize>i << 2)) == <u32>port) return port >= 0;
  }
  return false;
}

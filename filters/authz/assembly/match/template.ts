/**
 * Path templates: `{*}` is one or more characters within a segment, `{**}` any number across segments; both only characters
 * that RFC 3986 allows in a path. What Envoy's uri_template accepts and matches, found without a regular expression.
 */
import { View, address, equal, size } from "../../../sdk/assembly/bytes";

/** Envoy refuses more operators than this only when they are named; ours bounds the work. */
const ONE: u32 = 3; // bytes of "{*}"
const MANY: u32 = 4; // bytes of "{**}"

/** Is this value a template at all? Otherwise braces are literal. */
export function isTemplate(value: View): bool {
  for (let i: u32 = 0; i < size(value); i++) {
    if (operatorAt(value, i) != 0) return true;
  }
  return false;
}

/** Size of the operator that starts here, or 0. */
function operatorAt(value: View, at: u32): u32 {
  const n = size(value);
  const start = address(value);
  if (at + ONE <= n && load<u8>(start + at) == 123 && load<u8>(start + at + 1) == 42) {
    if (load<u8>(start + at + 2) == 125) return ONE;
    if (at + MANY <= n && load<u8>(start + at + 2) == 42 && load<u8>(start + at + 3) == 125) return MANY;
  }
  return 0;
}

/**
 * Is the template one that Envoy takes? It starts with `/`; each segment is an operator or literal characters, the last one
 * may be an operator followed by literal characters; nothing but literals comes after `{**}`; no empty segment but the last.
 */
export function validTemplate(value: View): bool {
  const n = size(value);
  const start = address(value);
  if (n == 0 || load<u8>(start) != 47) return false;
  let at: u32 = 1;
  let many = false;
  while (at < n) {
    const operator = operatorAt(value, at);
    if (operator != 0) {
      if (many) return false;
      many = operator == MANY;
      at += operator;
    }
    const literal = at;
    while (at < n && load<u8>(start + at) != 47) {
      if (!isPathCharacter(load<u8>(start + at)) || load<u8>(start + at) == 42) return false;
      at++;
    }
    if (operator == 0 && literal == at) return false; // an empty segment
    if (operator != 0 && literal < at && at < n) return false; // characters behind an operator, but not at the end
    at++; // the slash
  }
  return true;
}

/** How many bytes of the template are literal before its first operator. */
export function literalPrefix(value: View): u32 {
  let at: u32 = 0;
  while (at < size(value) && operatorAt(value, at) == 0) at++;
  return at;
}

/** Does the path match the (valid) template as a whole? */
export function matchesTemplate(path: View, template: View): bool {
  const p = address(path);
  const pn = size(path);
  const t = address(template);
  const tn = size(template);
  let pi: u32 = 0;
  let ti: u32 = 0;
  while (ti < tn) {
    const operator = operatorAt(template, ti);
    if (operator == 0) {
      if (pi >= pn || load<u8>(p + pi) != load<u8>(t + ti)) return false;
      pi++;
      ti++;
      continue;
    }
    ti += operator;
    if (operator == MANY) {
      // Only literals follow: they are a suffix, and the rest is this operator's.
      const tail = tn - ti;
      if (pn - pi < tail || !equal(p + pn - tail, t + ti, tail)) return false;
      return allOf(p + pi, pn - pi - tail, true);
    }
    // `{*}` ends at a slash or at the end of the template, where literal characters may follow it.
    let end = pi;
    while (end < pn && load<u8>(p + end) != 47) end++;
    let tail: u32 = 0;
    if (ti < tn && load<u8>(t + ti) != 47) tail = tn - ti;
    if (tail != 0 && end != pn) return false;
    if (end - pi < tail + 1 || !allOf(p + pi, end - pi - tail, false)) return false;
    if (tail != 0) return equal(p + pn - tail, t + ti, tail);
    pi = end;
  }
  return pi == pn;
}

function allOf(at: usize, n: u32, slash: bool): bool {
  for (let i: u32 = 0; i < n; i++) {
    const c = load<u8>(at + i);
    if (!isPathCharacter(c) && !(slash && c == 47)) return false;
  }
  return true;
}

/** Unreserved, `%`, sub-delimiters, `:` and `@`: a bit for each ASCII character. Held to Envoy byte by byte in test/differential. */
const CHARACTERS = memory.data<u32>([0, 0x2fff7ff2, 0x87ffffff, 0x47fffffe]);

export function isPathCharacter(c: u8): bool {
  return c < 128 && ((load<u32>(CHARACTERS + <usize>(c >> 5 << 2)) >> (c & 31)) & 1) != 0;
}

/** What a value of a policy means for its field: istiod's translation, value by value. */
import { View, address, indexOf, size, slice, utf8 } from "../../../sdk/assembly/bytes";
import { Field, Operation } from "../fields";
import { lowerCase } from "../match/header-slots";
import { isTemplate } from "../match/template";
import { scratch } from "../memory/arena";

const STAR: u8 = 42;
const SLASH = utf8("/");
const BEFORE_NAMESPACE = utf8("*/ns/");
const BEHIND_NAMESPACE = utf8("/*");

// One value, understood:
/** It is `"*"`: the attribute is there. */
export let any: bool = false;
export let operation: Operation = Operation.Exact;
/** In the configuration or in scratch memory. */
export let text: View = 0;
/** Of a request principal, whose subject is the above: what is asked of the issuer. */
export let issuerOperation: Operation = Operation.Exact;
export let issuer: View = 0;

/**
 * `*` is presence, `*x` a suffix, `x*` a prefix, in this order; a `*` elsewhere is literal. Namespaces and trust domains
 * have wildcards anywhere.
 */
export function parse(field: Field, value: View, policyNamespace: View): void {
  const n = size(value);
  const first = load<u8>(address(value)) == STAR;
  any = false;
  text = value;
  operation = Operation.Exact;
  if (field == Field.Namespace) {
    if (indexOf(value, STAR) < 0) return;
    operation = Operation.Glob;
    text = scratch.join(BEFORE_NAMESPACE, scratch.join(value, BEHIND_NAMESPACE));
  } else if (field == Field.ServiceAccount) {
    if (indexOf(value, 47) < 0) text = scratch.join(policyNamespace, scratch.join(SLASH, value));
  } else if (field == Field.TrustDomain) {
    any = n == 1 && first;
    if (indexOf(value, STAR) >= 0) operation = Operation.Glob;
  } else if (field == Field.RequestPrincipal) {
    parsePrincipal(value, first);
  } else if (field == Field.Path && isTemplate(value)) {
    operation = Operation.Template;
  } else {
    if (field == Field.Host) text = lowerCase(value, scratch.alloc(n));
    any = n == 1 && first;
    if (first) {
      operation = Operation.Suffix;
      text = slice(text, 1, n);
    } else if (load<u8>(address(value) + n - 1) == STAR) {
      operation = Operation.Prefix;
      text = slice(text, 0, n - 1);
    }
  }
}

/**
 * `<issuer>/<subject>`, at the last slash. A star in front belongs to the issuer and one at the end to the subject, and the
 * other part is then literal; without a slash the star's part is all there is, and the other one may be anything.
 */
function parsePrincipal(value: View, leading: bool): void {
  const n = size(value);
  let behind = n;
  while (behind > 0 && load<u8>(address(value) + behind - 1) != 47) behind--;
  const whole = behind == 0;
  issuer = whole ? value : slice(value, 0, behind - 1);
  issuerOperation = Operation.Exact;
  text = slice(value, whole ? n : behind, n);
  if (leading && whole) {
    issuerOperation = Operation.Any;
    operation = Operation.Suffix;
    text = slice(value, 1, n);
  } else if (leading) {
    issuer = slice(issuer, 1, size(issuer));
    issuerOperation = size(issuer) == 0 ? Operation.Any : Operation.Suffix;
  } else if (load<u8>(address(value) + n - 1) == STAR) {
    operation = Operation.Prefix;
    if (whole) {
      issuerOperation = Operation.Prefix;
      issuer = slice(value, 0, n - 1);
    } else text = slice(value, behind, n - 1);
  }
  any = operation != Operation.Exact && size(text) == 0;
}

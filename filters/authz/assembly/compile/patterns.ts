/** What a value of a policy means for its field: istiod's translation, value by value. */
import { View, address, indexOf, size, slice, utf8, view } from "../../../sdk/assembly/bytes";
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
      text = view(address(text), n - 1);
    }
  }
}

/** How a rule is called: `<namespace>/<policy>` and its index. */
import { View, utf8 } from "../../sdk/assembly/bytes";
import { PolicyRecord, RuleRecord } from "./match/records";
import { put, putNumber } from "../../sdk/assembly/line";

const SLASH = utf8("/");

/** What denies apart from policies. */
export enum Unusual {
  No,
  AmbiguousIdentity,
  NoBundle,
  AmbiguousPath,
  /** A request that another authorizer must decide on couldn't be handed over. */
  NoProvider,
  /** A filter for connections got a request. */
  Protocol,
}

/** Its name, where there is no rule. */
export function unusualName(why: Unusual): View {
  switch (why) {
    case Unusual.No: return utf8("none");
    case Unusual.NoBundle: return utf8("no_valid_bundle");
    case Unusual.AmbiguousPath: return utf8("ambiguous_path");
    case Unusual.NoProvider: return utf8("no_provider");
    case Unusual.Protocol: return utf8("wrong_protocol");
    default: return utf8("ambiguous_identity");
  }
}

export function putName(rule: RuleRecord): void {
  const policy = changetype<PolicyRecord>(rule.policy);
  put(policy.namespace);
  put(SLASH);
  put(policy.name);
}

export function putRule(rule: RuleRecord): void {
  putNumber(rule.index);
}

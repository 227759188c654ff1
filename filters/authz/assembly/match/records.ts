/** Compiled policies, as records in an arena. Pointers are addresses; 0 is none. */
import { View } from "../../../sdk/assembly/bytes";

/** A rule of a policy. */
// @ts-ignore: decorator
@unmanaged
export class RuleRecord {
  /** Position among all rules in the order of Envoy's policy names: of several that match, the lowest gives its name. */
  rank: u32;
  /** Index in `spec.rules`. */
  index: u32;
  policy: usize;
  /** Arrays of {@link ClauseRecord} addresses. */
  from: usize;
  fromCount: u32;
  to: usize;
  toCount: u32;
  when: usize;
  /** Metric id + 1, once it was counted. */
  metric: u32;
}

// @ts-ignore: decorator
@unmanaged
export class PolicyRecord {
  namespace: View;
  name: View;
  /** Who decides, for CUSTOM. */
  provider: View;
}

/** Conditions follow it directly. */
// @ts-ignore: decorator
@unmanaged
export class ClauseRecord {
  count: u32;
  unused: u32;
}

// @ts-ignore: decorator
@unmanaged
export class ConditionRecord {
  field: u32;
  slot: u32;
  /** {@link StringSet}, {@link Space} of networks or port set, as the field has it. */
  values: usize;
  notValues: usize;
}

/** A list of rules to try, in ascending rank. */
// @ts-ignore: decorator
@unmanaged
export class RuleNode {
  rule: usize;
  next: usize;
}

/** A set of texts: {@link Pattern}s follow it directly, or it is a space of the table. */
// @ts-ignore: decorator
@unmanaged
export class StringSet {
  /** Holds `"*"`. */
  any: u32;
  count: u32;
  /** A {@link Space} with the exact values, prefixes and suffixes of a large set, or 0. */
  space: usize;
}

// @ts-ignore: decorator
@unmanaged
export class Pattern {
  operation: u32;
  size: u32;
  at: usize;
}

/** A part of the table: which kinds of patterns it has, so that only those are looked up. */
// @ts-ignore: decorator
@unmanaged
export class Space {
  id: u32;
  /** Of a layer's index: which attribute it is looked up with. */
  field: u32;
  slot: u32;
  exact: u32;
  /** Lists of {@link LengthNode}, ascending. */
  prefixes: usize;
  suffixes: usize;
  /** Roots of tries, see {@link ./networks}. */
  networks4: usize;
  networks6: usize;
  next: usize;
}

// @ts-ignore: decorator
@unmanaged
export class LengthNode {
  length: u32;
  next: usize;
}

/** The policies that attach in the same way, with their index; or those of them that share a value. */
// @ts-ignore: decorator
@unmanaged
export class Layer {
  spaces: usize;
  /** Rules that nothing can look up. */
  deny: usize;
  allow: usize;
  denyPolicies: u32;
  allowPolicies: u32;
}

/** Which of a workload's policies: those that decide, those on trial, and those of the other actions, looked up as if they denied. */
export enum Part { Enforced, OnTrial, Audit, Custom }

export const PARTS: u32 = 4;

/** What of one {@link Part} applies to one workload; a workload has one after the other for all of them. */
// @ts-ignore: decorator
@unmanaged
export class Scope {
  first: usize;
  second: usize;
  third: usize;
  /** Attached ALLOW policies, those without rules too. */
  allowPolicies: u32;
  denyPolicies: u32;
}

export enum Kind { Exact, Prefix, Suffix }

// @ts-ignore: decorator
@inline
export function keyOf(space: u32, kind: Kind): u32 {
  return ((space + 1) << 2) | kind;
}

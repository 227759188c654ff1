/**
 * Decides: looks up the few rules that can match a request, and evaluates those. DENY before ALLOW; of several matching
 * rules the one of the lowest rank is the one that is named. No allocation.
 */
import { ABSENT, View, address, size, view } from "../../../sdk/assembly/bytes";
import { Field, isIp } from "../fields";
import { Slot, Table } from "../memory/table";
import { consider, matches } from "./evaluate";
import { HeaderSlots, HeaderValue } from "./header-slots";
import { accountAt, namespaceAt, nextAccount, nextNamespace } from "./identity";
import { Input } from "./input";
import { Finder, probe, probeNetworks } from "./probe";
import { Layer, RuleNode, RuleRecord, Scope, Space } from "./records";

/** How many lists of ALLOW rules one pass remembers; beyond, a second pass looks them up again. */
const PENDING: u32 = 128;
const NO_RANK: u32 = u32.MAX_VALUE;
/** No namespace and account of a policy is longer. */
const ACCOUNT_KEY: u32 = 640;

const pending = memory.data(PENDING * 4, 4);
const accountKey = memory.data(ACCOUNT_KEY);

export class Lookup extends Finder {
  /** The rule that decided, or 0: no policy applies, or no ALLOW rule matches. */
  decisive: usize = 0;
  private input: Input = new Input();
  private best: u32 = NO_RANK;
  private pendingCount: u32 = 0;
  private overflow: bool = false;
  private allowing: bool = false;

  constructor(private readonly table: Table, private readonly headers: HeaderSlots) {
    super();
  }

  /** May this request reach what the scope stands for? */
  allows(scope: Scope, input: Input): bool {
    this.input = input;
    this.decisive = 0;
    consider(input, this.table, this.headers);
    if ((scope.allowPolicies | scope.denyPolicies) == 0) return true;
    this.pendingCount = 0;
    this.overflow = false;
    this.allowing = false;
    this.best = NO_RANK;
    this.layers(scope);
    if (this.decisive != 0) return false;
    if (scope.allowPolicies == 0) return true;
    for (let i: u32 = 0; i < this.pendingCount; i++) this.tryRules(load<usize>(pending + (<usize>i << 2)));
    if (this.overflow) {
      this.allowing = true;
      this.layers(scope);
    }
    return this.decisive != 0;
  }

  private layers(scope: Scope): void {
    if (scope.first != 0) this.layer(changetype<Layer>(scope.first));
    if (scope.second != 0) this.layer(changetype<Layer>(scope.second));
    if (scope.third != 0) this.layer(changetype<Layer>(scope.third));
  }

  private layer(layer: Layer): void {
    this.lists(layer.deny, layer.allow);
    let space = changetype<Space | null>(layer.spaces);
    while (space !== null) {
      this.space(space);
      space = changetype<Space | null>(space.next);
    }
  }

  private space(space: Space): void {
    const field: Field = space.field;
    if (isIp(field)) probeNetworks(space, this.input.ip(field), this);
    else if (field == Field.Header) this.values(space, this.headers.values(space.slot));
    else if (field == Field.Claim) this.values(space, this.headers.claims.values(space.slot));
    else if (field == Field.ServiceAccount) this.accounts(space);
    else if (field == Field.Namespace && this.input.manyNamespaces) this.namespaces(space);
    else this.text(space, this.input.text(field));
  }

  private text(space: Space, text: View): void {
    if (text != ABSENT) probe(space, text, this.table, this);
  }

  private namespaces(space: Space): void {
    const uri = this.input.uri;
    for (let at = nextNamespace(uri, 0); at >= 0; at = nextNamespace(uri, at + 1)) this.text(space, namespaceAt(uri, at));
  }

  private accounts(space: Space): void {
    const id = this.input.text(Field.Principal);
    if (id == ABSENT) return;
    for (let at = nextNamespace(id, 1); at >= 0; at = nextNamespace(id, at + 1)) {
      const namespace = namespaceAt(id, at);
      if (namespace == ABSENT) continue;
      const rest = <u32>at + 5 + size(namespace);
      for (let sa = nextAccount(id, rest, rest); sa >= 0; sa = nextAccount(id, rest, sa + 1)) {
        const account = accountAt(id, sa + 3);
        const n = size(namespace) + 1 + size(account);
        if (n > ACCOUNT_KEY) continue;
        memory.copy(accountKey, address(namespace), size(namespace));
        store<u8>(accountKey + size(namespace), 47);
        memory.copy(accountKey + size(namespace) + 1, address(account), size(account));
        this.text(space, view(accountKey, n));
      }
    }
  }

  private values(space: Space, value: HeaderValue | null): void {
    while (value !== null) {
      this.text(space, value.value);
      value = changetype<HeaderValue | null>(value.next);
    }
  }

  found(slot: Slot): void {
    if (slot.layer != 0) this.layer(changetype<Layer>(slot.layer));
    else this.lists(slot.deny, slot.allow);
  }

  private lists(deny: usize, allow: usize): void {
    if (this.allowing) return this.tryRules(allow);
    if (deny != 0) this.tryRules(deny);
    if (allow == 0) return;
    if (this.pendingCount == PENDING) this.overflow = true;
    else {
      store<usize>(pending + (<usize>this.pendingCount << 2), allow);
      this.pendingCount++;
    }
  }

  /** The first rule of the list that matches, unless a better one is known. */
  private tryRules(head: usize): void {
    let node = changetype<RuleNode | null>(head);
    while (node !== null) {
      const rule = changetype<RuleRecord>(node.rule);
      if (rule.rank >= this.best) return;
      if (matches(rule)) {
        this.best = rule.rank;
        this.decisive = node.rule;
        return;
      }
      node = changetype<RuleNode | null>(node.next);
    }
  }
}

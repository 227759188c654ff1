/** The policies of one plugin configuration: compiled, and asked. Pure: no host call is made here. */
import { ABSENT, View, address, sameBytes, size, utf8 } from "../../sdk/assembly/bytes";
import { JsonReader } from "../../sdk/assembly/json/reader";
import { endLine, put, startLine } from "../../sdk/assembly/line";
import { Attachment } from "./compile/attach";
import { compile } from "./compile/compiler";
import { orderOf } from "./compile/order";
import { Spaces } from "./compile/spaces";
import { Field, Needs } from "./fields";
import { HeaderSlots } from "./match/header-slots";
import { Input } from "./match/input";
import { Lookup } from "./match/lookup";
import { Kind, PARTS, Part, RuleRecord, Scope, Space, keyOf } from "./match/records";
import { Arena } from "./memory/arena";
import { hashBytes } from "./memory/hash";
import { List, append, appendText, make, next, textOf } from "./memory/list";
import { Table } from "./memory/table";
import { Policy, Workload } from "./model";
import { Settings } from "./settings";

export class Engine {
  /** {@link Needs}: what of {@link Input} must be filled. */
  needs: u32 = 0;
  /** Of each {@link Part} that some policy is of, the bit. */
  parts: u32 = 0;
  /** Names of policies that apply to nothing here, to be mentioned, since one of them may be meant to; empty: none. */
  unattached: View = 0;
  readonly headers: HeaderSlots;
  private readonly arena: Arena;
  private readonly table: Table;
  private readonly lookup: Lookup;
  // Addresses of scopes, of all parts; the gateway's is 0 where there is none.
  private gateway: usize = 0;
  private node: usize = 0;
  /** Those of a route that no workload has. */
  private elsewhere: usize = 0;
  /** Address of the space that maps routes to scopes, or 0. */
  private routes: usize = 0;

  constructor() {
    const arena = new Arena();
    const table = new Table();
    const headers = new HeaderSlots(arena);
    this.arena = arena;
    this.table = table;
    this.headers = headers;
    this.lookup = new Lookup(table, headers);
  }

  /** Compiles what was read. The reader stands behind the object that it came from. False: refused, the reader says why. */
  compile(reader: JsonReader, settings: Settings): bool {
    const workloads = make<List>();
    append(workloads, changetype<usize>(settings.node));
    if (settings.workloads.count > 0) changetype<Workload>(workloads.first).next = settings.workloads.first;
    workloads.count += settings.workloads.count;
    const attachment = new Attachment(this.arena, settings.rootNamespace, workloads, settings.gateway);
    startLine();
    for (let node = settings.policies.first; node != 0; node = next(node)) {
      const policy = changetype<Policy>(node);
      if (policy.namespace == ABSENT) policy.namespace = settings.namespace;
      policy.order = orderOf(policy);
      attachment.attach(policy);
      if (policy.layers.count > 0 && policy.part == Part.Custom && settings.tcp) {
        return reader.failAt(utf8("policies"), policy.position, utf8("CUSTOM for connections"), utf8("a selector or target references that leave them out"));
      }
      if (policy.layers.count == 0 && !this.mayApplyToNothing(reader, settings, policy)) return false;
      if (policy.layers.count > 0) this.parts |= 1 << policy.part;
    }
    this.unattached = this.arena.copy(endLine());
    const trustDomains = make<List>();
    appendText(trustDomains, settings.trustDomain);
    for (let node = settings.aliases.first; node != 0; node = next(node)) appendText(trustDomains, textOf(node));
    const spaces = new Spaces(this.arena, this.table);
    this.needs = compile(settings, trustDomains, spaces);
    this.headers.finish();
    this.node = attachment.scopes(settings.node);
    this.elsewhere = this.node;
    if (settings.signed && settings.workloads.count > 0) {
      this.elsewhere = this.arena.alloc(<usize>PARTS * offsetof<Scope>());
      changetype<Scope>(this.elsewhere).allowPolicies = 1; // that matches nothing
    }
    if (settings.gateway != 0) this.gateway = attachment.scopes(changetype<Workload>(settings.gateway));
    if (!namesDiffer(reader, settings.policies) || !this.mapRoutes(reader, settings.workloads, attachment, spaces)) return false;
    return attachment.clash < 0 || reader.failAt(utf8("policies"), attachment.clash, utf8("another provider for the same workload"), utf8("one: a request is handed over once"));
  }

  /** Without anything that targets could name, a targetRef can't be followed, and a DENY would silently not apply. */
  private mayApplyToNothing(reader: JsonReader, settings: Settings, policy: Policy): bool {
    if (settings.narrowed) return true;
    if (policy.targets.count > 0 && settings.workloads.count + settings.node.targets.count == 0 && settings.gateway == 0) {
      return reader.failAt(utf8("policies"), policy.position, utf8("target references"), utf8("'targets' or 'workloads' beside the policies, to tell what they lead to"));
    }
    if (size(endLine()) < 400) {
      if (size(endLine()) > 0) put(utf8(", "));
      put(policy.namespace);
      put(utf8("/"));
      put(policy.name);
    }
    return true;
  }

  private mapRoutes(reader: JsonReader, workloads: List, attachment: Attachment, spaces: Spaces): bool {
    if (workloads.count == 0) return true;
    this.needs |= Needs.Route;
    const routes = spaces.create(Field.Path, 0);
    this.routes = changetype<usize>(routes);
    for (let node = workloads.first; node != 0; node = next(node)) {
      const workload = changetype<Workload>(node);
      const scopes = attachment.scopes(workload);
      for (let route = workload.routes.first; route != 0; route = next(route)) {
        const slot = spaces.put(routes, Kind.Exact, textOf(route));
        if (slot.allow != 0) {
          return reader.failAt(utf8("workloads"), workload.position, utf8("a route of another workload"), utf8("each route in one workload"));
        }
        slot.allow = scopes;
      }
    }
    return true;
  }

  has(part: Part): bool {
    return (this.parts & (1 << part)) != 0;
  }

  /** What the policies of one part say, at the gateway and behind it: allowed? {@link rule} tells by what. */
  allows(input: Input, part: Part = Part.Enforced): bool {
    return this.passes(input, part, true) && this.passes(input, part, false);
  }

  /** The same of one of the two stages; true where no policy of this part applies to it. */
  passes(input: Input, part: Part, gateway: bool): bool {
    const scopes = gateway ? this.gateway : this.scopesFor(input.route);
    return scopes == 0 || this.lookup.allows(changetype<Scope>(scopes + <usize>part * offsetof<Scope>()), input);
  }

  /** The rule that decided last, or null: none matched, or none applies. */
  get rule(): RuleRecord | null {
    return changetype<RuleRecord | null>(this.lookup.decisive);
  }

  private scopesFor(route: View): usize {
    if (this.routes != 0 && route != ABSENT) {
      const key = keyOf(changetype<Space>(this.routes).id, Kind.Exact);
      const slot = this.table.find(key, hashBytes(address(route), size(route)), address(route), size(route));
      return slot === null ? this.elsewhere : slot.allow;
    }
    return this.node;
  }

  /** Frees all compiled policies; the object is of no use afterwards. */
  free(): void {
    this.headers.free();
    this.table.clear();
    this.arena.free();
  }
}

/** The list is sorted by name. */
function namesDiffer(reader: JsonReader, policies: List): bool {
  for (let node = policies.first; node != policies.last; node = next(node)) {
    const a = changetype<Policy>(node);
    const b = changetype<Policy>(a.next);
    if (!sameBytes(a.order, b.order)) continue;
    const later = max(a.position, b.position);
    return reader.failAt(utf8("policies"), later, utf8("the name of another policy"), utf8("one policy of a name in a namespace"));
  }
  return true;
}

/**
 * Which conditions hold for a request, by the word of the module: a configuration in which each condition is a rule of its
 * own, guarded by a header, so that one request asks about one condition (of connections: guarded by metadata). Conditions are asked about in groups first; a group of
 * which none holds is settled by one request.
 */
import type { Json } from "../host/index.ts";
import type { AccessRequest } from "./request.ts";
import type { AuthzModule } from "./module.ts";
import { isHttp, type Condition } from "./conditions.ts";
import type { Gateway } from "./node.ts";

const GROUP = 64;
const RULES_PER_POLICY = 512;
/** Metadata that guards conditions on connections. */
const FILTER = "envoy.filters.selvedge.probe";
const NAMESPACE = "selvedge-probe";

export class Probes {
  readonly #module: AuthzModule;
  readonly #keys: readonly string[];
  readonly #guard: string;
  readonly #connection: boolean;

  constructor(gateway: Gateway, conditions: readonly Condition[]) {
    this.#connection = gateway.chain !== undefined;
    const byKey = new Map(conditions.filter(({ attribute }) => !(this.#connection && isHttp(attribute))).map((condition) => [condition.key, condition]));
    this.#keys = [...byKey.keys()];
    const headers = new Set(conditions.map(({ attribute }) => attribute));
    let guard = "x-selvedge-probe";
    while (headers.has(`header ${guard}`)) guard += "-";
    this.#guard = guard;
    const rules = [...byKey.values()].map(({ alone }, index) => ({
      ...alone,
      when: [...(alone.when ?? []), { key: this.#connection ? `experimental.${FILTER}[${guard}]` : `request.headers[${guard}]`, values: [`c${index}`, `g${Math.floor(index / GROUP)}`] }],
    }));
    const policies: Json[] = [];
    for (let at = 0; at < rules.length || at === 0; at += RULES_PER_POLICY) {
      policies.push({ apiVersion: "security.istio.io/v1", kind: "AuthorizationPolicy", metadata: { name: `p${at}`, namespace: NAMESPACE }, spec: { rules: rules.slice(at, at + RULES_PER_POLICY) as unknown as Json } });
    }
    this.#module = gateway.moduleWith({ gateway: undefined, workloads: undefined, namespace: NAMESPACE, labels: {}, policies });
  }

  /** Tells of each condition whether it holds for this request. */
  holding(request: AccessRequest): (condition: Condition) => boolean {
    const headers = request.headers.filter(([name]) => name.toLowerCase() !== this.#guard);
    const ask = (value: string): boolean => this.#connection ? this.#module.decide({ ...request, metadata: { ...request.metadata, [FILTER]: { [this.#guard]: value } } }, undefined).allowed : this.#module.decide({ ...request, headers: [...headers, [this.#guard, value]] }, undefined).allowed;
    const holds = new Set<string>();
    for (let at = 0; at < this.#keys.length; at += GROUP) {
      if (!ask(`g${at / GROUP}`)) continue;
      for (let index = at; index < Math.min(at + GROUP, this.#keys.length); index++) if (ask(`c${index}`)) holds.add(this.#keys[index]!);
    }
    return ({ key }) => holds.has(key);
  }

  close(): void {
    this.#module.close();
  }
}

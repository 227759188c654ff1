/** Decides a recorded request again with the policies of one folder. */
import type { Json } from "../host/index.ts";
import { attributesOf, favouring } from "../decide/variants.ts";
import type { Attribute } from "../decide/conditions.ts";
import { listenerOf, unknownToRoutes, type LoggedRequest } from "../decide/log-line.ts";
import type { AuthzModule, ModuleDecision } from "../decide/module.ts";
import type { EdgeNode, Gateway, Workload } from "../decide/node.ts";
import type { AccessRequest } from "../decide/request.ts";

export interface Outcome {
  verdict: "allow" | "deny" | "refuse" | "redirect";
  /** `<namespace>/<name>#<index>`; undefined: no rule. */
  rule: string | undefined;
  workload: string | undefined;
}

/** Modules of one folder: its own, and those for what a log leaves open. */
export class Redecider {
  readonly #variants = new Map<string, AuthzModule>();
  readonly #attributes = new Map<Workload, Set<Attribute>>();

  constructor(readonly node: EdgeNode) {}

  /** The outcome, or why it can't be told. */
  decide(logged: LoggedRequest): Outcome | string {
    const listener = listenerOf(this.node, logged);
    if (typeof listener === "string") return listener;
    const { request } = logged;
    const local = logged.port === undefined ? { ...request.local, port: listener.port } : request.local;
    const asked: AccessRequest = { ...request, local, ...(logged.unknown("principal") && { peer: [] }), ...(logged.unknown("sni") && !request.connection && { sni: request.host.replace(/:\d*$/, "") }) };
    const arrival = this.node.arrive(listener, asked, unknownToRoutes(logged));
    if (arrival.kind === "refused") return { verdict: "refuse", rule: undefined, workload: undefined };
    if (arrival.kind === "redirected") return { verdict: "redirect", rule: undefined, workload: undefined };
    if (arrival.kind === "arrived") return this.#ask(arrival.gateway, arrival.workload, arrival.route?.name, arrival.request, logged);
    const gateway = this.node.gateway(listener);
    // The log names the route that the request took, perhaps that of an arm.
    const workload = gateway.workloads.find(({ routes }) => routes.some((route) => logged.route === route || logged.route?.startsWith(`${route}/`)));
    if (!workload || logged.route === undefined) return logged.route === undefined ? "its route depends on headers or a query, which the log doesn't have" : `no route ${logged.route}`;
    return this.#ask(gateway, workload, workload.routes[0], arrival.request, logged);
  }

  #ask(gateway: Gateway, workload: Workload, route: string | undefined, request: AccessRequest, logged: LoggedRequest): Outcome | string {
    const open = [...this.#attributesFor(gateway, workload)].filter((attribute) => logged.unknown(attribute)).sort();
    if (open.length === 0) return outcome(gateway.decide(request, route), workload);
    const [most, least] = [true, false].map((allow) => this.#variant(gateway, open, allow).decide(request, route));
    if (most!.allowed !== least!.allowed) return `it depends on ${open.join(", ")}, which the log doesn't have`;
    return outcome(same(most!, least!) ? most! : { ...most!, rule: undefined }, workload);
  }

  #attributesFor(gateway: Gateway, workload: Workload): Set<Attribute> {
    let found = this.#attributes.get(workload);
    if (!found) {
      const policies = [...gateway.applying(workload, "workload"), ...gateway.applying(workload, "gateway")];
      this.#attributes.set(workload, (found = attributesOf(policies)));
    }
    return found;
  }

  #variant(gateway: Gateway, open: readonly Attribute[], allow: boolean): AuthzModule {
    const key = `${gateway.name} ${gateway.chain?.tcp?.plugin ?? ""} ${allow} ${open.join(" ")}`;
    let module = this.#variants.get(key);
    if (!module) {
      const set = new Set(open);
      const specs = new Map(gateway.policies.map((policy) => [policy.id, policy]));
      const policies = (gateway.config!.policies as { metadata: { namespace: string; name: string } }[]).map((policy) => {
        const resource = specs.get(`${policy.metadata.namespace}/${policy.metadata.name}`)!;
        return { ...policy, spec: favouring(resource, set, allow) };
      });
      this.#variants.set(key, (module = gateway.moduleWith({ policies: policies as unknown as Json })));
    }
    return module;
  }

  close(): void {
    for (const module of this.#variants.values()) module.close();
    this.node.close();
  }
}

const same = (a: ModuleDecision, b: ModuleDecision): boolean => a.rule?.policy === b.rule?.policy && a.rule?.rule === b.rule?.rule;

function outcome({ allowed, rule }: ModuleDecision, { name }: Workload): Outcome {
  return { verdict: allowed ? "allow" : "deny", rule: rule && `${rule.policy}#${rule.rule}`, workload: name };
}

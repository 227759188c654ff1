/** A folder of policies as the node that it makes: its listeners and routes, and the authorization module that decides there. */
import { join } from "node:path";
import { readFileSync } from "node:fs";
import { composeEnvoy, loadPolicies, ofKind, type ComposeOptions, type Policies, type PluginKind, type Resource } from "../compose/index.ts";
import { attaches, targetNames } from "../compose/resolve/attachment.ts";
import { DRY_RUN } from "../compose/check/authorization.ts";
import { fail, SelvedgeError, type Finding, type Position } from "../errors.ts";
import type { Json } from "../host/index.ts";
import { normalizePath } from "../host/normalize-path.ts";
import { withScenario } from "../scenario/check.ts";
import { AuthzModule, type ModuleDecision, type PluginConfig, type RuleName } from "./module.ts";
import type { AccessRequest } from "./request.ts";
import { chainFor, readListeners, routeFor, type Chain, type Listener, type Route, type Unknown } from "./table.ts";

export type Policy = Resource<"AuthorizationPolicy">;

/** A destination, as policies attach to it. */
export interface Workload {
  /** `<namespace>/<workload>`; undefined: the node itself, for requests that no workload's route takes. */
  name: string | undefined;
  namespace: string;
  labels: Record<string, string>;
  targets: string[];
  routes: string[];
}

/** Where a request ends up before policies are asked. */
export type Arrival =
  /** No connection, as the listener wants a certificate or no chain serves the server name; or Envoy answers 400. */
  | { kind: "refused"; reason: string; listener: Listener }
  /** Envoy answers by itself, before any filter. */
  | { kind: "redirected"; path: string; listener: Listener }
  | { kind: "arrived"; listener: Listener; chain: Chain; gateway: Gateway; route: Route | undefined; workload: Workload; request: AccessRequest }
  /** The route depends on what isn't known of the request. */
  | { kind: "unknown"; listener: Listener; request: AccessRequest };

export type Stage = "gateway" | "workload";

export interface Decision extends ModuleDecision {
  /** Which stage denied; where both exist, a request passes the gateway's first. */
  stage: Stage;
}

/** One Gateway: a module of its own decides for all of its listeners; or one chain of connections, which has one too. */
export class Gateway {
  readonly workloads: readonly Workload[];
  /** For requests that take no route, or one that leads nowhere. */
  readonly self: Workload;
  #module: AuthzModule | undefined;
  #first: AuthzModule | undefined;

  /** @param config of authz; undefined: no policy concerns this Gateway */
  constructor(
    readonly name: string,
    readonly listeners: readonly Listener[],
    readonly config: PluginConfig | undefined,
    readonly policies: readonly Policy[],
    readonly rootNamespace: string,
    private readonly makeModule: (config: PluginConfig) => AuthzModule,
    /** What it decides on: connections of this chain. Undefined: requests. */
    readonly chain?: Chain,
  ) {
    const { namespace = name.split("/")[0]!, labels = {}, targets = [], workloads = [] } = (config ?? {}) as { namespace?: string; labels?: Record<string, string>; targets?: string[]; workloads?: Workload[] };
    this.self = { name: chain?.tcp?.backends.join(" or "), namespace, labels, targets: chain ? targets : [], routes: [] };
    this.workloads = workloads;
  }

  workloadOf(route: string | undefined): Workload {
    return this.workloads.find(({ routes }) => route !== undefined && routes.includes(route)) ?? this.self;
  }

  /** The policies that a stage holds a request for this workload against, on trial or not. */
  applying(workload: Workload, stage: Stage): Policy[] {
    if (stage === "workload") return this.policies.filter((policy) => attaches(policy, workload, this.rootNamespace));
    const { gateway } = (this.config ?? {}) as { gateway?: Workload };
    if (!gateway) return [];
    return this.policies.filter((policy) => isExplicit(policy) && attaches(policy, gateway, this.rootNamespace));
  }

  decide(request: AccessRequest, route: string | undefined): Decision {
    if (!this.config) return { allowed: true, rule: undefined, ambiguous: false, dryRun: undefined, stage: "workload" };
    this.#module ??= this.makeModule(this.config);
    const decision = this.#module.decide(request, route);
    return { ...decision, stage: decision.allowed || decision.ambiguous ? "workload" : this.#deniedBy(request, route) };
  }

  /** Only the module's own answer to the first stage alone tells whether it was that. */
  #deniedBy(request: AccessRequest, route: string | undefined): Stage {
    const first = this.applying(this.self, "gateway").filter((policy) => policy.annotations[DRY_RUN] !== "true");
    if (first.length === 0) return "workload";
    if (!this.#first) {
      const ids = new Set(first.map(({ id }) => id));
      const policies = (this.config!.policies as unknown as { metadata: { namespace: string; name: string } }[]).filter(({ metadata }) => ids.has(`${metadata.namespace}/${metadata.name}`));
      // A node in a namespace without policies and without labels: only the first stage has any.
      this.#first = this.makeModule({ ...this.config!, namespace: "selvedge-no-policies", labels: {}, targets: undefined, ...(!this.chain && { workloads: [] }), policies: policies as never });
    }
    return this.#first.decide(request, route).allowed ? "workload" : "gateway";
  }

  /** A module of this Gateway's settings with other policies. */
  moduleWith(changes: PluginConfig): AuthzModule {
    return this.makeModule({ ...this.config, ...changes });
  }

  close(): void {
    this.#module?.close();
    this.#first?.close();
  }
}

/** Attaches by name or label: only such policies are the Gateway's own. */
function isExplicit(policy: Policy): boolean {
  return targetNames(policy as never) !== undefined || Object.keys(policy.spec.selector?.matchLabels ?? {}).length > 0;
}

export class EdgeNode {
  private constructor(
    readonly dir: string,
    readonly policies: Policies,
    readonly gateways: readonly Gateway[],
    readonly trustDomain: string,
    readonly findings: readonly Finding[],
  ) {}

  /** @throws SelvedgeError for what `selvedge check` refuses, certificates excepted, and for modules that aren't there */
  static load(dir: string, options: ComposeOptions): EdgeNode {
    return EdgeNode.of(loadPolicies(dir, withScenario), options);
  }

  static of(policies: Policies, options: ComposeOptions): EdgeNode {
    const { config, plugins, findings } = composeEnvoy(policies, { ...options, signing: false, readFiles: false, capabilities: { authz: [], canary: [], telemetry: [], edge: [] } });
    if (!config) throw new SelvedgeError(findings.filter(({ severity }) => severity === "error"));
    const kind: PluginKind = (options.modules ?? "fused") === "fused" ? "edge" : "authz";
    const file = options.modulePaths?.[kind] ?? join(options.moduleDir, `${kind}.wasm`);
    let code: Uint8Array | undefined;
    const make = (authz: PluginConfig): AuthzModule => {
      code ??= readModule(file);
      const { identity, ...rest } = authz;
      return new AuthzModule(code, kind === "edge" ? { authz: rest as Json, identity } : authz);
    };
    const resources = ofKind(policies, "AuthorizationPolicy");
    const listeners = readListeners(config);
    const names = [...new Set(listeners.filter(speaksHttp).map(({ gateway }) => gateway))];
    const gateways = names.map((name) => {
      const plugin = plugins.find((each) => each.kind === kind && each.name === `selvedge.${kind}.${name.replace("/", ".")}`);
      const authz = plugin && authzOf(JSON.parse(plugin.json) as PluginConfig, kind);
      return new Gateway(name, listeners.filter((listener) => listener.gateway === name && speaksHttp(listener)), authz, resources, options.rootNamespace ?? "istio-system", make);
    });
    const connections = listeners.flatMap((listener) => listener.chains.flatMap((chain) => {
      if (!chain.tcp) return [];
      const plugin = plugins.find((each) => each.tcp && each.name === chain.tcp!.plugin);
      const alone = (config: PluginConfig): AuthzModule => new AuthzModule(readModule(plugin!.module), config);
      return [new Gateway(listener.gateway, [listener], plugin && (JSON.parse(plugin.json) as PluginConfig), resources, options.rootNamespace ?? "istio-system", alone, chain)];
    }));
    return new EdgeNode(policies.dir, policies, [...gateways, ...connections], options.trustDomain ?? "cluster.local", findings);
  }

  get listeners(): Listener[] {
    return [...new Set(this.gateways.flatMap(({ listeners }) => listeners))];
  }

  /** What decides on this listener's requests, or on the connections of one of its chains. */
  gateway(listener: Listener, tcp?: Chain): Gateway {
    return this.gateways.find(({ name, chain }) => name === listener.gateway && chain === tcp)!;
  }

  /** Takes a request to its route. @param route one that is known already, from a log */
  arrive(listener: Listener, request: AccessRequest, unknown: Unknown = {}): Arrival {
    const chain = chainFor(listener, request.sni);
    if (!chain) return { kind: "refused", reason: `no certificate of ${listener.name} is for the server name ${request.sni ?? "(none)"}`, listener };
    if (chain.clientCertificate && request.peer === undefined) return { kind: "refused", reason: `${listener.name} wants a client certificate, and there is none`, listener };
    if (chain.tcp) return this.#connected(listener, chain, request);
    const { path, action } = normalizePath(request.path);
    if (action === "reject") return { kind: "refused", reason: "Envoy answers 400 to this path", listener };
    if (action === "redirect") return { kind: "redirected", path, listener };
    const seen: AccessRequest = { ...request, tls: chain.tls, path, ...(!chain.tls && { peer: undefined, sni: undefined }) };
    const route = routeFor(chain, seen, unknown);
    if (route === "unknown") return { kind: "unknown", listener, request: seen };
    const gateway = this.gateway(listener);
    return { kind: "arrived", listener, chain, gateway, route, workload: gateway.workloadOf(route?.name), request: seen };
  }

  #connected(listener: Listener, chain: Chain, request: AccessRequest): Arrival {
    if (chain.tcp!.backends.length === 0) return { kind: "refused", reason: `no TCPRoute is on ${listener.name}: it closes every connection`, listener };
    const gateway = this.gateway(listener, chain);
    const seen: AccessRequest = { ...request, ...CONNECTION, tls: chain.tls, ...(!chain.tls && { peer: undefined, sni: undefined }) };
    return { kind: "arrived", listener, chain, gateway, route: undefined, workload: gateway.self, request: seen };
  }

  /** Where the rule that decided is written. */
  positionOf(rule: RuleName): Position | undefined {
    return this.policy(rule.policy)?.at(["spec", "rules", rule.rule]);
  }

  policy(id: string): Policy | undefined {
    return this.#byId.get(id);
  }

  readonly #ids = new Map<string, Policy>();
  get #byId(): Map<string, Policy> {
    if (this.#ids.size === 0) for (const policy of ofKind(this.policies, "AuthorizationPolicy")) this.#ids.set(policy.id, policy);
    return this.#ids;
  }

  close(): void {
    for (const gateway of this.gateways) gateway.close();
  }
}

/** What a connection has of a request: nothing. */
export const CONNECTION = { method: "", host: "", path: "", headers: [] as [string, string][], claims: undefined, connection: true as const };

const speaksHttp = ({ chains }: Listener): boolean => chains.some(({ tcp }) => tcp === undefined);

function authzOf(config: PluginConfig, kind: PluginKind): PluginConfig | undefined {
  if (kind === "authz") return config;
  if (config.authz === undefined) return undefined;
  return { ...(config.authz as PluginConfig), ...(config.identity !== undefined && { identity: config.identity }) };
}

function readModule(file: string): Uint8Array {
  try {
    return readFileSync(file);
  } catch {
    return fail("module-missing", "the filter module is not there", { where: { file }, fix: "build it: selvedge build" });
  }
}

/** The filters' configurations: the JSON that authz, canary, telemetry and edge read (see their config.schema.json). */
import { DRY_RUN } from "../check/authorization.ts";
import type { Resource } from "../load.ts";
import { attaches, attachesToGateway, gatewaySubject, resolveWorkloads, tcpSubject, workloadName, type Subject } from "../resolve/attachment.ts";
import { rulesOf } from "../resolve/index.ts";
import { speaksHttp, type GatewayModel, type Model, type RuleModel, type Workload } from "../resolve/model.ts";
import { providerOf } from "../resolve/providers.ts";
import { tcpListeners } from "../resolve/tcp.ts";
import { Report } from "../report.ts";
import type { Config, Json } from "./config.ts";
import { clean } from "./config.ts";
import { audienceOf, mountedPart, type SigningOptions } from "./signing.ts";

export type PluginKind = "authz" | "canary" | "telemetry" | "edge";

export interface Plugin {
  kind: PluginKind;
  /** Unique in the configuration; also its vm_id unless `vm` says another, so that no two Gateways share a VM. */
  name: string;
  vm?: string;
  json: string;
  /** Decides on the connections of this listener. */
  tcp?: true;
  listener?: string;
  /** Hands over to providers. */
  custom?: true;
  /** Policies come in signed bundles; and newer ones are fetched. */
  signed?: boolean;
  fetched?: boolean;
}

export interface PluginOptions {
  modules: "fused" | "separate";
  rootNamespace: string;
  trustDomain: string;
  trustDomainAliases: string[];
  /** Where the peer's identity is; undefined: filters read it from the connection. */
  identity?: Config;
  /** Where the physical peer's address is. */
  directAddress?: Config | undefined;
  /** The same of connections, which have no headers. */
  connection: { identity?: Config; directAddress?: Config };
  maxSeries: number;
  logDenials?: boolean;
  strictPaths: boolean;
  denial?: { status?: number; body?: string };
  /** Policies come in signed bundles instead. */
  signing?: SigningOptions;
}

/** Every plugin of one Gateway: those of requests in filter order, then those of connections. */
export function gatewayPlugins(gateway: GatewayModel, model: Model, options: PluginOptions): Plugin[] {
  const http = gateway.sockets.some(({ protocol }) => speaksHttp(protocol));
  return [...(http ? httpPlugins(gateway, model, options) : []), ...tcpPlugins(gateway, model, options)];
}

/**
 * The plugins of one Gateway's requests, in filter order. Telemetry comes first when it stands alone: first on the way in is last
 * on the way out, so it sees every answer, local replies of the others and their header changes included.
 */
function httpPlugins(gateway: GatewayModel, model: Model, options: PluginOptions): Plugin[] {
  const rules = rulesOf(gateway);
  const { identity } = options;
  const parts: [PluginKind, Config | undefined][] = [
    ["telemetry", gateway.metrics ? telemetryConfig(rules, options) : undefined],
    ["authz", authzConfig(gateway, rules, model, options)],
    ["canary", canaryConfig(rules)],
  ];
  const present = parts.filter((part): part is [PluginKind, Config] => part[1] !== undefined);
  if (present.length === 0) return [];
  const signed = signedBy(options, model);
  const custom = providersOf(gateway, model, options.rootNamespace).length > 0 ? { custom: true as const } : {};
  const name = (kind: PluginKind): string => `selvedge.${kind}.${gateway.resource.namespace}.${gateway.resource.name}`;
  if (options.modules === "separate") {
    return present.map(([kind, config]) => ({ kind, name: name(kind), json: compact({ ...config, identity }), ...signed, ...(kind === "authz" ? custom : {}) }));
  }
  const order: PluginKind[] = ["authz", "canary", "telemetry"];
  const fused = Object.fromEntries(present.sort(([a], [b]) => order.indexOf(a) - order.indexOf(b)));
  return [{ kind: "edge", name: name("edge"), json: compact({ ...fused, identity }), ...signed, ...custom }];
}

function signedBy({ signing }: PluginOptions, { bundle }: Model): Pick<Plugin, "signed" | "fetched"> {
  return signing ? { signed: true, fetched: bundle?.source !== undefined } : {};
}

/** One plugin for each listener that connections to guarded backends come in by; they share a VM. */
function tcpPlugins(gateway: GatewayModel, model: Model, options: PluginOptions): Plugin[] {
  const vm = `selvedge.tcp.${gateway.resource.namespace}.${gateway.resource.name}`;
  return tcpListeners(gateway).flatMap(({ listener, route }): Plugin[] => {
    const arm = route.arms[0];
    if (!arm) return [];
    const subject = tcpSubject(route.resource, arm.backend);
    const policies = attached(gateway, [subject], model, options).filter((policy) => providerOf(policy) === undefined);
    if (policies.length === 0 && !options.signing) return [];
    const { identity, directAddress } = options.connection;
    const own = { protocol: "tcp", directAddress, logDenials: options.logDenials, identity };
    const config = options.signing
      ? mountedPart({ ...own, listener: listener.name }, audienceOf(options.signing.node, gateway.resource.id, model.gateways.length), options.signing, model.bundle?.source)
      : { ...own, ...policyPart(gateway, subject, { ...options, directAddress }), policies: policies.map(policyConfig) };
    return [{ kind: "authz", name: `${vm}.${listener.name}`, vm, json: compact(config), ...signedBy(options, model), tcp: true, listener: listener.name }];
  });
}

/** The policies that hold for the Gateway itself or for what is behind it. */
export function attached(gateway: GatewayModel, subjects: Subject[], model: Model, { rootNamespace }: PluginOptions): Resource<"AuthorizationPolicy">[] {
  return model.policies
    .filter((policy) => attachesToGateway(policy, gateway, rootNamespace) || subjects.some((subject) => attaches(policy, subject, rootNamespace)))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Filter state by which the authz filter tells providers which requests are theirs; Envoy puts `wasm.` before it. */
export const CUSTOM_KEY = "selvedge_custom";

/** Names of the providers to which policies of this Gateway hand requests over. */
export function providersOf(gateway: GatewayModel, model: Model, rootNamespace: string): string[] {
  const rules = rulesOf(gateway);
  const subjects = resolveWorkloads(rules, model.policies, rootNamespace, new Report());
  const those = model.policies.filter((policy) => attachesToGateway(policy, gateway, rootNamespace) || subjects.some((each) => attaches(policy, each, rootNamespace)));
  return [...new Set(those.flatMap((policy) => providerOf(policy) ?? []))].sort();
}

function authzConfig(gateway: GatewayModel, rules: RuleModel[], model: Model, options: PluginOptions): Config | undefined {
  const workloads = resolveWorkloads(rules, model.policies, options.rootNamespace, new Report());
  const self = gatewaySubject(gateway);
  const policies = attached(gateway, [self, ...workloads], model, options);
  if (policies.length === 0 && !options.signing) return undefined;
  const providers = providersOf(gateway, model, options.rootNamespace);
  const config: Config = {
    ...policyPart(gateway, { ...self, targets: [] }, options),
    denial: options.denial ? { ...options.denial } : undefined,
    logDenials: options.logDenials,
    strictPaths: options.strictPaths,
    custom: providers.length > 0 ? { filterState: CUSTOM_KEY, providers } : undefined,
    workloads: workloads.map(workloadConfig),
    policies: policies.map(policyConfig),
  };
  if (!options.signing) return config;
  return mountedPart(config, audienceOf(options.signing.node, gateway.resource.id, model.gateways.length), options.signing, model.bundle?.source);
}

/** What policies attach to, for the destination that stands for the node. */
export function policyPart(gateway: GatewayModel, node: Subject, options: PluginOptions): Config {
  const self = gatewaySubject(gateway);
  return {
    namespace: node.namespace,
    labels: node.labels,
    targets: node.targets.length > 0 ? node.targets : undefined,
    rootNamespace: options.rootNamespace,
    trustDomain: options.trustDomain,
    trustDomainAliases: options.trustDomainAliases,
    directAddress: options.directAddress,
    gateway: { namespace: self.namespace, labels: self.labels, targets: self.targets },
  };
}

export function workloadConfig({ name, namespace, labels, targets, routes }: Workload): Config {
  return { name, namespace, labels, targets, routes };
}

/** The whole resource, without what only a cluster's bookkeeping needs. */
export function policyConfig(policy: Resource<"AuthorizationPolicy">): Config {
  const dryRun = policy.annotations[DRY_RUN];
  return {
    apiVersion: policy.value.apiVersion,
    kind: policy.kind,
    metadata: { name: policy.name, namespace: policy.namespace, annotations: dryRun === undefined ? undefined : { [DRY_RUN]: dryRun } },
    spec: policy.spec as Json,
  };
}

function canaryConfig(rules: RuleModel[]): Config | undefined {
  const rollouts = rules.flatMap((rule): Config[] => {
    if (!rule.rollout) return [];
    const { id, stickiness } = rule.rollout;
    return [
      {
        route: rule.id,
        id,
        arms: rule.arms.map(({ name, weight }) => ({ name, weight })),
        stickiness: stickiness ? { salt: stickiness.salt, keys: stickiness.keys.map((key) => ({ ...key })) } : undefined,
      },
    ];
  });
  return rollouts.length > 0 ? { rollouts } : undefined;
}

function telemetryConfig(rules: RuleModel[], options: PluginOptions): Config {
  const routes: Record<string, Config> = {};
  for (const rule of rules) {
    const [stable, ...others] = rule.arms;
    // A redirect or a fixed answer has no destination.
    routes[rule.id] = { destination: destination(stable), arm: stable?.name ?? "", label: rule.id };
    for (const arm of others) routes[`${rule.id}/${arm.name}`] = { destination: destination(arm), arm: arm.name, label: rule.id };
  }
  return { maxSeries: options.maxSeries, routes };
}

function destination(arm: RuleModel["arms"][number] | undefined): Config {
  if (!arm) return { workload: "unknown", namespace: "unknown" };
  return { workload: workloadName(arm.backend), namespace: arm.backend.namespace };
}

/**
 * JSON on as few lines as a person can still review and compare: one for each policy, workload, rollout and route.
 * The filters don't care; the difference in size is below one per cent.
 */
export function compact(config: Config): string {
  return layout(clean(config), ["policies", "workloads", "rollouts", "routes", "authz", "canary", "telemetry"], "");
}

function layout(value: Json, open: string[], indent: string): string {
  const deeper = `${indent} `;
  if (Array.isArray(value)) {
    if (value.length === 0) return "[]";
    return `[\n${value.map((each) => deeper + JSON.stringify(each)).join(",\n")}\n${indent}]`;
  }
  const members = Object.entries(value as Config).map(([key, each]) => {
    const isOpen = open.includes(key) && each !== null && typeof each === "object";
    const text = !isOpen ? JSON.stringify(each) : Array.isArray(each) || key !== "routes" ? layout(each!, open, deeper) : table(each as Config, deeper);
    return `${deeper}${JSON.stringify(key)}:${text}`;
  });
  return members.length === 0 ? "{}" : `{\n${members.join(",\n")}\n${indent}}`;
}

function table(value: Config, indent: string): string {
  const rows = Object.entries(value).map(([key, each]) => `${indent} ${JSON.stringify(key)}:${JSON.stringify(each)}`);
  return rows.length === 0 ? "{}" : `{\n${rows.join(",\n")}\n${indent}}`;
}

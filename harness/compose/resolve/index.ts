/** From checked resources to the model: references, attachment, defaults. */
import { checkAuthorization } from "../check/authorization.ts";
import { ofKind, type Policies } from "../load.ts";
import type { Report } from "../report.ts";
import { armSubject, attaches, attachesToGateway, checkTargets, gatewaySubject, resolveWorkloads, tcpSubject, workloadName } from "./attachment.ts";
import { checkAuthentications } from "../check/authentication.ts";
import { resolveAuthentications } from "./authentication.ts";
import { Backends, resolveUpstreamTls } from "./backends.ts";
import { resolveBundle } from "./bundle.ts";
import { resolveRollouts } from "./canary.ts";
import { Certificates } from "./certificates.ts";
import { refusePortClashes, resolveGateway, type Occupied } from "./gateways.ts";
import type { GatewayModel, Model, RuleModel } from "./model.ts";
import { checkProviders, refuseConnections, refuseSeveral, resolveProviders } from "./providers.ts";
import { attachRoute, resolveRoute, warnShadowed } from "./routes.ts";
import { attachTcpRoute, checkTcp, tcpListeners } from "./tcp.ts";
import { resolveTelemetry } from "./telemetry.ts";

export interface ResolveOptions {
  rootNamespace: string;
  systemAuthorities?: string;
  /** False: don't look at certificates on disk. */
  readFiles: boolean;
  /** Addresses that something else takes, the admin endpoint for one. */
  occupied: Occupied[];
}

export function resolvePolicies(policies: Policies, options: ResolveOptions, report: Report): Model {
  const certificates = new Certificates(ofKind(policies, "Secret"), ofKind(policies, "ConfigMap"), report, options.readFiles);
  const backends = new Backends(ofKind(policies, "Backend"), report);
  const upstreamTls = resolveUpstreamTls(ofKind(policies, "BackendTLSPolicy"), backends, certificates, options, report);
  const gateways = ofKind(policies, "Gateway").map((gateway) => resolveGateway(gateway, certificates, report));
  if (gateways.length === 0) {
    report.add({
      code: "gateway-missing",
      severity: "error",
      message: "there is no Gateway, so nothing listens",
      where: { file: policies.dir },
      fix: "add a Gateway",
    });
  }
  refusePortClashes(gateways, options.occupied, report);
  const routes = ofKind(policies, "HTTPRoute").map((route) => resolveRoute(route, backends, report));
  for (const route of routes) attachRoute(route, gateways, report);
  warnShadowed(gateways, report);
  for (const route of ofKind(policies, "TCPRoute")) attachTcpRoute(route, gateways, backends, report);
  resolveRollouts(ofKind(policies, "CanaryPolicy"), routes, report);
  resolveTelemetry(ofKind(policies, "Telemetry"), gateways, options.rootNamespace, report);
  const authentications = resolveAuthentications(ofKind(policies, "RequestAuthentication"), options, report);
  const model: Model = { gateways, upstreamTls, policies: ofKind(policies, "AuthorizationPolicy"), authentications, providers: resolveProviders(ofKind(policies, "ExtensionProvider"), backends, report) };
  const bundle = resolveBundle(ofKind(policies, "PolicyBundle"), backends, upstreamTls, gateways.length, report);
  if (bundle) model.bundle = bundle;
  checkPolicies(model, policies, options, report);
  return model;
}

/** The rules whose routes are on a listener of this Gateway, each once, by id. */
export function rulesOf(gateway: GatewayModel): RuleModel[] {
  const rules = new Map<string, RuleModel>();
  for (const socket of gateway.sockets) {
    for (const listener of socket.listeners) {
      for (const { route } of listener.attached) for (const rule of route.rules) rules.set(rule.id, rule);
    }
  }
  return [...rules.values()].sort((a, b) => (a.id < b.id ? -1 : 1));
}

function checkPolicies(model: Model, policies: Policies, options: ResolveOptions, report: Report): void {
  const known = new Set(policies.resources.map((each) => `${each.kind} ${each.id}`));
  const exists = (target: string): boolean => known.has(target.startsWith("Service ") ? `Backend ${target.slice(8)}` : target);
  for (const policy of model.policies) {
    checkAuthorization(policy, report);
    checkTargets(policy, ["Gateway", "HTTPRoute", "TCPRoute", "Backend", "Service"], exists, report);
  }
  checkProviders(model.policies, model.providers, ofKind(policies, "ExtensionProvider").map(({ name }) => name), report);
  checkTcp(model.gateways, model.policies, options.rootNamespace, report);
  for (const { resource } of model.authentications) checkTargets(resource, ["Gateway", "HTTPRoute", "Backend", "Service"], exists, report);
  checkAuthentications(model, options.rootNamespace, report);
  const used = new Set<unknown>();
  const unprotected = new Set<string>();
  for (const gateway of model.gateways) {
    const rules = rulesOf(gateway);
    const workloads = resolveWorkloads(rules, [...model.policies, ...model.authentications.map(({ resource }) => resource)], options.rootNamespace, report);
    const connections = tcpListeners(gateway).flatMap(({ route }) => route.arms.map((arm) => ({ ...arm, subject: tcpSubject(route.resource, arm.backend) })));
    const arms = [...rules.flatMap((rule) => rule.arms.map((arm) => armSubject(rule, arm))), ...connections.map(({ subject }) => subject)];
    refuseConnections(connections, model, options.rootNamespace, report);
    refuseSeveral(gateway, workloads, model.policies, options.rootNamespace, report);
    for (const policy of model.policies) {
      const subjects = [gatewaySubject(gateway), ...arms];
      if (attachesToGateway(policy, gateway, options.rootNamespace) || subjects.some((each) => attaches(policy, each, options.rootNamespace))) used.add(policy);
    }
    const guarded = model.policies.some((policy) => attachesToGateway(policy, gateway, options.rootNamespace));
    for (const workload of workloads) {
      if (!guarded && !model.policies.some((policy) => attaches(policy, workload, options.rootNamespace))) unprotected.add(workload.name);
    }
    for (const { backend, subject } of connections) {
      if (guarded || model.policies.some((policy) => attaches(policy, subject, options.rootNamespace))) continue;
      report.warn("workload-unprotected", backend, ["metadata", "name"], `no AuthorizationPolicy attaches to ${backend.namespace}/${workloadName(backend)}: everyone who reaches the listener may connect`, {
        fix: `add an AuthorizationPolicy with an empty spec to namespace ${backend.namespace}: it allows nothing, and others then allow`,
      });
    }
    for (const rule of rules) {
      const arm = rule.arms[0];
      const workload = workloads.find((each) => each.routes.includes(rule.id));
      if (arm && workload && unprotected.delete(workload.name)) {
        report.warn("workload-unprotected", arm.backend, ["metadata", "name"], `no AuthorizationPolicy attaches to ${workload.name}: everyone who reaches the listener may call it`, {
          fix: `add an AuthorizationPolicy with an empty spec to namespace ${workload.namespace}: it allows nothing, and others then allow`,
        });
      }
    }
  }
  for (const policy of model.policies) {
    if (used.has(policy)) continue;
    report.warn("policy-unattached", policy, ["metadata", "name"], `AuthorizationPolicy ${policy.id} attaches to nothing, so it has no effect`, {
      fix: policy.spec.selector ? "compare its selector with the labels of the Backends that routes lead to" : "compare its namespace with those of the Backends that routes lead to",
    });
  }
}
